package llm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebased/rebased"
)

// maxReAsks is how often an unusable answer is asked for again.
const maxReAsks = 2

// Runner asks a teacher, through the store and within the traffic of its process.
type Runner struct {
	Teacher Teacher
	Store   *Store
	Traffic *Traffic // nil = of its own
	Gauge   *Gauge   // is told of each call; nil = nobody looks
	// Sending ends when nothing more is to be sent; calls under way go on, their answers are paid. nil = with the run.
	Sending  context.Context //nolint:containedctx // a run has two ends
	Observer Observer        // nil = none
	// Jitter gives a number in [0, 1). nil = random.
	Jitter func() float64
}

// Params are what all questions of one run share.
type Params struct {
	Model       string
	Temperature float64
	MaxTokens   int
	System      string
	Schema      string
	Timeout     time.Duration // of one call
	Charge
}

// Charge says for whom a shard asks, and how much it may.
type Charge struct {
	Task    string        // name
	Step    string        // of the build
	Build   string        // shards of one build use their shares together
	Account string        // of this step and shard: who pays; "" = nobody keeps books
	Share   Share         //
	Price   rebased.Price // zero = unknown: money is not counted
	// Grant is the most that Account may have spent when the run ends, earlier attempts included. nil = no budget. A unit without a cap is rebased.Uncapped.
	Grant *rebased.Amount
	// Settled is what of Account is counted already where the gauge is read.
	Settled rebased.Amount
}

// ParamsOf takes the parameters from a task's teacher.
func ParamsOf(t rebased.Teacher, system string, charge Charge) Params {
	return Params{
		Model: t.Model, Temperature: t.Temperature, MaxTokens: t.MaxTokens, System: system, Timeout: t.Timeout.Duration(), Charge: charge,
	}
}

// payer says for what the calls of a run are.
func (p Params) payer() Payer { return Payer{Task: p.Task, Step: p.Step, Model: p.Model} }

// Problem is why an answer cannot be used. Its Detail goes to the reject and, in a re-ask, to the teacher.
type Problem struct {
	Reason rebased.Reason
	Detail string
}

// Question is one row's prompt and how to read its answer. Parse must be pure: it is called again for a stored answer.
type Question[T any] struct {
	Prompt string
	Shared int // bytes of Prompt's beginning that are equal in all questions of a step
	Sample int // 0, or the number of a further answer to the same prompt
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

// Bill is what a run did and what its account has spent.
type Bill struct {
	Calls rebased.Calls
	Spent rebased.Amount  // by the account, earlier attempts and what may have been billed included
	Short *rebased.Amount // the grant was spent before all was asked: what the next call may cost at most; nil = all was asked
}

// Run asks n questions and gives their outcomes in order; see Rows.
func Run[T any](ctx context.Context, r *Runner, p Params, n int, question func(i int) Question[T], done func(int)) ([]Outcome[T], Bill, error) {
	one := func(i int, ask func(Question[T]) (Outcome[T], error)) (Outcome[T], error) { return ask(question(i)) }
	return Rows(ctx, r, p, n, one, done)
}

// Rows brings n rows to their outcomes and gives these in order. row asks the questions of one row, one after the other as it needs them, and must
// ask the same ones when it is given the same answers; it is called from several goroutines, and an error of ask is to be returned. done is called after each row, from several goroutines, with how many are done. When
// the grant is spent, Bill.Short is set and there are no outcomes. When an error ends the run, its kind is Throttled (with RetryAfter),
// Unavailable, Unauthorized or Exhausted; or it is ctx's. Either way nothing more is sent, what is under way is waited for, unless ctx ended, and
// every answer is stored: the next run finds it.
func Rows[T, V any](
	ctx context.Context, r *Runner, p Params, n int, row func(i int, ask func(Question[T]) (Outcome[T], error)) (V, error), done func(int),
) ([]V, Bill, error) {
	run, err := begin(ctx, r, p, n)
	if err != nil {
		return nil, Bill{}, err
	}
	complete := false
	defer func() { run.end(complete) }()
	outcomes := make([]V, n)
	put := func(q Question[T]) (Outcome[T], error) { return ask(ctx, run, q) }
	var next, finished atomic.Int64
	var rows sync.WaitGroup
	for range min(rowsAtOnce(p.Share), n) {
		rows.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && run.sending.Err() == nil; i = int(next.Add(1)) - 1 {
				outcome, err := row(i, put)
				if errors.Is(err, errShort) {
					return
				}
				if err != nil {
					run.stop(err)
					return
				}
				outcomes[i] = outcome
				run.lane.left.Add(-1)
				done(int(finished.Add(1)))
			}
		})
	}
	rows.Wait()
	bill := run.bill()
	if run.sending.Err() != nil {
		return nil, bill, context.Cause(run.sending) //nolint:contextcheck // ends with ctx, or before
	}
	if bill.Short != nil {
		return nil, bill, nil
	}
	complete = true
	return outcomes, bill, nil
}

