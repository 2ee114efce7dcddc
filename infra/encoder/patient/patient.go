// Package patient has the patience with an encoder that others serve, by the rules for teachers: it is the one place where an encoding is tried
// again. A few requests are under way at once; one that is throttled waits as long as the server asks, or longer each time; what would wait for
// more than a minute goes back to the caller, who makes it a durable timer.
//
// What a server does not take at once it gets in parts: texts that it refuses together each half for itself, and a text that it refuses alone as
// halves too, whose mean, weighted by bytes, is the text's vector. That is for texts with more tokens than the model reads, which only the server
// can count. So one cell of digits does not end an index.
package patient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/windows"
)

// Bounds of the patience with one request.
const (
	backoffFirst = 500 * time.Millisecond // doubled at each failure, full jitter
	backoffMax   = 30 * time.Second
	longWait     = time.Minute     // a longer wait leaves the activity
	maxThrottled = 5 * time.Minute // of waits, when it is throttled again and again
	maxOutage    = 6               // failures in a row
	fewOutage    = 2               // of a part of what failed while other texts were answered
)

// leastText is the size of a text that is no longer cut, in bytes: no model reads so few tokens.
const leastText = 64

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

// Encode implements rebased.Encoder. Errors are those of the encoder, when patience has ended, parts are refused too, or neither can help.
func (e *Encoder) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for from := 0; from < len(texts) && work.Err() == nil; {
		to := batchEnd(texts, from)
		some, into := texts[from:to], out[from:to]
		group.Go(func() error { return e.batch(work, some, into, maxOutage) })
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

// batch encodes texts by one request, or where their size may be why that fails, by one for each half.
func (e *Encoder) batch(ctx context.Context, texts []string, out [][]float32, outage int) error {
	vectors, err := e.ask(ctx, texts, outage)
	if err == nil {
		copy(out, vectors)
		return nil
	}
	if len(texts) == 0 || !e.tooMuch(ctx, err) {
		return err
	}
	if len(texts) == 1 {
		out[0], err = e.parts(ctx, texts[0], err)
		return about(texts[0], err)
	}
	half := len(texts) / 2
	if err := e.batch(ctx, texts[:half], out[:half], fewOutage); err != nil {
		return err
	}
	return e.batch(ctx, texts[half:], out[half:], fewOutage)
}

// tooMuch tells whether less might be encoded: the request was refused, or the server fails at it again and again while it answers another.
func (e *Encoder) tooMuch(ctx context.Context, err error) bool {
	switch rebased.KindOf(err) {
	case rebased.Invalid:
		return true
	case rebased.Unavailable:
		if rebased.RetryAfterOf(err) > longWait {
			return false
		}
		_, other := e.once(ctx, []string{"a"})
		return other == nil
	}
	return false
}

// parts encodes a text that failed alone, with the error given, by its halves.
func (e *Encoder) parts(ctx context.Context, text string, failed error) ([]float32, error) {
	if len(text) <= leastText {
		return nil, failed
	}
	half := len(text) / 2
	for half > len(text)/2-utf8.UTFMax && !utf8.RuneStart(text[half]) {
		half--
	}
	parts, vectors := []string{text[:half], text[half:]}, make([][]float32, 2)
	for i, part := range parts {
		one, err := e.ask(ctx, []string{part}, fewOutage)
		if err == nil {
			vectors[i] = one[0]
			continue
		}
		if !e.tooMuch(ctx, err) {
			return nil, err
		}
		if vectors[i], err = e.parts(ctx, part, err); err != nil {
			return nil, err
		}
	}
	return windows.Mean(vectors, parts), nil
}

// about says which text an error is about.
func about(text string, err error) error {
	kind := rebased.KindOf(err)
	if kind != rebased.Invalid && kind != rebased.Unavailable {
		return err
	}
	op := fmt.Sprintf("a text of %d bytes, %.60q", len(text), text)
	if len(text) > leastText {
		op += fmt.Sprintf("…, cut to %d bytes and less", leastText)
	}
	return &rebased.Error{Kind: kind, Op: op, RetryAfter: rebased.RetryAfterOf(err), Err: err}
}

// ask sends a request until it is answered or patience ends: after so many failures in a row as outage says.
func (e *Encoder) ask(ctx context.Context, texts []string, outage int) ([][]float32, error) {
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
			if failures++; failures >= outage {
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
