package llm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// The life of a batch: submitted, found again after a crash, looked at, its answers taken in, or canceled.

// Advance carries a batch as far as it will go now: submits it, finds it again, looks at it, takes its answers in. ended tells that there is
// nothing to wait for any more. Exhausted: it was submitted again and again, and nothing was ever found of it.
func (b *Batches) Advance(ctx context.Context, teacher Batcher, t Ticket) (ended bool, err error) {
	r, err := b.read(ctx, t)
	switch {
	case rebased.KindOf(err) == rebased.NotFound:
		return true, nil
	case err != nil:
		return false, err
	case r.Ended || r.Name != t.Name: // or its number is another's
		return true, nil
	case r.Batch != "":
		return b.look(ctx, teacher, r)
	case !r.Sent.IsZero():
		return b.find(ctx, teacher, r)
	case r.Unwanted:
		return true, b.end(ctx, r, r.Keys)
	}
	return b.submit(ctx, teacher, r)
}

// Withdrawn tells of a batch that has ended whether its build had canceled it: what it left can go into another batch then.
func (b *Batches) Withdrawn(ctx context.Context, t Ticket) (bool, error) {
	r, err := b.read(ctx, t)
	if rebased.KindOf(err) == rebased.NotFound {
		return false, nil
	}
	return err == nil && r.Name == t.Name && r.Unwanted, err
}

// submit hands a batch in. An outcome that is not known is left for find.
func (b *Batches) submit(ctx context.Context, teacher Batcher, r *record) (ended bool, err error) {
	now := b.now()
	if now.Before(r.NotBefore) {
		return false, nil
	}
	if r.Tries >= maxTries {
		return false, rebased.E(rebased.Exhausted, "batch %s was submitted %d times to %s, which then did not list it: look there for batches of %d requests, cancel them, and build without transform.batch",
			r.Name, r.Tries, teacher.Endpoint(), len(r.Keys))
	}
	if err := b.alive(); err != nil {
		return false, err
	}
	requests, err := b.requests(ctx, r)
	if err != nil {
		return false, err
	}
	if err := b.book(ctx, r, requests); err != nil {
		return false, err
	}
	r.Sent, r.Tries = now, r.Tries+1
	if err := b.save(ctx, r); err != nil {
		return false, err
	}
	within, cancel := context.WithTimeout(ctx, submitWithin)
	defer cancel()
	id, err := teacher.Submit(within, r.Name, requests)
	switch kind := rebased.KindOf(err); {
	case err == nil:
		r.Batch = id
		b.tell(ctx, r, BatchSubmitted)
		return false, b.save(context.WithoutCancel(ctx), r) // a cancel needs to know of it
	case ctx.Err() != nil:
		return false, ctx.Err()
	case within.Err() != nil || kind == rebased.Unavailable && !notBilled(err) || kind == "":
		b.warn(ctx, "a batch was submitted without an answer: it is looked for", r, "error", err)
		return false, nil
	case kind == rebased.NotFound || lastingly(err):
		b.warn(ctx, "the provider does not take a batch: its requests are asked one by one", r, "error", err)
		return true, b.end(ctx, r, r.Keys)
	}
	r.Sent, r.Tries = time.Time{}, r.Tries-1 // it was not taken
	return false, errorsJoin(err, b.save(ctx, r))
}

// book enters what the requests may cost.
func (b *Batches) book(ctx context.Context, r *record, requests []Request) error {
	if !r.Booked {
		return nil
	}
	log, err := b.Store.Open(ctx, r.ticket.Scope)
	if err != nil {
		return err
	}
	defer log.Close()
	return log.intendBatch(ctx, r.Name, r.By, requests)
}

// errorsJoin keeps the kind and the wait of the first error.
func errorsJoin(err, other error) error {
	if other == nil {
		return err
	}
	return fmt.Errorf("%w (and: %w)", err, other)
}

// lastingly tells that the same call is refused again.
func lastingly(err error) bool {
	kind := rebased.KindOf(err)
	return kind == rebased.Invalid || kind == rebased.Rejected
}

// inPassing makes of a refusal to say how a batch stands one to be asked about again: the batch may be there, whoever has refused.
func inPassing(err error) error {
	if lastingly(err) {
		return &rebased.Error{Kind: rebased.Unavailable, Err: err}
	}
	return err
}

