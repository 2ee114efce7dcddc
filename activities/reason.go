package activities

import (
	"context"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/reason"
)

// Reason has the teacher reason about the answers of transformed rows.
type Reason struct{ *Teaching }

// ReasonShard reasons about one shard of examples. Tokens of its result are those of this step alone.
func (a *Reason) ReasonShard(ctx context.Context, in ShardInput) (ShardResult, error) {
	return teach(ctx, a.Teaching, in, a.lesson())
}

// ReasonBatch puts what ReasonShard will ask into batches of the provider.
func (a *Reason) ReasonBatch(ctx context.Context, in ShardInput) (BatchResult, error) {
	return beginBatch(ctx, a.Teaching, in, a.lesson())
}

func (a *Reason) lesson() lesson[rebased.Example] {
	return lesson[rebased.Example]{
		step: reason.Step, teacher: transformTeacher, rows: a.Examples, from: folderTransformed, to: folderReasoned, shard: reason.Shard, requests: reason.Requests,
	}
}
