package wordpiece

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalization is what a tokenizer does to text before it looks for words.
type normalization struct{ lower, stripAccents bool }

// Buffers are what one goroutine keeps from text to text. They apply BERT's normalization, in its order: control characters go and white space becomes a blank, ideographs get blanks
// around them, text is decomposed (NFD) and loses its marks, letters become lower case.
type Buffers struct{ text, spare []byte }

// normalize gives the text that word pieces are looked for in; it is valid until the next call.
func (n *Buffers) normalize(text string, settings normalization) []byte {
	var ascii bool
	if n.text, ascii = appendClean(n.text[:0], text, settings.lower); ascii {
		return n.text
	}
	if settings.stripAccents {
		n.text, n.spare = norm.NFD.Append(n.spare[:0], n.text...), n.text
	}
	n.text, n.spare = appendFolded(n.spare[:0], n.text, settings), n.text
	return n.text
}

// appendClean drops control characters and what is no UTF-8, turns white space into blanks and sets ideographs apart. It says whether all
// was ASCII; lower then makes the normalization complete.
func appendClean(out []byte, text string, lower bool) (clean []byte, ascii bool) {
	ascii = true
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case lower && 'A' <= c && c <= 'Z':
				out = append(out, c|0x20)
			case c >= ' ' && c != 0x7f:
				out = append(out, c)
			case c == '\t' || c == '\n' || c == '\r':
				out = append(out, ' ')
			}
			continue
		}
		ascii = false
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case r == utf8.RuneError || isControl(r):
		case unicode.IsSpace(r):
			out = append(out, ' ')
		case isIdeograph(r):
			out = append(utf8.AppendRune(append(out, ' '), r), ' ')
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out, ascii
}

// appendFolded drops non-spacing marks and turns letters into lower case, as far as the settings say so.
func appendFolded(out, text []byte, settings normalization) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if settings.lower && 'A' <= c && c <= 'Z' { // decomposition sets them free: Ä is A and a mark
				c |= 0x20
			}
			out = append(out, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		i += size
		if settings.stripAccents && unicode.Is(unicode.Mn, r) {
			continue
		}
		if settings.lower {
			r = unicode.ToLower(r)
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// isControl knows the characters that BERT drops. Code points that Unicode has not assigned are no control characters.
func isControl(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) }

// isIdeograph knows the blocks that BERT calls Chinese characters.
func isIdeograph(r rune) bool {
	if r < 0x3400 {
		return false
	}
	return r <= 0x4dbf || 0x4e00 <= r && r <= 0x9fff || 0xf900 <= r && r <= 0xfaff ||
		0x20000 <= r && r <= 0x2a6df || 0x2a700 <= r && r <= 0x2b81f || 0x2b920 <= r && r <= 0x2ceaf || 0x2f800 <= r && r <= 0x2fa1f
}

// isMark says whether a character of normalized text is a word of its own: Unicode's punctuation, and every ASCII sign.
func isMark(r rune) bool {
	if r < utf8.RuneSelf {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.IsPunct(r)
}
