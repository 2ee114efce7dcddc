package llm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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

	mu sync.Mutex // one in this process makes records at a time
}

// Ticket names a batch under way.
type Ticket struct {
	Scope string `json:"scope"`
	N     int    `json:"n"`
}

// Bounds of a batch, far within those of the providers (OpenAI: 50,000 requests and 200 MB; Anthropic: 100,000 and 256 MB).
const (
	maxBatchRequests = 10_000
	maxBatchBytes    = 64 << 20 // of prompts
)

// Times in the life of a batch.
const (
	submitWithin  = time.Minute         // a submission is given up after
	lostAfter     = 2 * submitWithin    // from its start: by then a submission that nobody finds did not arrive
	clockSkew     = 10 * time.Minute    // between us and a provider, at most
	queueFull     = 5 * time.Minute     // before a batch is submitted again that the provider's queue had no room for
	batchWindow   = 25 * time.Hour      // providers end a batch within a day; later it is canceled
	batchPatience = 27 * time.Hour      // later nobody waits for it
	batchesKept   = 28 * 24 * time.Hour // by providers, some days less; what is left of a batch is of no use then
)

// Begun is what became of the requests of a shard.
type Begun struct {
	Tickets []Ticket       // batches under way that hold some of them; not necessarily made here
	Rest    int            // requests without an answer that are in no batch yet: more than one batch holds
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
	out, made, err := b.reserve(ctx, log, requests, charge)
	if err == nil && made != nil {
		out.Tickets = append(out.Tickets, *made)
		_, err = b.Advance(ctx, teacher, *made)
	}
	out.Spent = log.Account(charge.Account).Amount(charge.Price)
	return out, err
}

// reserve finds the batches that hold some of the requests, and makes the record of one for what is in none. made is nil when there is no need,
// or no money.
func (b *Batches) reserve(ctx context.Context, log *Log, requests []Request, charge Charge) (out Begun, made *Ticket, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		open, last, err := b.open(ctx, log.scope)
		if err != nil {
			return out, nil, err
		}
		out = Begun{}
		rest := log.without(requests)
		if rest, out.Tickets = covered(rest, open); len(rest) == 0 {
			return out, nil, nil
		}
		part := affordable(rest, log.Account(charge.Account).Amount(charge.Price), charge)
		if out.Rest, out.Short = len(rest)-len(part), len(part) == 0; out.Short {
			return out, nil, nil
		}
		ticket := Ticket{log.scope, last + 1}
		err = b.make(ctx, log, ticket, part, charge)
		if rebased.KindOf(err) != rebased.Conflict { // else somebody made one meanwhile, which may hold the same
			return out, &ticket, err
		}
	}
}

