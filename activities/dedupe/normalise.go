package dedupe

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// normaliser brings texts that a reader takes for the same to the same bytes. It is not safe for concurrent use, as its Caser is not.
type normaliser struct {
	fold  cases.Caser
	ascii []byte // reused
}

func newNormaliser() *normaliser { return &normaliser{fold: cases.Fold()} }

// text normalises: characters that nobody sees dropped (soft hyphen, zero-width space, variation selectors), compatibility forms (NFKC),
// full case folding, runs of white space as one space, none at the ends. Text in ASCII, the most common by far, takes a short cut.
func (n *normaliser) text(s string) string {
	if folded, ok := n.foldASCII(s); ok {
		return folded
	}
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector) {
			return -1
		}
		return unicode.ToLower(r) // cases.Fold alone swaps the two cases of Cherokee
	}, s)
	// Compatibility forms come before folding, since they bring capitals (㎒ is MHz), and again after it, since folding can leave marks out of order.
	s = norm.NFKC.String(n.fold.String(norm.NFKC.String(s)))
	return strings.Join(strings.Fields(s), " ")
}

// foldASCII does the same for text in ASCII, and says whether it was.
func (n *normaliser) foldASCII(s string) (string, bool) {
	out := n.ascii[:0]
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return "", false
		case c == ' ' || c >= '\t' && c <= '\r':
			if len(out) > 0 && out[len(out)-1] != ' ' {
				out = append(out, ' ')
			}
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		default:
			out = append(out, c)
		}
	}
	n.ascii = out
	if len(out) > 0 && out[len(out)-1] == ' ' {
		out = out[:len(out)-1]
	}
	return string(out), true
}
