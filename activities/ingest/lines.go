package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const readBuffer = 64 << 10

var byteOrderMark = []byte("\xef\xbb\xbf")

// errLongLine says that a line was skipped; reading goes on behind it.
var errLongLine = errors.New("line too long")

// lineReader reads lines of bounded length.
type lineReader struct {
	r    *bufio.Reader
	max  int
	long []byte // a line that did not fit into the reader's own buffer
	line int    // number of the line read last, 1-based
}

func newLineReader(r io.Reader, maxBytes int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, readBuffer), max: maxBytes}
}

// next gives the next line without its end; it is good until the next call. The last line needs no end, io.EOF comes after it. A line that breaks
// off because the reader fails is not given.
func (l *lineReader) next() ([]byte, error) {
	l.line++
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.nextLong(line)
	}
	switch {
	case errors.Is(err, io.EOF) && len(line) > 0:
	case err != nil:
		return nil, err
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if l.line == 1 {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	return line, nil
}

// nextLong puts a long line together from the reader's buffers; over the limit it drops what it has and goes on to the end of the line.
func (l *lineReader) nextLong(piece []byte) (line []byte, err error) {
	l.long = l.long[:0]
	tooLong := false
	for {
		if tooLong = tooLong || len(l.long)+len(piece) > l.max+len("\r\n"); !tooLong {
			l.long = append(l.long, piece...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) && err != nil || bytes.HasSuffix(piece, []byte("\n")) {
			break
		}
		piece, err = l.r.ReadSlice('\n')
	}
	if tooLong && (err == nil || errors.Is(err, io.EOF)) {
		return nil, fmt.Errorf("%w: over %d bytes", errLongLine, l.max)
	}
	return l.long, err
}
