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
	return teach(ctx, a.Teaching, in, lesson[rebased.Example]{
		step: reason.Step, rows: a.Examples, from: folderTransformed, to: folderReasoned, shard: reason.Shard,
	})
}
