package publish

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestResultsAreBoundedAndStayJSON(t *testing.T) {
	long := strings.Repeat("ä", maxResult)
	for _, c := range []struct {
		said string
		size int
		want string
	}{
		{"", 0, ""},
		{" \n", 0, ""},
		{` {"loss": 0.5} `, 0, `{"loss": 0.5}`},
		{"OK", 0, `"OK"`},
		{"{\"a\": \xff", 0, "\"{\\\"a\\\": \uFFFD\""},
		{`{"loss": 0.5}`, 1 << 20, `"{\"loss\": 0.5}… (1048576 bytes)"`},
	} {
		if got := string(ResultOf([]byte(c.said), c.size)); got != c.want {
			t.Errorf("%q of %d bytes is kept as %q, want %q", c.said, c.size, got, c.want)
		}
	}
	var text string
	if got := ResultOf([]byte(long), 0); json.Unmarshal(got, &text) != nil || !strings.HasSuffix(text, "… (32768 bytes)") || len(text) > maxResult+30 {
		t.Errorf("%d bytes are kept of %d, end %q", len(text), len(long), text[max(0, len(text)-20):])
	}
}
