package llm_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

// crashing fails from the n-th operation on, before or after it took place.
type crashing struct {
	rebased.Objects
	left  int
	after bool
	crash context.CancelFunc
}

var errCrashed = errors.New("crashed")

func (c *crashing) do(op func() error) error {
	if c.left--; c.left < 0 && (!c.after || c.left < -1) {
		c.crash()
		return errCrashed
	}
	err := op()
	if c.left < 0 {
		c.crash()
		return errCrashed
	}
	return err
}

func (c *crashing) Get(ctx context.Context, key string) (body []byte, etag string, err error) {
	err = c.do(func() (err error) { body, etag, err = c.Objects.Get(ctx, key); return err })
	return body, etag, err
}

func (c *crashing) Put(ctx context.Context, key string, body []byte) (etag string, err error) {
	err = c.do(func() (err error) { etag, err = c.Objects.Put(ctx, key, body); return err })
	return etag, err
}

func (c *crashing) PutIfAbsent(ctx context.Context, key string, body []byte) (etag string, err error) {
	err = c.do(func() (err error) { etag, err = c.Objects.PutIfAbsent(ctx, key, body); return err })
	if errors.Is(err, errCrashed) && !strings.Contains(key, "/batches/") {
		runtime.Goexit() // it would try again without end to store what was paid for
	}
	return etag, err
}

func (c *crashing) PutIfMatch(ctx context.Context, key, etag string, body []byte) (now string, err error) {
	err = c.do(func() (err error) { now, err = c.Objects.PutIfMatch(ctx, key, etag, body); return err })
	return now, err
}

func (c *crashing) Delete(ctx context.Context, key string) error {
	return c.do(func() error { return c.Objects.Delete(ctx, key) })
}

func (c *crashing) List(ctx context.Context, prefix string) iter.Seq2[rebased.Object, error] {
	if err := c.do(func() error { return nil }); err != nil {
		return func(yield func(rebased.Object, error) bool) { yield(rebased.Object{}, err) }
	}
	return c.Objects.List(ctx, prefix)
}

func TestABatchIsNeverPaidTwiceWhereverTheWorkerCrashes(t *testing.T) {
	for _, unnamed := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for _, grant := range []*rebased.Amount{nil, {Pico: rebased.Uncapped, Tokens: 1_000_000}} {
				for n := 0; ; n++ {
					o, requests := newOffice(), questions(5)
					o.teacher.Unnamed, o.charge.Grant = unnamed, grant
					ctx, cancel := context.WithCancel(t.Context())
					bucket := &crashing{Objects: o.bucket, left: n, after: after, crash: cancel}
					o.restart(bucket)
					err := o.bring(ctx, requests)
					cancel()
					if bucket.left >= 0 {
						if err != nil {
							t.Fatal(err)
						}
						break // it came to its end without a crash
					}
					o.clock = o.clock.Add(time.Minute)
					o.restart(o.bucket)
					o.must(t, requests)
					o.must(t, requests)
					taken, _ := o.teacher.Submitted()
					if total, most := o.teacher.Asked(); taken != 1 || total != 5 || most != 1 || o.stored(t, requests) != 5 {
						t.Errorf("unnamed %v, crash at %d, after %v: %d batches, %d answers, at most %d for one, %d stored",
							unnamed, n, after, taken, total, most, o.stored(t, requests))
					}
					if left := o.left(t); len(left) > 0 && !strings.HasSuffix(left[0], ".requests") {
						t.Errorf("unnamed %v, crash at %d, after %v: left %v", unnamed, n, after, left)
					}
				}
			}
		}
	}
}
