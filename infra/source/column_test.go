package source

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func TestValuesThatShareALetterAreNotUTF8(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   bool
	}{
		{nil, true},
		{[]string{"", "é", "", "日本", "a"}, true},
		{[]string{"a\xc3", "\xa9b"}, false},
		{[]string{"a\xc3", "", "\xa9b"}, false},
		{[]string{"a", "\xff"}, false},
		{[]string{"a", "\xe6\x97"}, false},
	} {
		builder := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
		for _, v := range c.values {
			builder.AppendString(v)
		}
		if got := areUTF8(builder.NewBinaryArray()); got != c.want {
			t.Errorf("%q: got %v, want %v", c.values, got, c.want)
		}
	}
}
