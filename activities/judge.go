package activities

import (
	"context"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/judge"
)

// Judge has a teacher score the rows of the step before.
type Judge struct{ *Teaching }

// JudgeShard scores one shard of examples. Tokens of its result are those of this step alone.
func (a *Judge) JudgeShard(ctx context.Context, in ShardInput) (ShardResult, error) {
	return teach(ctx, a.Teaching, in, a.lesson(in))
}

// JudgeBatch puts what JudgeShard will ask into batches of the provider.
func (a *Judge) JudgeBatch(ctx context.Context, in ShardInput) (BatchResult, error) {
	return beginBatch(ctx, a.Teaching, in, a.lesson(in))
}

func (a *Judge) lesson(in ShardInput) lesson[rebased.Example] {
	from := folderTransformed
	if in.Reasoned {
		from = folderReasoned
	}
	return lesson[rebased.Example]{
		step: judge.Step, teacher: rebased.Task.JudgeTeacher, rows: a.Examples, from: from, to: folderJudged, shard: judge.Shard, requests: judge.Requests,
	}
}