// find looks for a batch that was submitted and of which nothing was heard.
func (b *Batches) find(ctx context.Context, teacher Batcher, r *record) (ended bool, err error) {
	found, err := teacher.Find(ctx, r.Name, len(r.Keys), r.Made.Add(-clockSkew))
	if err != nil {
		return false, err
	}
	id, pending, err := b.choose(ctx, teacher, r, found)
	switch age := b.now().Sub(r.Sent); {
	case err != nil:
		return false, err
	case id != "":
		r.Batch = id
		if err := b.save(ctx, r); err != nil {
			return false, err
		}
		return b.look(ctx, teacher, r)
	case pending && age > batchPatience:
		b.warn(ctx, "a batch was never found: its requests are asked one by one", r)
		b.tell(ctx, r, BatchLost)
		return true, b.forget(ctx, r)
	case pending || age < lostAfter:
		return false, nil
	case r.Unwanted:
		return true, b.end(ctx, r, r.Keys)
	}
	return b.submit(ctx, teacher, r) // it did not arrive
}

// choose tells which of the batches found is the one of a record; pending, that it cannot be told before one has ended. Of several that carry its name
// one is enough.
func (b *Batches) choose(ctx context.Context, teacher Batcher, r *record, found []Found) (id string, pending bool, err error) {
	var others []*record
	for _, f := range found {
		switch {
		case slices.Contains(r.Past, f.ID):
		case f.Named && id != "":
			b.warn(ctx, "a batch was made twice: the second one is canceled", r, "second", f.ID)
			if err := teacher.CancelBatch(ctx, f.ID); err != nil && rebased.KindOf(err) != rebased.NotFound {
				return "", false, err
			}
		case f.Named:
			id = f.ID
		default:
			if others == nil {
				if others, err = b.all(ctx); err != nil {
					return "", false, err
				}
			}
			if slices.ContainsFunc(others, func(o *record) bool { return o.Batch == f.ID }) {
				continue
			}
			ours, open, err := ours(ctx, teacher, r, f.ID)
			if err != nil || ours {
				return f.ID, false, err
			}
			pending = pending || open
		}
	}
	return id, pending, nil
}

// ours tells whether a batch without a name is the one of a record; open, that it cannot be told before it has ended.
func ours(ctx context.Context, teacher Batcher, r *record, id string) (ours, open bool, err error) {
	state, err := teacher.Look(ctx, id)
	if err == nil && !state.Ended {
		return false, true, nil
	}
	if err == nil {
		for result, failed := range teacher.Results(ctx, id) {
			if err = failed; err == nil {
				return r.holds(result.Key), false, nil
			}
			break
		}
	}
	if rebased.KindOf(err) == rebased.NotFound { // somebody else's, who has removed it
		return false, false, nil
	}
	return false, false, inPassing(err)
}

// look asks how a batch stands and takes its answers in once it has ended.
func (b *Batches) look(ctx context.Context, teacher Batcher, r *record) (ended bool, err error) {
	state, err := teacher.Look(ctx, r.Batch)
	age := b.now().Sub(r.Sent)
	switch {
	case rebased.KindOf(err) == rebased.NotFound:
		return b.missing(ctx, r, err)
	case err != nil:
		return false, inPassing(err)
	case state.Full && !r.Unwanted && !r.Canceled && b.now().Sub(r.Made) < batchWindow:
		r.NotBefore = b.now().Add(queueFull)
		return false, b.anew(ctx, r)
	case state.Ended && (state.Full || state.Failure != ""):
		b.warn(ctx, "a batch failed: its requests are asked one by one", r, "failure", state.Failure)
		return b.collect(ctx, teacher, r, true)
	case state.Ended:
		return b.collect(ctx, teacher, r, false)
	case !r.Canceled && (r.Unwanted || age > batchWindow):
		return false, b.cancel(ctx, teacher, r)
	case age > batchPatience: // two hours after it was canceled
		b.warn(ctx, "a batch does not end: its requests are asked one by one", r)
		b.tell(ctx, r, BatchLost)
		return true, b.forget(ctx, r)
	}
	return false, nil
}

// missing takes in that the provider does not know a batch. It is believed once it was so for a while: an answer of a proxy's, or a key of another
// account for some minutes, must not have everything paid again.
func (b *Batches) missing(ctx context.Context, r *record, err error) (ended bool, _ error) {
	switch {
	case r.Missing.IsZero():
		r.Missing = b.now()
		return false, b.save(ctx, r)
	case b.now().Sub(r.Missing) < missingFor:
		return false, nil
	}
	b.warn(ctx, "the provider does not know a batch any more: its requests are asked one by one", r, "error", err)
	b.tell(ctx, r, BatchLost)
	return true, b.forget(ctx, r)
}

// anew has a batch submitted once more, of which nothing was answered.
func (b *Batches) anew(ctx context.Context, r *record) error {
	r.Past = append(r.Past, r.Batch)
	r.Batch, r.Sent, r.Tries = "", time.Time{}, 0
	return b.save(ctx, r)
}

