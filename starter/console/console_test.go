package console_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rebased/rebased/starter/console"
)

func TestResultsGoToOutAndAllElseToErr(t *testing.T) {
	var out, err strings.Builder
	c := console.New(&out, &err)
	c.Notef("hello\nthere \x1b[31m")
	if e := c.Result(map[string]int{"n": 1}, func(w io.Writer) { _, _ = io.WriteString(w, "n is 1\n") }); e != nil {
		t.Fatal(e)
	}
	c.JSON = true
	if e := c.Result(map[string]int{"n": 1}, nil); e != nil {
		t.Fatal(e)
	}
	if want := "n is 1\n{\"n\":1}\n"; out.String() != want {
		t.Errorf("out = %q, want %q", out.String(), want)
	}
	if want := "hello there \ufffd[31m\n"; err.String() != want {
		t.Errorf("err = %q, want %q", err.String(), want)
	}
}

func TestAListIsATableOrOneObjectALine(t *testing.T) {
	type entry struct {
		Name string `json:"name"`
	}
	entries := []entry{{"b"}, {"long name\n"}}
	list := func(asJSON bool, entries []entry) (string, string) {
		var out, err strings.Builder
		c := console.New(&out, &err)
		c.JSON = asJSON
		if e := console.List(c, entries, "no entries", []string{"NAME", "WHAT"}, func(e entry) []string { return []string{e.Name, "x"} }); e != nil {
			t.Fatal(e)
		}
		return out.String(), err.String()
	}
	if out, _ := list(false, entries); out != "NAME       WHAT\nb          x\nlong name  x\n" {
		t.Errorf("table:\n%s", out)
	}
	if out, _ := list(true, entries); out != "{\"name\":\"b\"}\n{\"name\":\"long name\\n\"}\n" {
		t.Errorf("JSON:\n%s", out)
	}
	if out, err := list(false, nil); out != "" || err != "no entries\n" {
		t.Errorf("empty: out %q, err %q", out, err)
	}
	if out, err := list(true, nil); out != "" || err != "" {
		t.Errorf("empty JSON: out %q, err %q", out, err)
	}
}

func TestAResultThatCannotBeWrittenIsAnError(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(errors.New("no space left"))
	c := console.New(w, io.Discard)
	c.JSON = true
	if err := c.Result(1, nil); err == nil || err.Error() != "write to standard output: no space left" {
		t.Errorf("err = %v", err)
	}
}

func TestProgressSpeaksAtAChangeOfPhaseAndNowAndThen(t *testing.T) {
	var err strings.Builder
	c := console.New(io.Discard, &err)
	now := time.Unix(0, 0)
	c.Now = func() time.Time { return now }
	p := c.Progress()
	p.Show(console.Step{Phase: "plan"})
	for i := range 10 {
		p.Show(console.Step{Phase: "transform", Done: i, Total: 9, Unit: "shards", Detail: console.Thousands(i*1000) + " rows"})
		now = now.Add(time.Second)
	}
	now = now.Add(time.Minute)
	p.Show(console.Step{Phase: "transform", Done: 5, Total: 9, Unit: "shards", Detail: "5,000 rows"})
	p.Close()
	want := "plan\ntransform 0/9 shards: 0 rows\ntransform 5/9 shards: 5,000 rows\n"
	if err.String() != want {
		t.Errorf("got:\n%swant:\n%s", err.String(), want)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := console.Thousands(n); got != want {
			t.Errorf("Thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestTextOfRowsCannotSteerTheTerminal(t *testing.T) {
	hostile := "a\x1b[2J\x1b]0;title\x07\x9b31mb\nrm -rf /\r\u202ec\u2066\x00\x7f"
	var out, errs strings.Builder
	c := console.New(&out, &errs)
	console.Table(&out, nil, [][]string{{hostile}})
	c.Notef("%s", hostile)
	var result, object strings.Builder
	if err := console.New(&result, &errs).Result(nil, func(w io.Writer) { _, _ = io.WriteString(w, strings.ReplaceAll(hostile, "\n", " ")) }); err != nil {
		t.Error(err)
	}
	asJSON := console.New(&object, &errs)
	asJSON.JSON = true
	var back string
	if err := asJSON.Result(hostile, nil); err != nil || json.Unmarshal([]byte(object.String()), &back) != nil || back != strings.ToValidUTF8(hostile, "\ufffd") {
		t.Errorf("%v: %s is read as %q", err, object.String(), back)
	}
	for _, text := range []string{out.String(), errs.String(), result.String(), object.String(), console.OneLine(hostile) + "\n"} {
		if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("shown as %q", text)
		}
		if !strings.Contains(text, "rm -rf /") || strings.Contains(text, "\nrm") {
			t.Errorf("a line was broken or its text lost: %q", text)
		}
	}
}
