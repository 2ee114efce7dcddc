package rebased

import (
	"crypto/sha256"
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// TextHash tells texts apart by what they say: it is the first 8 bytes, big endian, of the SHA-256 of the text in lower case, with runs of
// white space made one space and none at its ends. Bytes that are not UTF-8 count as U+FFFD.
func TextHash(text string) uint64 {
	var room [512]byte
	sum := sha256.Sum256(normal(room[:0], text))
	return binary.BigEndian.Uint64(sum[:])
}

// TextKey names a text byte for byte: the first 16 bytes of its SHA-256.
type TextKey [16]byte

// NewTextKey names a text.
func NewTextKey(text string) TextKey {
	sum := sha256.Sum256([]byte(text))
	return TextKey(sum[:16])
}

func normal(out []byte, text string) []byte {
	space := false
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		if unicode.IsSpace(r) {
			space = true
			continue
		}
		if space && len(out) > 0 {
			out = append(out, ' ')
		}
		space = false
		if r < utf8.RuneSelf {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			out = append(out, byte(r)) //nolint:gosec // ASCII
			continue
		}
		out = utf8.AppendRune(out, unicode.ToLower(r))
	}
	return out
}

// MostLetters is where TextLetters stops to count.
const MostLetters = 255

// TextLetters counts the letters and digits of a text, at most MostLetters: what a short text has to say.
func TextLetters(text string) (n int) {
	for _, r := range text {
		if 'a' <= r && r <= 'z' || r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			if n++; n == MostLetters {
				break
			}
		}
	}
	return n
}
