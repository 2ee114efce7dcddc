package activities

import (
	"context"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/transform"
)

// Transform rewrites retrieved rows into examples of the task.
type Transform struct{ *Teaching }

// TransformShard transforms one shard of candidates.
func (a *Transform) TransformShard(ctx context.Context, in ShardInput) (ShardResult, error) {
	return teach(ctx, a.Teaching, in, a.lesson())
}

// TransformBatch puts what TransformShard will ask into batches of the provider.
func (a *Transform) TransformBatch(ctx context.Context, in ShardInput) (BatchResult, error) {
	return beginBatch(ctx, a.Teaching, in, a.lesson())
}

func (a *Transform) lesson() lesson[rebased.Candidate] {
	return lesson[rebased.Candidate]{
		step: transform.Step, teacher: transformTeacher, rows: a.Candidates, from: folderRetrieved, to: folderTransformed, shard: transform.Shard, requests: transform.Requests,
	}
}
