package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rebased/rebased"
)

var _ rebased.Objects = (*Objects)(nil)

// Objects is a bucket in memory. It is safe for concurrent use; a listing shows the moment at which it began.
type Objects struct {
	Now func() time.Time // the store's clock; nil = time.Now

	mu      sync.Mutex
	objects map[string]object
}

type object struct {
	body     []byte
	etag     string
	modified time.Time
}

// NewObjects makes an empty bucket.
func NewObjects() *Objects { return &Objects{objects: map[string]object{}} }

// Get implements rebased.Objects.
func (o *Objects) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok := o.objects[key]
	if !ok {
		return nil, "", &rebased.Error{Kind: rebased.NotFound, Op: "get " + key}
	}
	return bytes.Clone(found.body), found.etag, nil
}

// Put implements rebased.Objects.
func (o *Objects) Put(ctx context.Context, key string, body []byte) (string, error) {
	return o.put(ctx, key, body, func(object, bool) bool { return true })
}

// PutIfAbsent implements rebased.Objects.
func (o *Objects) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	return o.put(ctx, key, body, func(_ object, exists bool) bool { return !exists })
}

// PutIfMatch implements rebased.Objects.
func (o *Objects) PutIfMatch(ctx context.Context, key, etag string, body []byte) (string, error) {
	return o.put(ctx, key, body, func(old object, exists bool) bool { return exists && old.etag == etag })
}

func (o *Objects) put(ctx context.Context, key string, body []byte, allowed func(old object, exists bool) bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	fresh := object{body: append([]byte{}, body...), etag: etagOf(body), modified: time.Now()}
	if o.Now != nil {
		fresh.modified = o.Now()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old, exists := o.objects[key]
	if !allowed(old, exists) {
		return "", &rebased.Error{Kind: rebased.Conflict, Op: "put " + key}
	}
	o.objects[key] = fresh
	return fresh.etag, nil
}

// List implements rebased.Objects.
func (o *Objects) List(ctx context.Context, prefix string) iter.Seq2[rebased.Object, error] {
	return func(yield func(rebased.Object, error) bool) {
		for _, entry := range o.under(prefix) {
			if err := ctx.Err(); err != nil {
				yield(rebased.Object{}, err)
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

func (o *Objects) under(prefix string) []rebased.Object {
	o.mu.Lock()
	defer o.mu.Unlock()
	var entries []rebased.Object
	for key, found := range o.objects {
		if strings.HasPrefix(key, prefix) {
			entries = append(entries, rebased.Object{Key: key, Size: int64(len(found.body)), ETag: found.etag, Modified: found.modified})
		}
	}
	slices.SortFunc(entries, func(a, b rebased.Object) int { return strings.Compare(a.Key, b.Key) })
	return entries
}

// Delete implements rebased.Objects.
func (o *Objects) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.objects, key)
	return nil
}

// etagOf is quoted and depends on the bytes alone, as S3's is.
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}
