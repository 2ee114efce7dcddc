package llm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rebased/rebased"
)

// Bounds of the patience with one request.
const (
	backoffFirst = 500 * time.Millisecond // doubled at each failure, full jitter
	backoffMax   = 30 * time.Second
	longWait     = time.Minute     // a longer wait leaves the activity and becomes a durable timer
	maxThrottled = 5 * time.Minute // of waits, when it is throttled again and again
	maxOutage    = 6               // failures in a row between which nothing was answered: the provider is down, which ends the run
	maxOwn       = 10              // failures between which others were answered: it is this request, which ends its row
)

// ErrNotBilled marks an error of kind Unavailable after which the provider has billed nothing: its status said so, or it was never reached.
// Without the mark a failed request counts as billed, since an answer may have been on its way.
var ErrNotBilled = errors.New("not billed")

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

// call is one request on its way to an answer.
type call struct {
	*run
	request  Request
	key      Key
	bound    rebased.Usage
	entered  bool   // it has a place in run.entered
	reserved bool   // the bound is set aside
	sent     string // the sending in the books; "" without a budget
	paid     *Answer
	waited   time.Duration // while it was throttled
	own      int           // failures between which others were answered
	outage   int           // failures in a row between which nothing was
	seen     health        // when it failed last
	tries    int           // sendings so far
}

// answer gives the stored answer or pays for one.
func (r *run) answer(ctx context.Context, request Request) (Answer, error) {
	c := &call{run: r, request: request, key: request.Key(), bound: Bound(request)}
	answer, _, err := r.log.Do(ctx, c.key, func() (Answer, string, error) {
		err := c.bring(ctx)
		if err != nil {
			return Answer{}, "", err
		}
		return *c.paid, c.sent, nil
	})
	c.close(ctx)
	if err != nil {
		return Answer{}, err
	}
	r.count(ctx, c.key, answer, c.paid != nil)
	return answer, nil
}