// collect takes in the results of a batch that has ended. unbilled tells that nothing of it was billed: it failed as a whole.
func (b *Batches) collect(ctx context.Context, teacher Batcher, r *record, unbilled bool) (ended bool, err error) {
	log, err := b.Store.Open(ctx, r.ticket.Scope)
	if err != nil {
		return false, err
	}
	defer log.Close()
	answered, left := map[Key]bool{}, keys(nil)
	var writes []*write
	reason, refused := "", 0
	for result, err := range teacher.Results(ctx, r.Batch) {
		switch {
		case rebased.KindOf(err) == rebased.NotFound: // of one of its files
			reason = err.Error()
			continue
		case err != nil:
			return false, fmt.Errorf("read the results of batch %s: %w", r.Batch, inPassing(err))
		case !r.holds(result.Key) || answered[result.Key]:
			continue
		case result.Answer == nil:
			if reason = result.Reason; !result.Unknown {
				left = append(left, result.Key)
			}
			if result.Refused {
				refused++
			}
			continue
		}
		answered[result.Key] = true
		answer := *result.Answer
		answer.By, answer.Batch = r.By, true
		observer(b.Observer).BatchAnswered(ctx, r.payer(), spentOn(r.Price, answer))
		writes = append(writes, log.enqueue(ctx, line{Key: result.Key, Answer: &answer, By: r.By, Sent: r.sent(result.Key)}))
	}
	for _, w := range writes {
		if err := w.wait(ctx); err != nil {
			return false, err
		}
	}
	if len(answered) < len(r.Keys) {
		b.warn(ctx, "requests of a batch were not answered", r, "missing", len(r.Keys)-len(answered), "reason", reason)
	}
	// What a provider learns of a model, such as that it takes no schema, it learns from refusals: they cost nothing, so the batch goes once more.
	if refused == len(r.Keys) && !r.Again && !r.Unwanted && !r.Canceled {
		r.Again = true
		return false, b.anew(ctx, r)
	}
	if unbilled && len(answered) == 0 {
		left = r.Keys
	}
	b.tell(ctx, r, BatchEnded)
	return true, b.end(ctx, r, left)
}

// cancels is how many batches are canceled at one time.
const cancels = 8

// Cancel cancels the batches that a build has made, those included of which it has not heard yet. What is answered by then is taken in by whoever
// needs it next. It can be called again after a failure. done is told how many are done.
func (b *Batches) Cancel(ctx context.Context, teacher Batcher, build string, done func(int)) error {
	open, err := b.all(ctx)
	if err != nil {
		return err
	}
	var group errgroup.Group // each is tried, whatever becomes of the others
	group.SetLimit(cancels)
	failed := make([]error, len(open))
	for i, r := range open {
		if r.Build == build && !r.Canceled {
			group.Go(func() error {
				failed[i] = b.cancelOne(ctx, teacher, r.ticket)
				done(i + 1)
				return nil
			})
		}
	}
	_ = group.Wait() // its functions give no error
	return errors.Join(failed...)
}

// cancelOne cancels a batch as it stands now.
func (b *Batches) cancelOne(ctx context.Context, teacher Batcher, t Ticket) error {
	r, err := b.read(ctx, t)
	switch {
	case rebased.KindOf(err) == rebased.NotFound:
		return nil
	case err != nil:
		return err
	case r.Ended || r.Name != t.Name || r.Canceled:
		return nil
	case !r.Unwanted:
		r.Unwanted = true
		if err := b.save(ctx, r); err != nil {
			return err
		}
	}
	_, err = b.Advance(ctx, teacher, t)
	return err
}

// Adopt gives the batches under way of one build to another: canceling that one cancels them. It can be called again after a failure.
func (b *Batches) Adopt(ctx context.Context, from, to string) (adopted int, err error) {
	open, err := b.all(ctx)
	if err != nil {
		return 0, err
	}
	for _, r := range open {
		if r.Build != from || r.Unwanted || r.Canceled {
			continue
		}
		r.Build = to
		if err := b.save(ctx, r); err != nil {
			return adopted, err
		}
		adopted++
	}
	return adopted, nil
}

func (b *Batches) cancel(ctx context.Context, teacher Batcher, r *record) error {
	if err := teacher.CancelBatch(ctx, r.Batch); err != nil && rebased.KindOf(err) != rebased.NotFound {
		return inPassing(err)
	}
	r.Canceled = true
	b.tell(ctx, r, BatchCanceled)
	return b.save(ctx, r)
}

// end ends a record and then settles what was not billed, in this order: who has lost the record to another settles nothing. What is neither answered
// nor among these stays in the books at its bound.
func (b *Batches) end(ctx context.Context, r *record, unbilled keys) error {
	if err := b.forget(ctx, r); err != nil || !r.Booked || len(unbilled) == 0 {
		return err
	}
	log, err := b.Store.Open(ctx, r.ticket.Scope)
	if err != nil {
		return err
	}
	defer log.Close()
	var last *write
	for _, key := range unbilled {
		last = log.enqueue(ctx, voided(key, r.By, r.sent(key)))
	}
	return last.wait(ctx)
}
