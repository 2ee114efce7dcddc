package llm

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rebased/rebased"
)

// Batches hands requests to providers in batches. A batch is no more than a way to fill the store: once it has ended, a run finds its answers
// there and asks for what is missing one by one.
//
// Whatever must survive a crash stands in the bucket before it is done: responses/batches/<scope>/ holds a record for each batch under way, made
// with put-if-absent on the next number, so that of two who are about to ask the same only one does. A record is written before its batch is
// submitted; whoever comes after a crash finds it, and by it the batch. Anyone may carry a batch on: the shard that made it, its next attempt,
// or another build that needs the same answers. It is gone once its answers are stored.
type Batches struct {
	Store *Store
	// Alive tells whether this process may submit, as for Traffic. nil = always.
	Alive func() bool
	Now   func() time.Time // nil = time.Now
	Log   *slog.Logger     // nil = none

	Observer Observer // nil = none

	mu sync.Mutex // one in this process makes records at a time
}

// Ticket names a batch under way.
type Ticket struct {
	Scope string `json:"scope"`
	N     int    `json:"n"`    // of its record; once that is gone another may have it
	Name  string `json:"name"` // no other's
}

// Bounds of a batch, far within those of the providers (OpenAI: 50,000 requests and 200 MB; Anthropic: 100,000 and 256 MB).
const (
	maxBatchRequests = 10_000
	maxBatchBytes    = 64 << 20 // of prompts
	maxTries         = 3        // submissions of which nothing was heard or found
)

// Times in the life of a batch.
const (
	submitWithin  = 2 * time.Minute     // a submission is given up after
	lostAfter     = 2 * submitWithin    // from its start: by then a submission that nobody finds did not arrive
	clockSkew     = 10 * time.Minute    // between us and a provider, at most
	queueFull     = 5 * time.Minute     // before a batch is submitted again that the provider's queue had no room for
	batchWindow   = 25 * time.Hour      // providers end a batch within a day; later it is canceled
	batchPatience = 27 * time.Hour      // later nobody waits for it
	batchesKept   = 28 * 24 * time.Hour // by providers, some days less; what is left of a batch is of no use then
	endedKept     = 48 * time.Hour      // the name of one that has ended
	missingFor    = time.Hour           // that a provider must not know a batch, until that is believed
)

// Begun is what became of the requests of a shard.
type Begun struct {
	Tickets []Ticket       // batches under way that hold some of them; not necessarily made here
	Rest    int            // requests without an answer for another batch: more than one holds, or theirs is being canceled
	Short   bool           // none of the rest fits the grant
	Spent   rebased.Amount // by the account so far, what may yet be billed included
}

// Begin finds requests that have no answer in the batches under way, and submits one more batch of those that are in none, as far as the grant
// goes. It can be called again after a failure: what was made is found.
func (b *Batches) Begin(ctx context.Context, teacher Batcher, requests []Request, charge Charge) (Begun, error) {
	if len(requests) == 0 {
		return Begun{}, nil
	}
	scope := requests[0].Scope()
	log, err := b.Store.Open(ctx, scope)
	if err != nil {
		return Begun{}, err
	}
	defer log.Close()
	out, made, err := b.reserve(ctx, log, requests, charge)
	if err == nil && made != nil {
		out.Tickets = append(out.Tickets, *made)
		_, err = b.Advance(ctx, teacher, *made)
	}
	out.Spent = log.Account(charge.Account).Amount(charge.Price)
	return out, err
}

// reserve finds the batches that hold some of the requests, and makes the record of one for what is in none. made is nil when there is no need,
// or no money. Under a budget an account has one batch at a time.
func (b *Batches) reserve(ctx context.Context, log *Log, requests []Request, charge Charge) (out Begun, made *Ticket, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		open, last, err := b.open(ctx, log.scope)
		if err != nil {
			return out, nil, err
		}
		rest, again, tickets := covered(log.without(requests), open)
		if out = (Begun{Tickets: tickets}); len(rest) == 0 {
			out.Rest = again
			return out, nil, nil
		}
		if own := slices.IndexFunc(open, func(r *record) bool { return r.By == charge.Account }); own >= 0 && charge.Grant != nil {
			// What it may cost may not stand in the books yet: the rest waits for it.
			if out.Rest = len(rest) + again; !slices.Contains(out.Tickets, open[own].ticket) {
				out.Tickets = append(out.Tickets, open[own].ticket)
			}
			return out, nil, nil
		}
		part := affordable(rest, log.Account(charge.Account).Amount(charge.Price), charge)
		if out.Rest, out.Short = len(rest)-len(part)+again, len(part) == 0; out.Short {
			return out, nil, nil
		}
		ticket := Ticket{Scope: log.scope, N: last + 1, Name: "rebased-" + rand.Text()}
		err = b.make(ctx, log, ticket, part, charge)
		if rebased.KindOf(err) != rebased.Conflict { // else somebody made one meanwhile, which may hold the same
			return out, &ticket, err
		}
	}
}

