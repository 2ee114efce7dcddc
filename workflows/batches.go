package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased/activities"
)

// batches are the batches of the provider that a build waits for. One loop asks about all of them, between durable timers: no activity runs
// meanwhile, and the history of a build grows with the time that it waits, not with the number of its batches.
type batches struct {
	open    []activities.Ticket
	polling bool
	newest  time.Time           // when the last of them was begun
	failed  error               // what ended the loop
	again   []activities.Ticket // have ended since another build had canceled them
}

// batched has a step's requests answered in batches: one after the other, where one does not hold them all or the grant is small.
func (b *build) batched(ctx workflow.Context, begin any, in activities.ShardInput) error {
	for more := true; more; {
		var begun activities.BatchResult
		if err := b.ask(ctx, begin, in, &begun); err != nil {
			return err
		}
		if err := b.await(ctx, begun.Tickets); err != nil {
			return err
		}
		withdrawn := func(t activities.Ticket) bool { return slices.Contains(b.batches.again, t) }
		more = begun.More || slices.ContainsFunc(begun.Tickets, withdrawn)
	}
	return nil
}

// await waits until batches have ended.
func (b *build) await(ctx workflow.Context, tickets []activities.Ticket) error {
	w := &b.batches
	for _, t := range tickets {
		if !slices.Contains(w.open, t) {
			w.open, w.newest = append(w.open, t), workflow.Now(ctx)
		}
	}
	if len(w.open) > 0 && !w.polling {
		w.polling = true
		workflow.Go(ctx, b.poll)
	}
	b.state.Progress.Batches = len(w.open)
	waits := func(t activities.Ticket) bool { return slices.Contains(w.open, t) }
	err := b.until(ctx, func() bool { return w.failed != nil || !slices.ContainsFunc(tickets, waits) })
	if err == nil {
		err = w.failed
	}
	return err
}

// poll asks about all open batches until none is left.
func (b *build) poll(ctx workflow.Context) {
	var a *activities.Batch
	w := &b.batches
	defer func() { w.polling = false }()
	for len(w.open) > 0 {
		newest := w.newest
		least := leastPause(workflow.GetInfo(ctx).GetCurrentHistoryLength())
		pause := max(least, min(workflow.Now(ctx).Sub(newest)/pollPart, pollMost))
		joined := func() bool { return w.newest.After(newest) && pause > least && least == pollFirst }
		if _, err := workflow.AwaitWithTimeout(ctx, pause, joined); err != nil {
			return // canceled: whoever waits hears of it too
		}
		if joined() {
			continue // a new one is asked about soon
		}
		var out activities.PollResult
		in := activities.BatchesInput{BuildRef: b.ref, Tickets: slices.Clone(w.open)}
		w.failed = b.untilResumed(ctx, func() error {
			return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stepOptions), a.PollBatches, in).Get(ctx, &out)
		})
		if w.failed != nil {
			return
		}
		w.again = append(w.again, out.Withdrawn...)
		w.open = slices.DeleteFunc(w.open, func(t activities.Ticket) bool { return slices.Contains(out.Ended, t) })
		b.state.Progress.Batches = len(w.open)
	}
}

// leastPause is the shortest time between two polls in a history of so many events. A poll takes some eleven, and the shards under way must come to
// their end, which can be days away, in far fewer than 10,000.
func leastPause(events int) time.Duration {
	const many, more, most = 3000, 4000, 6000
	switch {
	case events < many:
		return pollFirst
	case events < more:
		return pollMost / 3
	case events < most:
		return pollMost
	}
	return 4 * pollMost
}

// cancelBatches cancels the batches of a build that ends too early.
func (b *build) cancelBatches(ctx workflow.Context) {
	if !b.state.Plan.Batch {
		return
	}
	var a *activities.Batch
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, cancelOptions), a.CancelBatches, b.ref).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("batches of the provider were not canceled", "error", err)
	}
}
