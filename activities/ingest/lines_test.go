package ingest

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestALineOverTheLimitIsNotHeld(t *testing.T) {
	lines := newLineReader(strings.NewReader(strings.Repeat("x", 10<<20)+"\nnext"), 200)
	if _, err := lines.next(); !errors.Is(err, errLongLine) {
		t.Fatalf("got %v, want %v", err, errLongLine)
	}
	if held := cap(lines.long); held > 4*readBuffer {
		t.Errorf("%d bytes are held of a line that may have 200", held)
	}
	if line, err := lines.next(); string(line) != "next" || err != nil || lines.line != 2 {
		t.Errorf("line %d is %q: %v", lines.line, line, err)
	}
	if _, err := lines.next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v at the end", err)
	}
}