// covered takes the requests out that open batches hold, and names these batches. So many of them are to be asked for again: their batch is being
// canceled.
func covered(requests []Request, open []*record) (rest []Request, again int, tickets []Ticket) {
	named := map[Ticket]bool{}
	for _, r := range requests {
		holder := (*record)(nil)
		for _, o := range open {
			if o.holds(r.Key()) {
				holder = o
				break
			}
		}
		if holder == nil {
			rest = append(rest, r)
			continue
		}
		if holder.Unwanted || holder.Canceled {
			again++
		}
		if !named[holder.ticket] {
			named[holder.ticket] = true
			tickets = append(tickets, holder.ticket)
		}
	}
	return rest, again, tickets
}

// affordable is the beginning of requests whose bounds the grant covers and that one batch can hold.
func affordable(requests []Request, spent rebased.Amount, charge Charge) []Request {
	size := 0
	for i, r := range requests {
		spent = spent.Add(boundAmount(charge.Price, Bound(r), true))
		size += len(r.System) + len(r.Prompt) + len(r.Schema)
		if i >= maxBatchRequests || (size > maxBatchBytes && i > 0) || (charge.Grant != nil && !spent.Within(*charge.Grant)) {
			return requests[:i]
		}
	}
	return requests
}

// make writes the record of a new batch. Conflict: the number is taken, or some of the requests were answered meanwhile.
func (b *Batches) make(ctx context.Context, log *Log, t Ticket, requests []Request, charge Charge) error {
	r := &record{
		ticket: t, Name: t.Name, By: charge.Account, Build: charge.Build, Booked: charge.Grant != nil, Made: b.now(),
		Task: charge.Task, Step: charge.Step, Model: requests[0].Model, Price: charge.Price,
	}
	for _, q := range requests {
		r.Keys = append(r.Keys, q.Key())
	}
	if err := b.putRequests(ctx, r, requests); err != nil {
		return err
	}
	if err := b.create(ctx, r); err != nil {
		if rebased.KindOf(err) == rebased.Conflict { // else it may have been written
			b.drop(ctx, r)
		}
		return err
	}
	// A batch may have ended, its answers stored and its record gone, since the log was read.
	if err := log.refresh(ctx); err != nil {
		return err
	}
	if len(log.without(requests)) == len(requests) {
		return nil
	}
	if err := b.forget(ctx, r); err != nil {
		return err
	}
	return rebased.E(rebased.Conflict, "answers came in meanwhile")
}

// without gives the requests that have no stored answer, each key once.
func (l *Log) without(requests []Request) (rest []Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[Key]bool{}
	for _, r := range requests {
		key := r.Key()
		if _, known := l.places.find(key); known || seen[key] {
			continue
		}
		seen[key] = true
		rest = append(rest, r)
	}
	return rest
}

func (b *Batches) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

func (b *Batches) alive() error {
	if b.Alive == nil || b.Alive() {
		return nil
	}
	return rebased.E(rebased.Unavailable, "this worker was not heard of lately: it submits no batch, another may have its work")
}

// tell tells the observer of a step in the life of a batch.
func (b *Batches) tell(ctx context.Context, r *record, e BatchEvent) {
	observer(b.Observer).Batched(ctx, r.payer(), e)
}

func (b *Batches) warn(ctx context.Context, text string, r *record, args ...any) {
	if b.Log != nil {
		b.Log.WarnContext(ctx, text, append([]any{"build", r.Build, "batch", r.Batch, "name", r.Name}, args...)...)
	}
}
