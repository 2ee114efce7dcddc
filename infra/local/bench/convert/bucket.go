package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/rebased/rebased"
)

// bucket is as much of one as an import without commit calls, in a folder.
type bucket struct {
	rebased.Objects // nil: what is not below is not called
	dir             string
}

func (b bucket) path(key string) string {
	return filepath.Join(b.dir, strings.ReplaceAll(key, "/", "%"))
}

// Open implements rebased.Objects.
func (b bucket) Open(_ context.Context, key string) (io.ReadCloser, error) {
	return os.Open(b.path(key))
}

// PutIfAbsent implements rebased.Objects.
func (b bucket) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	return "", b.CreateIfAbsent(ctx, key, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	})
}

// Put implements rebased.Objects.
func (b bucket) Put(_ context.Context, key string, body []byte) (string, error) {
	return "", os.WriteFile(b.path(key), body, 0o600)
}

// CreateIfAbsent implements rebased.Objects.
func (b bucket) CreateIfAbsent(_ context.Context, key string, write func(w io.Writer) error) error {
	file, err := os.OpenFile(b.path(key), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return rebased.E(rebased.Conflict, "%s is there", key)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return write(file)
}

// List implements rebased.Objects. A new bucket is empty.
func (bucket) List(context.Context, string) iter.Seq2[rebased.Object, error] {
	return func(func(rebased.Object, error) bool) {}
}
