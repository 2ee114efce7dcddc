// Package modelfile reads the files of a model's folder, whoever wrote them.
package modelfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/rebased/rebased"
)

// Read reads a whole file of at most limit bytes that open opens. NotFound: it is not there; wanted says what a folder of its kind has. Invalid: it
// is larger.
func Read(open func(name string) (io.ReadCloser, error), name string, limit int64, wanted string) ([]byte, error) {
	f, err := open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, rebased.E(rebased.NotFound, "no %s in the model's folder: %s", name, wanted)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // read only
	body, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(body)) > limit {
		return nil, rebased.E(rebased.Invalid, "%s is larger than %d bytes, the most that is read", name, limit)
	}
	return body, nil
}
