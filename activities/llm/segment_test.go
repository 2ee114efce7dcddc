package llm

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheCacheForgetsWhatWasUsedLongest(t *testing.T) {
	c := newSegmentCache(1000)
	for n := range 10 {
		c.add(n, map[Key]Answer{Key(fmt.Sprint(n)): {Text: strings.Repeat("x", 300)}})
	}
	if _, found := c.get(0); found {
		t.Error("the oldest is kept")
	}
	if _, found := c.get(9); !found {
		t.Error("the newest is gone")
	}
	if c.size > 1000 {
		t.Errorf("holds %d bytes, the limit is 1000", c.size)
	}
}
