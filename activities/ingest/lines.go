package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const readBuffer = 64 << 10

// errLongLine says that a line was skipped; reading goes on behind it.
var errLongLine = errors.New("the line is too long")

// lineReader reads lines of bounded length.
type lineReader struct {
	r    *bufio.Reader
	max  int
	long []byte // a line that did not fit into the reader's own buffer
	line int    // number of the line read last, 1-based
}

// newLineReader makes one; a reader that has a buffer of the size already gets no second one.
func newLineReader(r io.Reader, maxBytes int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, readBuffer), max: maxBytes}
}

// next gives the next line without its end; it is good until the next call. The last line needs no end, io.EOF comes after it. A line that breaks
// off because the reader fails is not given; one that is too long is skipped and answered with errLongLine.
func (l *lineReader) next() ([]byte, error) {
	l.line++
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.nextLong(line)
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return nil, err
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) > l.max {
		return nil, l.tooLong()
	}
	return line, nil
}

// nextLong goes on with a line that fills the reader's buffer, and holds no more of it than the limit.
func (l *lineReader) nextLong(piece []byte) ([]byte, error) {
	l.long = append(l.long[:0], piece...)
	for dropped := false; ; {
		piece, err := l.r.ReadSlice('\n')
		if dropped = dropped || len(l.long)+len(piece) > l.max+len("\r\n"); !dropped {
			l.long = append(l.long, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case dropped && (err == nil || errors.Is(err, io.EOF)):
			return nil, l.tooLong()
		default:
			return l.long, err
		}
	}
}

func (l *lineReader) tooLong() error { return fmt.Errorf("%w: over %d bytes", errLongLine, l.max) }