// covered takes the requests out that open batches hold, and names these batches.
func covered(requests []Request, open []*record) (rest []Request, tickets []Ticket) {
	named := map[Ticket]bool{}
	for _, r := range requests {
		holder := (*record)(nil)
		for _, o := range open {
			if o.holds(r.Key()) {
				holder = o
				break
			}
		}
		switch {
		case holder == nil:
			rest = append(rest, r)
		case !named[holder.ticket]:
			named[holder.ticket] = true
			tickets = append(tickets, holder.ticket)
		}
	}
	return rest, tickets
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
		ticket: t, Name: "rebased-" + rand.Text(), By: charge.Account, Build: charge.Build, Booked: charge.Grant != nil, Made: b.now(),
	}
	for _, q := range requests {
		r.Keys = append(r.Keys, q.Key())
	}
	if err := b.putRequests(ctx, r, requests); err != nil {
		return err
	}
	if err := b.create(ctx, r); err != nil {
		b.drop(ctx, r)
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

func (b *Batches) warn(text string, r *record, args ...any) {
	if b.Log != nil {
		b.Log.Warn(text, append([]any{"build", r.Build, "batch", r.Batch, "name", r.Name}, args...)...)
	}
}

// Advance carries a batch as far as it will go now: submits it, finds it again, looks at it, takes its answers in. ended tells that there is
// nothing to wait for any more.
func (b *Batches) Advance(ctx context.Context, teacher Batcher, t Ticket) (ended bool, err error) {
	r, err := b.read(ctx, t)
	if rebased.KindOf(err) == rebased.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	switch {
	case r.Batch != "":
		return b.look(ctx, teacher, r)
	case r.Canceled && r.Sent.IsZero():
		return true, b.end(ctx, r, nil)
	case r.Sent.IsZero():
		return b.submit(ctx, teacher, r)
	}
	return b.find(ctx, teacher, r)
}

// submit hands a batch in. An outcome that is not known is left for find.
func (b *Batches) submit(ctx context.Context, teacher Batcher, r *record) (ended bool, err error) {
	now := b.now()
	if now.Before(r.NotBefore) && now.Sub(r.Made) < batchWindow {
		return false, nil
	}
	if err := b.alive(); err != nil {
		return false, err
	}
	requests, err := b.requests(ctx, r)
	if rebased.KindOf(err) == rebased.NotFound { // it was being removed
		return true, b.forget(ctx, r)
	}
	if err != nil {
		return false, err
	}
	if r.Booked {
		log, err := b.Store.Open(ctx, r.ticket.Scope)
		if err != nil {
			return false, err
		}
		if err := log.intendBatch(ctx, r.Name, r.By, requests); err != nil {
			return false, err
		}
	}
	r.Sent = now
	if err := b.save(ctx, r); err != nil {
		return false, err
	}
	within, cancel := context.WithTimeout(ctx, submitWithin)
	defer cancel()
	id, err := teacher.Submit(within, r.Name, requests)
	switch kind := rebased.KindOf(err); {
	case err == nil:
		r.Batch = id
		return false, b.save(ctx, r)
	case ctx.Err() != nil:
		return false, ctx.Err()
	case within.Err() != nil || kind == rebased.Unavailable && !notBilled(err) || kind == "":
		b.warn("a batch was submitted without an answer: it is looked for", r, "error", err)
		return false, nil
	case gone(err):
		b.warn("the provider does not take a batch: its requests are asked one by one", r, "error", err)
		return true, b.end(ctx, r, nil)
	}
	r.Sent = time.Time{} // it was not taken
	return false, errorsJoin(err, b.save(ctx, r))
}

// errorsJoin keeps the kind and the wait of the first error.
func errorsJoin(err, other error) error {
	if other == nil {
		return err
	}
	return fmt.Errorf("%w (and: %w)", err, other)
}

// gone tells that a provider will not give what it is asked for, now or later.
func gone(err error) bool {
	kind := rebased.KindOf(err)
	return kind == rebased.NotFound || kind == rebased.Invalid || kind == rebased.Rejected
}

// find looks for a batch that was submitted and of which nothing was heard.
func (b *Batches) find(ctx context.Context, teacher Batcher, r *record) (ended bool, err error) {
	now := b.now()
	found, err := teacher.Find(ctx, r.Name, len(r.Keys), r.Made.Add(-clockSkew))
	if err != nil {
		return false, err
	}
	pending := false
	for _, f := range found {
		if slices.Contains(r.Past, f.ID) {
			continue
		}
		ours, open, err := b.ours(ctx, teacher, r, f)
		if err != nil {
			return false, err
		}
		if ours {
			r.Batch = f.ID
			if err := b.save(ctx, r); err != nil {
				return false, err
			}
			return b.look(ctx, teacher, r)
		}
		pending = pending || open
	}
	switch {
	case now.Sub(r.Made) > batchPatience:
		b.warn("a batch was never found: its requests are asked one by one", r)
		return true, b.forget(ctx, r)
	case pending || now.Sub(r.Sent) < lostAfter:
		return false, nil
	case r.Canceled:
		return true, b.end(ctx, r, nil)
	}
	return b.submit(ctx, teacher, r) // it did not arrive
}

// ours tells whether a batch is the one of a record; open, that it cannot be told before it has ended.
func (b *Batches) ours(ctx context.Context, teacher Batcher, r *record, f Found) (ours, open bool, err error) {
	if f.Named {
		return true, false, nil
	}
	if owned, err := b.owned(ctx, f.ID); err != nil || owned {
		return false, false, err
	}
	state, err := teacher.Look(ctx, f.ID)
	if err != nil || !state.Ended {
		return false, !state.Ended, err
	}
	for result, err := range teacher.Results(ctx, f.ID) {
		if err != nil {
			return false, false, err
		}
		return r.holds(result.Key), false, nil
	}
	return false, false, nil
}

// look asks how a batch stands and takes its answers in once it has ended.
func (b *Batches) look(ctx context.Context, teacher Batcher, r *record) (ended bool, err error) {
	state, err := teacher.Look(ctx, r.Batch)
	age := b.now().Sub(r.Made)
	switch {
	case gone(err):
		b.warn("the provider does not know a batch any more: its requests are asked one by one", r, "error", err)
		return true, b.forget(ctx, r)
	case err != nil:
		return false, err
	case state.Full && !r.Canceled && age < batchWindow:
		r.NotBefore = b.now().Add(queueFull)
		return false, b.anew(ctx, r)
	case state.Ended:
		if state.Failure != "" {
			b.warn("a batch failed: what it left is asked one by one", r, "failure", state.Failure)
		}
		return b.collect(ctx, teacher, r)
	case age > batchPatience:
		b.warn("a batch does not end: its requests are asked one by one", r)
		return true, b.forget(ctx, r)
	case age > batchWindow && !r.Canceled:
		return false, b.cancel(ctx, teacher, r)
	}
	return false, nil
}

// anew has a batch submitted once more, of which nothing was answered.
func (b *Batches) anew(ctx context.Context, r *record) error {
	r.Past = append(r.Past, r.Batch)
	r.Batch, r.Sent = "", time.Time{}
	return b.save(ctx, r)
}

// collect takes in the results of a batch that has ended.
func (b *Batches) collect(ctx context.Context, teacher Batcher, r *record) (ended bool, err error) {
	log, err := b.Store.Open(ctx, r.ticket.Scope)
	if err != nil {
		return false, err
	}
	answered := map[Key]bool{}
	var writes []*write
	reason := ""
	for result, err := range teacher.Results(ctx, r.Batch) {
		switch {
		case gone(err):
			b.warn("the provider does not give the results of a batch: what is missing is asked one by one", r, "error", err)
			return true, b.forget(ctx, r)
		case err != nil:
			return false, fmt.Errorf("read the results of batch %s: %w", r.Batch, err)
		case !r.holds(result.Key) || answered[result.Key]:
			continue
		case result.Answer == nil:
			reason = result.Reason
			continue
		}
		answered[result.Key] = true
		answer := *result.Answer
		answer.By, answer.Batch = r.By, true
		writes = append(writes, log.enqueue(ctx, line{Key: result.Key, Answer: &answer, By: r.By, Sent: r.sent(result.Key)}))
	}
	for _, w := range writes {
		if err := w.wait(ctx); err != nil {
			return false, err
		}
	}
	if len(answered) < len(r.Keys) {
		b.warn("requests of a batch were not answered", r, "missing", len(r.Keys)-len(answered), "reason", reason)
	}
	// What a provider learns of a model, such as that it takes no schema, it learns from refusals: they cost nothing, so the batch goes once more.
	if len(answered) == 0 && reason != "" && !r.Again && !r.Canceled {
		r.Again = true
		return false, b.anew(ctx, r)
	}
	return true, b.end(ctx, r, answered)
}

// Cancel cancels the batches that a build has made, those included of which it has not heard yet. What is answered by then is taken in by whoever
// needs it next.
func (b *Batches) Cancel(ctx context.Context, teacher Batcher, build string) error {
	open, err := b.all(ctx)
	if err != nil {
		return err
	}
	for _, r := range open {
		if r.Build == build && !r.Canceled {
			err = errors.Join(err, b.cancelOne(ctx, teacher, r))
		}
	}
	return err
}

func (b *Batches) cancelOne(ctx context.Context, teacher Batcher, r *record) error {
	if r.Batch == "" && !r.Sent.IsZero() {
		r.Canceled = true
		if err := b.save(ctx, r); err != nil {
			return err
		}
		_, err := b.find(ctx, teacher, r)
		if err != nil || r.Batch == "" {
			return err
		}
	}
	if r.Batch == "" {
		return b.end(ctx, r, nil)
	}
	return b.cancel(ctx, teacher, r)
}

func (b *Batches) cancel(ctx context.Context, teacher Batcher, r *record) error {
	if err := teacher.CancelBatch(ctx, r.Batch); err != nil && !gone(err) {
		return err
	}
	r.Canceled = true
	return b.save(ctx, r)
}

// end settles what was not answered, and removes the record.
func (b *Batches) end(ctx context.Context, r *record, answered map[Key]bool) error {
	if r.Booked {
		log, err := b.Store.Open(ctx, r.ticket.Scope)
		if err != nil {
			return err
		}
		var last *write
		for _, key := range r.Keys {
			if !answered[key] {
				last = log.enqueue(ctx, voided(key, r.By, r.sent(key)))
			}
		}
		if last != nil {
			if err := last.wait(ctx); err != nil {
				return err
			}
		}
	}
	return b.forget(ctx, r)
}