// rowsAtOnce is how many rows are under way: enough to use what other shards leave of their shares, while answers are being stored too.
func rowsAtOnce(s Share) int {
	const more = 32
	return 2*max(1, s.InFlight) + more
}

// run is one call of Run.
type run struct {
	runner *Runner
	params Params
	log    *Log
	lane   *lane
	ledger *ledger
	failed atomic.Int64

	// sending ends when nothing more is to be sent; calls under way go on, their answers are paid.
	sending context.Context //nolint:containedctx // the end of sending is one of two ends that a call has
	stop    context.CancelCauseFunc

	// entered holds a place for each call that may stand in the books before it is sent: a crash counts them all at their bounds. nil = no budget.
	entered chan struct{}

	mu           sync.Mutex
	counted      map[Key]bool
	made, reused int
}

func begin(ctx context.Context, r *Runner, p Params, rows int) (*run, error) {
	out := &run{runner: r, params: p, counted: map[Key]bool{}}
	request := p.request(r.Teacher.Endpoint(), "")
	var err error
	if out.log, err = r.Store.Open(ctx, request.Scope()); err != nil {
		return nil, err
	}
	traffic := r.Traffic
	if traffic == nil {
		traffic = NewTraffic()
	}
	out.ledger = newLedger(p.Grant, out.log.Account(p.Account).Amount(p.Price))
	out.lane = traffic.join(p.Build, request.Endpoint+" "+p.Model, p.Share, rows)
	r.Gauge.joined(out.lane, out.ledger.spent.Sub(p.Settled))
	if p.Grant != nil {
		out.entered = make(chan struct{}, 1+p.Share.InFlight+p.Share.InFlight/2)
	}
	out.sending, out.stop = context.WithCancelCause(ctx)
	if r.Sending != nil {
		context.AfterFunc(r.Sending, func() { out.stop(context.Cause(r.Sending)) }) //nolint:contextcheck // another end than that of ctx
	}
	return out, nil
}

func (r *run) end(complete bool) {
	r.stop(nil)
	r.lane.leave(complete)
	r.log.Close()
}

func (r *run) bill() Bill {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	return Bill{
		Calls: rebased.Calls{Made: r.made, Reused: r.reused, Failed: int(r.failed.Load())},
		Spent: r.ledger.spent, Short: r.ledger.short,
	}
}

// count tells answers that were paid now, or in an earlier attempt for the same account, from those that were there.
func (r *run) count(ctx context.Context, key Key, a Answer, paid bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ours := paid || a.By != "" && a.By == r.params.Account
	if ours && !r.counted[key] {
		r.counted[key] = true
		r.made++
		return
	}
	r.reused++
	observer(r.runner.Observer).Reused(ctx, r.params.payer())
}

func (p Params) request(endpoint, prompt string) Request {
	return Request{
		Endpoint: endpoint, Model: p.Model, Temperature: p.Temperature, MaxTokens: p.MaxTokens, System: p.System, Schema: p.Schema, Prompt: prompt,
	}
}

// ask brings one row to its outcome: the first usable answer of up to three asks.
func ask[T any](ctx context.Context, r *run, q Question[T]) (Outcome[T], error) {
	var out Outcome[T]
	request := r.params.request(r.runner.Teacher.Endpoint(), q.Prompt)
	request.Shared, request.Sample = q.Shared, q.Sample
	for request.Ask = 0; request.Ask <= maxReAsks; request.Ask++ {
		if out.Problem != nil {
			request.Prompt, request.Shared = reAskPrompt(q.Prompt, out.Problem, request.Ask), 0
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

// reAskPrompt says what was wrong. The words differ with each ask, so that a provider that keeps answers does not give the same one again.
func reAskPrompt(prompt string, p *Problem, ask int) string {
	earlier := [...]string{1: "An earlier answer to this", 2: "Two earlier answers to this"}[ask]
	return earlier + " could not be used: " + p.Detail + ". Keep to the form that is asked for.\n\n" + prompt
}
