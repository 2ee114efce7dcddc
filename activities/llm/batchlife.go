package llm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rebased/rebased"
)

// The life of a batch: submitted, found again after a crash, looked at, its answers taken in, or canceled.

// Advance carries a batch as far as it will go now: submits it, finds it again, looks at it, takes its answers in. ended tells that there is
// nothing to wait for any more.
func (b *Batches) Advance(ctx context.Context, teacher Batcher, t Ticket) (ended bool, err error) {
	r, err := b.read(ctx, t)
	switch {
	case rebased.KindOf(err) == rebased.NotFound:
		return true, nil
	case err != nil:
		return false, err
	case r.Name != t.Name: // its number is another's
		return true, nil
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
		defer log.Close()
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
	defer log.Close()
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
		defer log.Close()
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
