package llm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebased/rebased"
)

// Bounds of the runner's patience.
const (
	maxReAsks        = 2                      // after an unusable answer
	maxFailures      = 6                      // of one request with 5xx, timeouts or cut connections, in one attempt of an activity
	backoffFirst     = 500 * time.Millisecond // doubled at each failure, full jitter
	backoffMax       = 30 * time.Second
	longWait         = time.Minute     // a longer wait leaves the activity and becomes a durable timer
	maxThrottledWait = 5 * time.Minute // of one request that is throttled again and again
)

// Runner asks a teacher, through the store.
type Runner struct {
	Teacher Teacher
	Store   *Store
	// Sleep waits, or ends early with ctx's error. nil = real time.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter gives a number in [0, 1). nil = random.
	Jitter func() float64
}

// Params are what all questions of one step share.
type Params struct {
	Model       string
	Temperature float64
	MaxTokens   int
	System      string
	Timeout     time.Duration // of one call
	InFlight    int           // calls under way at once
}

// Problem is why an answer cannot be used. Its Detail goes to the reject and, in a re-ask, to the teacher.
type Problem struct {
	Reason rebased.Reason
	Detail string
}

// Question is one row's prompt and how to read its answer. Parse must be pure: it is called again for a stored answer.
type Question[T any] struct {
	Prompt string
	Parse  func(Answer) (T, *Problem)
}

// Outcome is what came of one row. Problem is nil for a usable value.
type Outcome[T any] struct {
	Value     T
	Problem   *Problem
	Attempts  int      // requests that were sent or found answered; what was throttled and then answered counts once
	Responses []string // keys of these answers, in order
	Usage     rebased.Usage
	Model     string
}

