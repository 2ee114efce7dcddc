// Package patient has the patience with an encoder that others serve, by the rules for teachers: it is the one place where an encoding is tried
// again. A few requests are under way at once; one that is throttled waits as long as the server asks, or longer each time; what would wait for
// more than a minute goes back to the caller, who makes it a durable timer.
package patient

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// Bounds of the patience with one request.
const (
	backoffFirst = 500 * time.Millisecond // doubled at each failure, full jitter
	backoffMax   = 30 * time.Second
	longWait     = time.Minute     // a longer wait leaves the activity
	maxThrottled = 5 * time.Minute // of waits, when it is throttled again and again
	maxOutage    = 6               // failures in a row
)

// What goes to the encoder at once, and how many times.
const (
	maxTexts = 256
	maxBytes = 200_000
	atOnce   = 8
)

// Encoder tries again where another try can help.
type Encoder struct {
	rebased.Encoder
	wait  func(ctx context.Context, d time.Duration) error
	calls chan struct{} // under way, over all that use it
}

var _ rebased.Encoder = (*Encoder)(nil)

// New makes an encoder that is patient with inner. wait pauses; nil waits by the clock.
func New(inner rebased.Encoder, wait func(ctx context.Context, d time.Duration) error) *Encoder {
	if wait == nil {
		wait = rebased.Sleep
	}
	return &Encoder{Encoder: inner, wait: wait, calls: make(chan struct{}, atOnce)}
}

// Encode implements rebased.Encoder. Of texts that the server takes no request of together, each half is asked for alone: servers have bounds of
// their own. Errors are those of the encoder, when patience has ended or cannot help.
func (e *Encoder) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for from := 0; from < len(texts) && work.Err() == nil; {
		to := batchEnd(texts, from)
		some, into := texts[from:to], out[from:to]
		group.Go(func() error { return e.batch(work, some, into) })
		from = to
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, ctx.Err()
}

func batchEnd(texts []string, from int) int {
	bytes := 0
	for i, text := range texts[from:] {
		if bytes += len(text); i > 0 && (bytes > maxBytes || i == maxTexts) {
			return from + i
		}
	}
	return len(texts)
}

// batch encodes texts into out, in halves where the server does not take them together.
func (e *Encoder) batch(ctx context.Context, texts []string, out [][]float32) error {
	vectors, err := e.ask(ctx, texts)
	if rebased.KindOf(err) == rebased.Invalid && len(texts) > 1 {
		half := len(texts) / 2
		if first := e.batch(ctx, texts[:half], out[:half]); first != nil {
			return first
		}
		return e.batch(ctx, texts[half:], out[half:])
	}
	copy(out, vectors)
	return err
}

// ask sends a request until it is answered or patience ends.
func (e *Encoder) ask(ctx context.Context, texts []string) ([][]float32, error) {
	waited, failures := time.Duration(0), 0
	for backoff := backoffFirst; ; backoff = min(2*backoff, backoffMax) {
		vectors, err := e.once(ctx, texts)
		pause := max(rebased.RetryAfterOf(err), time.Duration(rand.Float64()*float64(backoff))) //nolint:gosec // no secret
		switch rebased.KindOf(err) {
		case rebased.Throttled:
			if waited += pause; waited > maxThrottled {
				return nil, err
			}
		case rebased.Unavailable:
			if failures++; failures >= maxOutage {
				return nil, err
			}
		default:
			if err == nil && len(vectors) != len(texts) {
				return nil, rebased.E(rebased.Invalid, "encoder %s gave %d vectors for %d texts", e.Identity(), len(vectors), len(texts))
			}
			return vectors, err
		}
		if pause > longWait {
			return nil, err
		}
		if stopped := e.wait(ctx, pause); stopped != nil {
			return nil, errors.Join(stopped, err)
		}
	}
}

func (e *Encoder) once(ctx context.Context, texts []string) ([][]float32, error) {
	select {
	case e.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-e.calls }()
	return e.Encoder.Encode(ctx, texts)
}
