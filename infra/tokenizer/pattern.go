package tokenizer

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// gpt2 is the pattern that the pre-tokenizer ByteLevel has by itself.
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// lookahead is the one use of what RE2 does not have in the patterns of tokenizers: white space up to the last one before a word.
const lookahead = `\s+(?!\S)|\s+`

// white is what Oniguruma calls white space, for use in a class.
const white = `\t-\r \x{85}\p{Z}`

// newSplit takes texts apart by a pattern as Oniguruma reads it: matches, and what stands between them unless only matches count.
func newSplit(pattern string, matchesOnly bool) (func(string, func(string)), error) {
	re, err := compile(pattern)
	if err != nil {
		return nil, err
	}
	trailing := re.SubexpIndex("trailing")
	return func(text string, visit func(string)) {
		for at := 0; at < len(text); {
			found := re.FindStringSubmatchIndex(text[at:])
			if found == nil {
				if !matchesOnly {
					visit(text[at:])
				}
				return
			}
			start, end := at+found[0], at+found[1]
			if trailing > 0 && found[2*trailing] >= 0 && end < len(text) {
				// The white space ends before a word, whose pattern takes the last of it. One alone has no other place.
				if _, size := utf8.DecodeLastRuneInString(text[start:end]); start+size < end {
					end -= size
				}
			}
			if start > at && !matchesOnly {
				visit(text[at:start])
			}
			if end == start { // an empty match makes no piece
				_, size := utf8.DecodeRuneInString(text[start:])
				end += size
			}
			visit(text[start:end])
			at = end
		}
	}, nil
}

func mustSplit(pattern string) func(string, func(string)) {
	split, err := newSplit(pattern, false)
	if err != nil {
		panic(err) // a pattern of this package's own
	}
	return split
}

// compile writes a pattern so that RE2 matches what Oniguruma does, or refuses it.
func compile(pattern string) (*regexp.Regexp, error) {
	refused := func(why string) error {
		return refuse("has the pattern %.200q, which cannot be matched here: %s", pattern, why)
	}
	plain := strings.Replace(pattern, lookahead, `(?P<trailing>\s+)`, 1)
	var out strings.Builder
	class := false
	for i := 0; i < len(plain); i++ {
		c := plain[i]
		switch {
		case c == '\\' && i+1 < len(plain):
			i++
			switch e := plain[i]; {
			case e == 's' && class:
				out.WriteString(white)
			case e == 's':
				out.WriteString("[" + white + "]")
			case e == 'S' && !class:
				out.WriteString("[^" + white + "]")
			case e == 'd':
				out.WriteString(`\p{Nd}`)
			case strings.IndexByte(`SDwWbBhHRXGkKyY`, e) >= 0:
				return nil, refused(`\` + string(e))
			default:
				out.WriteByte('\\')
				out.WriteByte(e)
			}
			continue
		case c == '[' && class, c == '&' && class && strings.HasPrefix(plain[i:], "&&"):
			return nil, refused("a class within a class")
		case c == '[':
			class = true
		case c == ']':
			class = false
		}
		out.WriteByte(c)
	}
	re, err := regexp.Compile(out.String())
	if err != nil {
		return nil, refused(err.Error())
	}
	return re, nil
}
