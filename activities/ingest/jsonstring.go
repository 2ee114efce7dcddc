package ingest

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// view gives bytes as a string without a copy. It is good for as long as the bytes stay as they are.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // texts are copied once, by whoever keeps a row
}

// string reads from the quote at the place to behind the next.
func (f *flattener) string() (string, error) {
	f.at++
	start := f.at
	f.at += special(f.text[start:])
	if f.at < len(f.text) && f.text[f.at] == '"' {
		f.at++
		return view(f.text[start : f.at-1]), nil
	}
	first := len(f.plain)
	f.plain = append(f.plain, f.text[start:f.at]...)
	for f.at < len(f.text) {
		switch c := f.text[f.at]; {
		case c == '"':
			f.at++
			return view(f.plain[first:]), nil
		case c == '\\':
			if !f.escape() {
				return "", errNotJSON
			}
		case c < ' ':
			return "", errNotJSON
		}
		run := special(f.text[f.at:])
		f.plain = append(f.plain, f.text[f.at:f.at+run]...)
		f.at += run
	}
	return "", errNotJSON
}

// special is how many bytes of a text come before the first that is a quote, a backslash or a control character.
func special(text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(text); i += 8 {
		word := binary.LittleEndian.Uint64(text[i:])
		quote, backslash := word^ones*'"', word^ones*'\\'
		// The lowest byte that is marked is one that is zero, or below the space: only those above it can be marked for a carry.
		if marked := ((quote-ones)&^quote | (backslash-ones)&^backslash | (word-ones*' ')&^word) & highs; marked != 0 {
			return i + bits.TrailingZeros64(marked)/8
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}

// escape reads what a backslash begins into the plain text; false: it is none.
func (f *flattener) escape() bool {
	if f.at+1 == len(f.text) {
		return false
	}
	c := f.text[f.at+1]
	f.at += 2
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return f.unicode()
	default:
		return false
	}
	f.plain = append(f.plain, c)
	return true
}

// unicode reads four hex digits, and the second half of a pair with the first. A half alone becomes U+FFFD, as in encoding/json.
func (f *flattener) unicode() bool {
	r, ok := hexRune(f.text[f.at:])
	if !ok {
		return false
	}
	f.at += 4
	if utf16.IsSurrogate(r) {
		second := rune(utf8.RuneError)
		if rest := f.text[f.at:]; len(rest) > 2 && rest[0] == '\\' && rest[1] == 'u' {
			second, _ = hexRune(rest[2:])
		}
		if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
			f.at += len(`\uxxxx`)
		}
	}
	f.plain = utf8.AppendRune(f.plain, r)
	return true
}

func hexRune(text []byte) (rune, bool) {
	if len(text) < 4 {
		return 0, false
	}
	for _, c := range text[:4] {
		if (c < '0' || c > '9') && (c|' ' < 'a' || c|' ' > 'f') {
			return 0, false
		}
	}
	r, err := strconv.ParseUint(view(text[:4]), 16, 16)
	return rune(r), err == nil //nolint:gosec // 16 bits
}
