package activities

import (
	"context"
	"fmt"

	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/activities/transform"
)

// Transform rewrites retrieved rows into examples of the task.
type Transform struct {
	*Build
	Teachers Teachers
	Store    *llm.Store
}

// TransformShard transforms one shard of candidates.
func (a *Transform) TransformShard(ctx context.Context, in ShardInput) (ShardResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.shard(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Transform) shard(ctx context.Context, in ShardInput, progress func(int)) (ShardResult, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return ShardResult{}, err
	}
	teacher, err := runner(a.Teachers, a.Store, task)
	if err != nil {
		return ShardResult{}, err
	}
	candidates, err := a.Candidates.Read(ctx, in.key(folderRetrieved, in.Shard))
	if err != nil {
		return ShardResult{}, fmt.Errorf("read shard %d: %w", in.Shard, err)
	}
	result, err := transform.Shard(ctx, teacher, task, candidates, in.InFlight, progress)
	if err != nil {
		return ShardResult{}, fmt.Errorf("transform shard %d: %w", in.Shard, err)
	}
	out, err := a.write(ctx, in, folderTransformed, transform.Step, result.Examples, result.Rejects, result.Calls)
	out.Tokens = result.Tokens
	return out, err
}
