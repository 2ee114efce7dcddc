package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// Open implements rebased.Objects. What is read is the object as it was when it was opened.
func (o *Objects) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	body, _, err := o.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(until{ctx: ctx, r: bytes.NewReader(body)}), nil
}

// CreateIfAbsent implements rebased.Objects.
func (o *Objects) CreateIfAbsent(ctx context.Context, key string, write func(w io.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var body bytes.Buffer
	if err := write(until{ctx: ctx, w: &body}); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	_, err := o.PutIfAbsent(ctx, key, body.Bytes())
	return err
}

// until is a stream that ends with its context.
type until struct {
	ctx context.Context //nolint:containedctx // a stream has no other way to hear of it
	r   io.Reader
	w   io.Writer
}

func (u until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

func (u until) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}
