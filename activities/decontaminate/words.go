package decontaminate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain is a text as short ones are compared: in lower case, white space as one space.
func plain(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// words cuts texts into words. It is scratch space, to be reset and used again.
type words struct {
	text   []byte // each word and a space
	ends   []int  // where each ends, its space included
	hashes []uint64
}

func (w *words) reset() { w.text, w.ends, w.hashes = w.text[:0], w.ends[:0], w.hashes[:0] }

// What an ASCII character is to a word; a letter stands for itself in lower case.
const (
	dropped = iota
	space
)

var ascii = func() (classes [utf8.RuneSelf]byte) {
	for c := range classes {
		switch r := rune(c); {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			classes[c] = byte(unicode.ToLower(r)) //nolint:gosec // ASCII
		case unicode.IsSpace(r):
			classes[c] = space
		}
	}
	return classes
}()

// add appends a text's words.
func (w *words) add(text string) {
	begin := len(w.text)
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			i++
			switch class := ascii[c]; class {
			case dropped:
			case space:
				begin = w.end(begin)
			default:
				w.text = append(w.text, class)
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case unicode.IsSpace(r):
			begin = w.end(begin)
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			begin = w.end(begin)
			w.text = utf8.AppendRune(w.text, r)
			begin = w.end(begin)
		case unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r):
			w.text = utf8.AppendRune(w.text, unicode.ToLower(r))
		}
	}
	w.end(begin)
}

// end closes the word that begins there, if it has a character, and gives the begin of the next.
func (w *words) end(begin int) int {
	if len(w.text) == begin {
		return begin
	}
	hash := uint64(14695981039346656037) // FNV-1a
	for _, c := range w.text[begin:] {
		hash = (hash ^ uint64(c)) * 1099511628211
	}
	w.text = append(w.text, ' ')
	w.ends, w.hashes = append(w.ends, len(w.text)), append(w.hashes, hash)
	return len(w.text)
}

// grams gives the hash and the place in text of every n words in a row, until visit says no. The hash is a polynomial of the words', which rolls on
// from one to the next.
func (w *words) grams(n int, visit func(hash uint64, from, to int) bool) {
	const base = 0x9e3779b97f4a7c15 | 1
	out := uint64(1) // base^n
	for range n {
		out *= base
	}
	hash := uint64(0)
	for i, h := range w.hashes {
		hash = hash*base + h
		if i >= n {
			hash -= out * w.hashes[i-n]
		}
		if i < n-1 {
			continue
		}
		from := 0
		if i >= n {
			from = w.ends[i-n]
		}
		if !visit(hash, from, w.ends[i]) {
			return
		}
	}
}
