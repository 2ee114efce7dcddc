package s3

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// pace says how long calls wait.
type pace struct {
	attempts int           // of one call, the first included
	backoff  time.Duration // before the second attempt, doubled with each; what is waited is between half of it and all of it
	longest  time.Duration // a wait that the server asks for beyond this is the caller's: Throttled with RetryAfter
	answer   time.Duration // what an attempt may take apart from moving bytes
	rate     int64         // bytes a second, the slowest transfer that is waited for
}

func defaultPace() pace {
	return pace{attempts: 3, backoff: 200 * time.Millisecond, longest: 5 * time.Second, answer: 30 * time.Second, rate: 1 << 20}
}

// patience is how long an attempt that moves so many bytes may take.
func (p pace) patience(size int64) time.Duration {
	return p.answer + time.Duration(size/p.rate)*time.Second
}

// attempt is one try of a call. follow tells that so many bytes are to come, once that is known.
type attempt func(ctx context.Context, follow func(size int64)) error

// retry runs a call that sends size bytes until it succeeds, fails for good or has had its attempts, and turns its error into one of the project.
// Every call that goes through it may be repeated: conditional puts see to that themselves.
func (s *Store) retry(ctx context.Context, op string, size int, call attempt) error {
	wait := s.pace.backoff
	for n := 1; ; n++ {
		err := s.once(ctx, op, int64(size), call)
		if err == nil || n == s.pace.attempts || !passing(err) {
			return err
		}
		asked := rebased.RetryAfterOf(err)
		if asked > s.pace.longest {
			return err
		}
		if err := sleep(ctx, op, max(asked, wait/2+rand.N(wait/2+1))); err != nil { //nolint:gosec // jitter
			return err
		}
		wait *= 2
	}
}

// once makes one attempt, watched.
func (s *Store) once(ctx context.Context, op string, size int64, call attempt) error {
	if s.watch == nil {
		return s.translate(ctx, op, s.try(ctx, size, call))
	}
	operation, _, _ := strings.Cut(op, " ")
	watched, done := s.watch(ctx, operation)
	err := s.translate(ctx, op, s.try(watched, size, call))
	done(err)
	return err
}

// passing reports whether an error may be gone at the next attempt.
func passing(err error) bool {
	kind := rebased.KindOf(err)
	return kind == rebased.Unavailable || kind == rebased.Throttled || statusOf(err) == 409
}

var errNoAnswer = errors.New("the bucket did not answer in time")

// try runs one attempt and ends it when the bucket hangs.
func (s *Store) try(ctx context.Context, size int64, call attempt) error {
	attemptCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(s.pace.patience(size), func() { cancel(errNoAnswer) })
	defer timer.Stop()
	err := call(attemptCtx, func(size int64) { timer.Reset(s.pace.patience(size)) })
	if err != nil && errors.Is(context.Cause(attemptCtx), errNoAnswer) {
		return rebased.E(rebased.Unavailable, "%w", errNoAnswer)
	}
	return err
}

func sleep(ctx context.Context, op string, d time.Duration) error {
	if rebased.Sleep(ctx, d) != nil {
		return ended(ctx, op)
	}
	return nil
}
