package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// Batch carries the batches of providers on that builds wait for. They are begun by the steps whose questions they hold.
type Batch struct{ *Teaching }

// Ticket names a batch under way.
type Ticket = llm.Ticket

// BatchResult says which batches hold the requests of a step of a shard.
type BatchResult struct {
	Tickets []Ticket `json:"tickets"` // under way
	// More says that requests are left which the next batch can hold once these have ended.
	More bool `json:"more"`
}

// beginBatch puts the first requests of a step on one shard into batches, as far as the grant goes.
func beginBatch[T any](ctx context.Context, a *Teaching, in ShardInput, l lesson[T]) (BatchResult, error) {
	work, _, stop := heartbeatUntil(ctx, a.Grace, nil) // a submission that is cut off has to be looked for
	defer stop()
	out, err := beginShard(work, a, in, l)
	return out, translate(ctx, err)
}

func beginShard[T any](ctx context.Context, a *Teaching, in ShardInput, l lesson[T]) (BatchResult, error) {
	task, teacher, err := a.batcher(ctx, in.BuildRef)
	if err != nil {
		return BatchResult{}, err
	}
	rows, err := l.rows.Read(ctx, in.key(l.from, in.Shard))
	if err != nil {
		return BatchResult{}, fmt.Errorf("read shard %d: %w", in.Shard, err)
	}
	begun, err := a.Batches.Begin(ctx, teacher, l.requests(teacher.Endpoint(), task, rows), in.charge(l.step))
	if err != nil {
		return BatchResult{}, fmt.Errorf("%s shard %d: begin a batch: %w", l.step, in.Shard, err)
	}
	return BatchResult{Tickets: begun.Tickets, More: begun.Rest > 0 && !begun.Short}, nil
}

// batcher opens the teacher of a task that is asked in batches.
func (a *Teaching) batcher(ctx context.Context, ref BuildRef) (rebased.Task, llm.Batcher, error) {
	task, _, err := a.task(ctx, ref)
	if err != nil {
		return task, nil, err
	}
	teacher, err := a.Teachers.Open(task.Transform.Teacher)
	if err != nil {
		return task, nil, err
	}
	batcher, ok := teacher.(llm.Batcher)
	if !ok {
		return task, nil, noBatches(task.Transform.Teacher.Provider)
	}
	return task, batcher, nil
}

func noBatches(provider string) error {
	return rebased.E(rebased.Invalid, "transform.batch: provider %s has no batches: leave batch out, or use openai or anthropic", provider)
}

// BatchesInput names batches that a build waits for.
type BatchesInput struct {
	BuildRef
	Tickets []Ticket `json:"tickets"`
}

// PollResult says which of the batches have ended; their answers are stored.
type PollResult struct {
	Ended []Ticket `json:"ended"`
	// Withdrawn are those of them that another build had made and canceled: what they left can go into another batch.
	Withdrawn []Ticket `json:"withdrawn,omitempty"`
}

// PollBatches carries each batch on as far as it goes now. A provider that is down or busy is asked again at the next poll.
func (a *Batch) PollBatches(ctx context.Context, in BatchesInput) (PollResult, error) {
	work, progress, stop := heartbeatUntil(ctx, a.Grace, nil)
	defer stop()
	out := PollResult{}
	_, teacher, err := a.batcher(work, in.BuildRef)
	if err != nil {
		return out, translate(ctx, err)
	}
	for i, t := range in.Tickets {
		ended, err := a.Batches.Advance(work, teacher, t)
		withdrawn := false
		if ended && err == nil {
			withdrawn, err = a.Batches.Withdrawn(work, t)
		}
		switch kind := rebased.KindOf(err); {
		case kind == rebased.Throttled || kind == rebased.Unavailable:
			activity.GetLogger(ctx).Warn("a batch could not be asked about", "scope", t.Scope, "n", t.N, "error", err)
		case err != nil:
			return out, translate(ctx, fmt.Errorf("batch %d of %s: %w", t.N, t.Scope, err))
		case ended:
			if out.Ended = append(out.Ended, t); withdrawn {
				out.Withdrawn = append(out.Withdrawn, t)
			}
		}
		progress(i + 1)
	}
	return out, nil
}

// CancelBatches cancels the batches that the build itself has made. What they have answered by then is taken in by the next build that needs it.
func (a *Batch) CancelBatches(ctx context.Context, in BuildRef) error {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	_, teacher, err := a.batcher(work, in)
	if err == nil {
		err = a.Batches.Cancel(work, teacher, buildName(in), progress)
	}
	return translate(ctx, err)
}