// Run asks n questions with at most p.InFlight calls under way and gives their outcomes in order. done is called after each row, from several
// goroutines, with how many are done. An error ends the run: what was answered by then is stored, and the next run finds it. Its kind is
// Throttled (with RetryAfter), Unavailable, Unauthorized or Exhausted; or it is ctx's.
func Run[T any](ctx context.Context, r *Runner, p Params, n int, question func(i int) Question[T], done func(int)) ([]Outcome[T], rebased.Calls, error) {
	run := &run{runner: r, params: p}
	request := run.request("")
	var err error
	if run.log, err = r.Store.Open(ctx, request.Scope()); err != nil {
		return nil, rebased.Calls{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	outcomes := make([]Outcome[T], n)
	var next, finished atomic.Int64
	var workers sync.WaitGroup
	for range min(max(1, p.InFlight), n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				outcome, err := ask(ctx, run, question(i))
				if err != nil {
					cancel(err)
					return
				}
				outcomes[i] = outcome
				done(int(finished.Add(1)))
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return nil, run.calls(), context.Cause(ctx)
	}
	return outcomes, run.calls(), nil
}

// run is one call of Run.
type run struct {
	runner               *Runner
	params               Params
	log                  *Log
	made, reused, failed atomic.Int64
}

func (r *run) calls() rebased.Calls {
	return rebased.Calls{Made: int(r.made.Load()), Reused: int(r.reused.Load()), Failed: int(r.failed.Load())}
}

func (r *run) request(prompt string) Request {
	return Request{
		Endpoint: r.runner.Teacher.Endpoint(), Model: r.params.Model, Temperature: r.params.Temperature, MaxTokens: r.params.MaxTokens,
		System: r.params.System, Prompt: prompt,
	}
}

// ask brings one row to its outcome: the first usable answer of up to three asks.
func ask[T any](ctx context.Context, r *run, q Question[T]) (Outcome[T], error) {
	var out Outcome[T]
	request := r.request(q.Prompt)
	for request.Ask = 0; request.Ask <= maxReAsks; request.Ask++ {
		if out.Problem != nil {
			request.Prompt = reAskPrompt(q.Prompt, out.Problem)
		}
		answer, err := r.answer(ctx, request)
		if rejected := (*rowError)(nil); errors.As(err, &rejected) {
			out.Problem = &rejected.problem
			out.Attempts += rejected.sent
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out.Attempts++
		out.Responses = append(out.Responses, string(request.Key()))
		out.Usage = out.Usage.Add(answer.Usage)
		out.Model = answer.Model
		switch answer.Finish {
		case FinishLength:
			out.Problem = &Problem{rebased.ReasonTooLong, fmt.Sprintf("the answer was cut at max_tokens (%d)", r.params.MaxTokens)}
			return out, nil
		case FinishRefused:
			out.Problem = &Problem{rebased.ReasonRefused, ErrRefused.Error()}
			return out, nil
		}
		if out.Value, out.Problem = q.Parse(answer); out.Problem == nil {
			return out, nil
		}
	}
	return out, nil
}

func reAskPrompt(prompt string, p *Problem) string {
	return "An earlier answer to this could not be used: " + p.Detail + ". Keep to the form that is asked for.\n\n" + prompt
}

// rowError is an error that ends one row and leaves the others alone.
type rowError struct {
	problem Problem
	sent    int // requests that ended in it
}

func (e *rowError) Error() string { return e.problem.Detail }

// rowErrorOf finds the typed reject in what a provider said of one request; nil when it is not this request's fault.
func rowErrorOf(err error) error {
	reason := rebased.ReasonBadRequest
	switch {
	case errors.Is(err, ErrTooLong):
		reason = rebased.ReasonTooLong
	case errors.Is(err, ErrRefused):
		reason = rebased.ReasonRefused
	case rebased.KindOf(err) != rebased.Invalid && rebased.KindOf(err) != rebased.Rejected:
		return nil
	}
	return &rowError{problem: Problem{reason, err.Error()}, sent: 1}
}

// answer gives the stored answer or pays for one.
func (r *run) answer(ctx context.Context, request Request) (Answer, error) {
	answer, stored, err := r.log.Do(ctx, request.Key(), func() (Answer, error) { return r.call(ctx, request) })
	if stored {
		r.reused.Add(1)
	}
	return answer, err
}

// call sends a request until it is answered, refused, or patience ends. Being throttled is no failure: it only costs time.
func (r *run) call(ctx context.Context, request Request) (Answer, error) {
	answeredBefore := r.made.Load()
	var throttled time.Duration
	for failures, wait := 0, backoffFirst; ; wait = min(2*wait, backoffMax) {
		answer, err := r.send(ctx, request)
		if err == nil {
			r.made.Add(1)
			return answer, nil
		}
		if ctx.Err() != nil {
			return Answer{}, context.Cause(ctx)
		}
		r.failed.Add(1)
		pause := time.Duration(r.jitter() * float64(wait))
		switch rebased.KindOf(err) {
		case rebased.Throttled:
			pause = max(pause, rebased.RetryAfterOf(err))
			if throttled += pause; pause > longWait || throttled > maxThrottledWait {
				return Answer{}, err
			}
		case rebased.Unavailable:
			pause = max(pause, rebased.RetryAfterOf(err))
			if failures++; failures >= maxFailures || pause > longWait {
				return Answer{}, r.giveUp(err, answeredBefore)
			}
		default:
			if rejected := rowErrorOf(err); rejected != nil {
				return Answer{}, rejected
			}
			return Answer{}, err
		}
		if err := r.sleep(ctx, pause); err != nil {
			return Answer{}, context.Cause(ctx)
		}
	}
}

// giveUp tells a request that fails while others are answered, which ends its row, from a provider that is down, which ends the run.
func (r *run) giveUp(err error, answeredBefore int64) error {
	if r.made.Load() > answeredBefore {
		detail := fmt.Sprintf("failed %d times while other calls were answered: %v", maxFailures, err)
		return &rowError{problem: Problem{rebased.ReasonUnavailable, detail}, sent: maxFailures}
	}
	return err
}

func (r *run) send(ctx context.Context, request Request) (Answer, error) {
	if r.params.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.params.Timeout)
		defer cancel()
	}
	answer, err := r.runner.Teacher.Ask(ctx, request)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Answer{}, rebased.E(rebased.Unavailable, "no answer within %s", r.params.Timeout)
	}
	return answer, err
}

func (r *run) sleep(ctx context.Context, d time.Duration) error {
	if r.runner.Sleep != nil {
		return r.runner.Sleep(ctx, d)
	}
	return sleepFor(ctx, d)
}

func (r *run) jitter() float64 {
	if r.runner.Jitter != nil {
		return r.runner.Jitter()
	}
	return rand.Float64() //nolint:gosec // spreads retries, guards nothing
}

// ParamsOf takes the parameters from a task's teacher.
func ParamsOf(t rebased.Teacher, system string, inFlight int) Params {
	return Params{
		Model: t.Model, Temperature: t.Temperature, MaxTokens: t.MaxTokens, System: system, Timeout: t.Timeout.Duration(), InFlight: inFlight,
	}
}