// bring sends the request until it is answered, refused, or patience ends. Being throttled is no failure: it only costs time.
func (c *call) bring(ctx context.Context) error {
	if err := c.enter(); err != nil {
		return err
	}
	for wait, again := backoffFirst, false; ; wait, again = min(2*wait, backoffMax), true {
		if err := c.reserve(); err != nil {
			return err
		}
		taken := c.lane.estimate(c.bound)
		if err := c.lane.enter(c.sending, taken, again); err != nil { //nolint:contextcheck // ends with ctx, or before
			return err
		}
		answer, err := c.send(ctx, taken)
		if err == nil {
			answer.By = c.params.Account
			c.paid = &answer
			return nil
		}
		if !notBilled(err) {
			c.burn()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pause, err := c.after(err, time.Duration(c.jitter()*float64(wait)))
		if err != nil {
			return err
		}
		if err := c.sleep(pause); err != nil {
			return err
		}
	}
}

// enter waits for a place in the books.
func (c *call) enter() error {
	if c.run.entered == nil {
		return nil
	}
	select {
	case c.run.entered <- struct{}{}:
		c.entered = true
		return nil
	case <-c.sending.Done():
		return context.Cause(c.sending)
	}
}

// reserve sets the bound aside and enters it in the books, once for each sending that may be billed.
func (c *call) reserve() (err error) {
	if c.reserved {
		return nil
	}
	if err := c.ledger.reserve(c.sending, boundAmount(c.params.Price, c.bound, false)); err != nil {
		return err
	}
	c.reserved = true
	if c.params.Grant != nil {
		c.sent, err = c.log.Intend(c.sending, c.key, c.params.Account, c.bound)
	}
	return err
}

// burn counts a sending as billed at its bound; in the books it stays open.
func (c *call) burn() {
	bound := boundAmount(c.params.Price, c.bound, false)
	if c.params.Grant == nil {
		bound = rebased.Amount{}
	}
	c.settle(bound)
	c.reserved, c.sent = false, ""
}

// settle replaces what was set aside by what was spent.
func (c *call) settle(spent rebased.Amount) {
	c.ledger.settle(boundAmount(c.params.Price, c.bound, false), spent)
	c.runner.Gauge.paid(spent)
}

// close settles what was reserved, once the answer is durable or the call has ended without one.
func (c *call) close(ctx context.Context) {
	if c.reserved {
		actual := rebased.Amount{}
		if c.paid != nil {
			actual = AmountOf(c.params.Price, *c.paid)
		} else {
			c.log.Void(ctx, c.key, c.params.Account, c.sent)
		}
		c.settle(actual)
	}
	if c.paid != nil {
		c.lane.stored()
	}
	if c.entered {
		<-c.run.entered
	}
}

// notBilled tells whether an error says that nothing is billed.
func notBilled(err error) bool {
	switch rebased.KindOf(err) {
	case "":
		return false
	case rebased.Unavailable:
		return errors.Is(err, ErrNotBilled)
	}
	return true
}

// after says how long to wait after an error before the request is sent again, at least pause; or which error ends it.
func (c *call) after(err error, pause time.Duration) (time.Duration, error) {
	c.failed.Add(1)
	asked := rebased.RetryAfterOf(err)
	pause = max(pause, asked)
	switch rebased.KindOf(err) {
	case rebased.Throttled:
		if c.waited += pause; pause > longWait || c.waited > maxThrottled {
			return 0, err
		}
	case rebased.Unavailable:
		if failed := c.blame(err); failed != nil {
			return 0, failed
		}
		if pause > longWait {
			return 0, err
		}
	default:
		if rejected := rowErrorOf(err); rejected != nil {
			return 0, rejected
		}
		return 0, err
	}
	return pause, nil
}

// blame tells a request that fails while others are answered, which ends its row, from a provider that is down, which ends the run. While others
// are under way and none of them has failed, neither can be told. nil = try again.
func (c *call) blame(err error) error {
	before, now := c.seen, c.lane.health()
	c.seen = now
	first := before == (health{})
	switch {
	case !first && now.answers > before.answers:
		c.own, c.outage = c.own+1, 0
	case first || now.failures > before.failures+1 || now.inFlight == 0:
		c.outage++
	}
	switch {
	case c.own >= maxOwn:
		detail := fmt.Sprintf("failed %d times while other calls were answered: %v", c.own+1, err)
		return &rowError{problem: Problem{rebased.ReasonUnavailable, detail}, sent: c.own + 1}
	case c.outage >= maxOutage:
		return err
	}
	return nil
}

// send sends the request once. The traffic has let it through, for so many tokens as it is taken to use.
func (c *call) send(ctx context.Context, taken float64) (Answer, error) {
	start := time.Now()
	c.runner.Gauge.sent()
	answer, err := c.ask(ctx)
	what, used := failed, taken
	switch {
	case err == nil:
		what, used = answered, float64(answer.Usage.InputTokens+answer.Usage.OutputTokens)
	case rebased.KindOf(err) == rebased.Throttled:
		what, used = throttled, 0
	case notBilled(err) && rebased.KindOf(err) != rebased.Unavailable:
		what, used = refused, 0
	}
	switch rebased.KindOf(err) {
	case rebased.Unauthorized, rebased.Exhausted, rebased.NotFound: // before another call takes the slot
		c.stop(err)
	}
	c.runner.Gauge.ended(what)
	c.lane.exit(start, what, answer.Rate, rebased.RetryAfterOf(err), taken, used)
	observer(c.runner.Observer).Asked(ctx, Call{
		Payer: c.params.payer(), Took: time.Since(start), Retry: c.tries > 0, ReAsk: c.request.Ask > 0, Err: err, Spent: spentOn(c.params.Price, answer),
	})
	c.tries++
	return answer, err
}

func (c *call) ask(ctx context.Context) (Answer, error) {
	if c.params.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.params.Timeout)
		defer cancel()
	}
	answer, err := c.runner.Teacher.Ask(ctx, c.request)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Answer{}, rebased.E(rebased.Unavailable, "no answer within %s", c.params.Timeout)
	}
	return answer, err
}

func (c *call) sleep(d time.Duration) error {
	if err := rebased.Sleep(c.sending, d); err != nil {
		return context.Cause(c.sending)
	}
	return nil
}

func (r *run) jitter() float64 {
	if r.runner.Jitter != nil {
		return r.runner.Jitter()
	}
	return rand.Float64() //nolint:gosec // spreads retries, guards nothing
}
