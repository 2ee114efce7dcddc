package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rebased/rebased"
)

// CreateIfAbsent implements rebased.Objects. What fits into one piece is put at once; more goes as an upload of parts, which becomes an object when
// it is completed, under the condition that the key is free. After Unavailable or Throttled the object may have been written all the same.
//
// A process that is killed leaves the parts that it has sent. They are no object and no listing shows them; a lifecycle rule of the bucket
// (AbortIncompleteMultipartUpload) removes them.
func (s *Store) CreateIfAbsent(ctx context.Context, key string, write func(w io.Writer) error) error {
	w := &writer{store: s, ctx: ctx, key: key}
	err := write(w)
	switch {
	case w.err != nil: // whatever write made of it
		err = w.err
	case err != nil:
		err = fmt.Errorf("write %s: %w", key, err)
	default:
		err = w.finish()
	}
	if err != nil {
		w.abort()
	}
	return err
}

// writer gathers pieces. The first that is not the last begins an upload.
type writer struct {
	store  *Store
	ctx    context.Context //nolint:containedctx // the calls that a Write makes belong to the caller of CreateIfAbsent
	key    string
	piece  []byte
	upload *upload // nil: all that was written is in piece
	err    error   // of the first write that failed
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (n int, err error) {
	for w.err == nil && len(p) > 0 {
		if len(w.piece) == pieceSize {
			w.err = w.send()
			continue
		}
		if w.ctx.Err() != nil {
			w.err = ended(w.ctx, "put "+w.key)
			continue
		}
		taken := min(len(p), pieceSize-len(w.piece))
		w.piece = append(w.piece, p[:taken]...)
		n, p = n+taken, p[taken:]
	}
	return n, w.err
}

// send uploads the piece and makes room for the next.
func (w *writer) send() error {
	if w.upload == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	err := w.upload.part(w.ctx, w.piece)
	w.piece = w.piece[:0]
	return err
}

// begin looks at the key first: to send all and be refused then would cost as much as to write the object.
func (w *writer) begin() error {
	there, err := w.store.exists(w.ctx, w.key)
	if err != nil {
		return err
	}
	if there {
		return &rebased.Error{Kind: rebased.Conflict, Op: "put " + w.key, Err: errors.New("the object exists")}
	}
	w.upload, err = w.store.begin(w.ctx, w.key)
	return err
}

func (w *writer) finish() error {
	if w.upload == nil {
		_, err := w.store.PutIfAbsent(w.ctx, w.key, w.piece)
		return err
	}
	if err := w.send(); err != nil {
		return err
	}
	return w.upload.complete(w.ctx)
}

// abort has the server drop the parts; what it cannot be told is left to the bucket's lifecycle rule.
func (w *writer) abort() {
	if w.upload == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), 10*time.Second)
	defer cancel()
	_ = w.upload.abort(ctx)
}
