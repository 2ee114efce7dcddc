package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// refuseWide looks at the first bytes for the encodings that have zeros between their letters, for a message that says what to do where every line
// would be malformed.
func refuseWide(r *bufio.Reader) error {
	start, _ := r.Peek(4) // what ails a reader it says again at the next read
	if name := wideEncoding(start); name != "" {
		return fmt.Errorf("is %s: save it as UTF-8", name)
	}
	return nil
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// dropMark passes over the mark that some programs put before UTF-8.
func dropMark(r *bufio.Reader) {
	if start, _ := r.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
		_, _ = r.Discard(len(byteOrderMark)) // they are in the buffer
	}
}

// wideEncoding names what a file starts like, by its byte-order mark or by where the zeros of its first letters are; "" for anything else.
func wideEncoding(start []byte) string {
	for _, mark := range []struct{ bytes, name string }{ // UTF-32 LE begins as UTF-16 LE does
		{"\xff\xfe\x00\x00", "UTF-32 LE"},
		{"\x00\x00\xfe\xff", "UTF-32 BE"},
		{"\xff\xfe", "UTF-16 LE"},
		{"\xfe\xff", "UTF-16 BE"},
	} {
		if bytes.HasPrefix(start, []byte(mark.bytes)) {
			return mark.name
		}
	}
	if len(start) < 4 {
		return ""
	}
	zeros := 0
	for i, b := range start[:4] {
		if b == 0 {
			zeros |= 1 << i
		}
	}
	return map[int]string{0b1110: "UTF-32 LE", 0b0111: "UTF-32 BE", 0b1010: "UTF-16 LE", 0b0101: "UTF-16 BE"}[zeros]
}

// encodingWatch passes bytes on and finds the first that is not UTF-8.
type encodingWatch struct {
	r      io.Reader
	strict bool // it ends the reading
	offset int64
	line   int    // ends of lines so far
	rest   []byte // the begin of a letter that the next bytes go on with
	found  string // what is wrong, with its place
}

// Read implements io.Reader.
func (w *encodingWatch) Read(p []byte) (int, error) {
	if w.found != "" && w.strict {
		return 0, errors.New(w.found)
	}
	n, err := w.r.Read(p)
	if w.found != "" {
		return n, err
	}
	if bad := w.look(p[:n], errors.Is(err, io.EOF)); bad >= 0 && w.strict {
		return bad, errors.New(w.found)
	}
	return n, err
}

// isUTF8 says that nothing wrong was found so far.
func (w *encodingWatch) isUTF8() bool { return w.found == "" }

// look goes over the next bytes and gives the place of the first that is wrong, -1 when there is none.
func (w *encodingWatch) look(p []byte, last bool) int {
	text, carried := p, len(w.rest)
	if carried > 0 {
		text = slices.Concat(w.rest, p)
	}
	good := validPrefix(text)
	wrong := good < len(text) && (last || utf8.FullRune(text[good:]))
	w.line += bytes.Count(text[:good], []byte("\n"))
	w.offset += int64(good)
	w.rest = append(w.rest[:0:0], text[good:]...)
	if !wrong {
		return -1
	}
	w.found = fmt.Sprintf("is not UTF-8 at byte %d, on line %d, which is 0x%02x%s", w.offset, w.line+1, text[good], narrowEncoding(text[good:]))
	return max(0, good-carried)
}

// validPrefix is how many bytes are UTF-8.
func validPrefix(p []byte) int {
	const step = 4096
	at := 0
	for at < len(p) {
		if end := at + step; end < len(p) { // by far the fastest where nothing is wrong
			for range utf8.UTFMax - 1 {
				if !utf8.RuneStart(p[end]) {
					end--
				}
			}
			if utf8.Valid(p[at:end]) {
				at = end
				continue
			}
		}
		for end := min(at+step, len(p)); at < end; {
			letter, size := utf8.DecodeRune(p[at:])
			if letter == utf8.RuneError && size == 1 {
				return at
			}
			at += size
		}
	}
	return at
}

// narrowEncoding says what a byte that is not UTF-8 is likely to be, as far as it can be told: one letter among those of ASCII is of the encodings of
// western Europe.
func narrowEncoding(p []byte) string {
	switch {
	case len(p) > 1 && p[1] >= utf8.RuneSelf:
		return ""
	case p[0] < 0xa0:
		return ", as in Windows-1252"
	}
	return ", as in Latin-1 or Windows-1252"
}
