package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/rebased/rebased"
)

// heldBytes is the size up to which an uploaded file is held in memory while it is read.
const heldBytes = 16 << 20

// near holds one uploaded file where it can be read at any place and more than once: a small one in memory, a larger one in a file without a name in
// the temporary folder (TMPDIR), which the system frees whatever becomes of the process.
type near struct {
	key  string
	size int64
	at   io.ReaderAt
	file *os.File // nil: in memory
}

// fetch gives the file of a source, from the start; the one before is let go. No byte is read before all are known to be those that were uploaded.
func (n *near) fetch(ctx context.Context, objects rebased.Objects, source rebased.Source) (*io.SectionReader, error) {
	if n.at == nil || n.key != source.Key {
		n.close()
		if err := n.load(ctx, objects, source); err != nil {
			n.close()
			return nil, err
		}
		n.key, n.size = source.Key, source.Size
	}
	return io.NewSectionReader(n.at, 0, n.size), nil
}

func (n *near) load(ctx context.Context, objects rebased.Objects, source rebased.Source) error {
	object, err := objects.Open(ctx, source.Key)
	if err != nil {
		return err
	}
	defer object.Close()
	var memory bytes.Buffer
	var to io.Writer = &memory
	if source.Size > heldBytes {
		if n.file, err = unnamed(); err != nil {
			return err
		}
		to = n.file
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(hash, to), io.LimitReader(object, source.Size+1))
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	if size != source.Size || hex.EncodeToString(hash.Sum(nil)) != source.SHA256 {
		return rebased.E(rebased.Invalid, "the bytes at %s are not those that were uploaded: import again", source.Key)
	}
	if n.at = io.ReaderAt(n.file); n.file == nil {
		n.at = bytes.NewReader(memory.Bytes())
	}
	return nil
}

// unnamed makes a temporary file that has no name any more.
func unnamed() (*os.File, error) {
	file, err := os.CreateTemp("", "rebased-import-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("take the name of a temporary file: %w", err)
	}
	return file, nil
}

func (n *near) close() {
	if n.file != nil {
		n.file.Close()
	}
	*n = near{}
}
