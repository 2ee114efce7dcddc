package dedupe

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

func TestNormalisingEveryCharacterTwiceChangesNothing(t *testing.T) {
	n := newNormaliser()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.IsPrint(r) {
			continue
		}
		once := n.text("x" + string(r) + "y")
		if twice := n.text(once); twice != once {
			t.Errorf("%U: %q, then %q", r, once, twice)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"", " a  B ", "ᾼΣ ㎒ ﬁ", "e\u200b\u0301", "\xff\xfe", "İstanbul", "\u1e9e ß", "ǰ"} {
		f.Add(s)
	}
	n := newNormaliser()
	f.Fuzz(func(t *testing.T, s string) {
		got := n.text(s)
		if strings.TrimSpace(got) != got || strings.Contains(got, "  ") {
			t.Fatalf("%q: white space in %q", s, got)
		}
		if !norm.NFKC.IsNormalString(got) {
			t.Fatalf("%q: %q is not NFKC", s, got)
		}
		if again := n.text(got); again != got {
			t.Fatalf("%q: %q, then %q", s, got, again)
		}
		if ascii, ok := n.foldASCII(s); ok { // the short cut agrees with the long way
			if long := strings.Join(strings.Fields(n.fold.String(norm.NFKC.String(s))), " "); long != ascii {
				t.Fatalf("%q: %q by the short cut, %q by the long way", s, ascii, long)
			}
		}
	})
}
