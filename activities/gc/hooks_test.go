package gc_test

import (
	"context"
	"iter"
	"sync"

	"github.com/rebased/rebased"
)

// hooked is a bucket that tells of each call before it is done, and may fail it.
type hooked struct {
	rebased.Objects
	before func(op, key string)
	fail   func(op, key string) error

	mu sync.Mutex
}

func (h *hooked) call(op, key string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.before != nil {
		h.before(op, key)
	}
	if h.fail != nil {
		return h.fail(op, key)
	}
	return nil
}

func (h *hooked) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := h.call("get", key); err != nil {
		return nil, "", err
	}
	return h.Objects.Get(ctx, key)
}

func (h *hooked) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	if err := h.call("put", key); err != nil {
		return "", err
	}
	return h.Objects.PutIfAbsent(ctx, key, body)
}

func (h *hooked) PutIfMatch(ctx context.Context, key, etag string, body []byte) (string, error) {
	if err := h.call("put", key); err != nil {
		return "", err
	}
	return h.Objects.PutIfMatch(ctx, key, etag, body)
}

func (h *hooked) List(ctx context.Context, prefix string) iter.Seq2[rebased.Object, error] {
	if err := h.call("list", prefix); err != nil {
		return func(yield func(rebased.Object, error) bool) { yield(rebased.Object{}, err) }
	}
	return h.Objects.List(ctx, prefix)
}

func (h *hooked) Delete(ctx context.Context, key string) error {
	if err := h.call("delete", key); err != nil {
		return err
	}
	return h.Objects.Delete(ctx, key)
}
