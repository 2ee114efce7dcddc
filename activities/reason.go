package activities

import (
	"context"
	"fmt"

	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/activities/reason"
)

// Reason has the teacher reason about the answers of transformed rows.
type Reason struct {
	*Build
	Teachers Teachers
	Store    *llm.Store
}

// ReasonShard reasons about one shard of examples. Tokens of its result are those of this step alone.
func (a *Reason) ReasonShard(ctx context.Context, in ShardInput) (ShardResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.shard(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Reason) shard(ctx context.Context, in ShardInput, progress func(int)) (ShardResult, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return ShardResult{}, err
	}
	teacher, err := runner(a.Teachers, a.Store, task)
	if err != nil {
		return ShardResult{}, err
	}
	examples, err := a.Examples.Read(ctx, in.key(folderTransformed, in.Shard))
	if err != nil {
		return ShardResult{}, fmt.Errorf("read shard %d: %w", in.Shard, err)
	}
	result, err := reason.Shard(ctx, teacher, task, examples, in.InFlight, progress)
	if err != nil {
		return ShardResult{}, fmt.Errorf("reason about shard %d: %w", in.Shard, err)
	}
	out, err := a.write(ctx, in, folderReasoned, reason.Step, result.Examples, result.Rejects, result.Calls)
	out.Tokens = result.Tokens
	return out, err
}
