package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/activities/transform"
)

// Teaching is what the steps that ask a teacher share.
type Teaching struct {
	*Build
	Teachers Teachers
	Store    *llm.Store
	Traffic  *llm.Traffic
	Batches  *llm.Batches
	Observer llm.Observer  // nil = none
	Grace    time.Duration // how long calls under way are waited for when the worker stops
}

// Flow is what the heartbeat of a step that asks a teacher tells, behind the number of its rows that are done.
type Flow = llm.Flow

// lesson is one step that asks a teacher: which rows it reads, what it makes of a shard of them and where it writes.
type lesson[T any] struct {
	step     string
	teacher  func(rebased.Task) rebased.Teacher // who is asked
	rows     rebased.Table[T]
	from, to string // folders of the build
	shard    func(context.Context, *llm.Runner, rebased.Task, []T, llm.Charge, func(int)) (llm.Shard, error)
	requests func(endpoint string, task rebased.Task, rows []T) []llm.Request
}

// teach runs a lesson on one shard.
func teach[T any](ctx context.Context, a *Teaching, in ShardInput, l lesson[T]) (ShardResult, error) {
	gauge := &llm.Gauge{}
	work, sending, progress, stop := heartbeatAsking(ctx, a.Grace, func() any { return gauge.Flow() })
	defer stop()
	out, err := teachShard(work, sending, a, in, l, gauge, progress)
	return out, translate(ctx, err)
}

func teachShard[T any](ctx, sending context.Context, a *Teaching, in ShardInput, l lesson[T], gauge *llm.Gauge, progress func(int)) (ShardResult, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return ShardResult{}, err
	}
	teacher, err := a.Teachers.Open(l.teacher(task))
	if err != nil {
		return ShardResult{}, err
	}
	benchmarks, err := a.Benchmarks.open(ctx, task.Decontaminate)
	if err != nil {
		return ShardResult{}, err
	}
	rows, err := l.rows.Read(ctx, in.key(l.from, in.Shard))
	if err != nil {
		return ShardResult{}, fmt.Errorf("read shard %d: %w", in.Shard, err)
	}
	runner := &llm.Runner{Teacher: teacher, Store: a.Store, Traffic: a.Traffic, Gauge: gauge, Sending: sending, Observer: a.Observer}
	made, err := l.shard(ctx, runner, task, rows, in.charge(l.step), progress)
	if err != nil {
		return ShardResult{}, fmt.Errorf("%s shard %d: %w", l.step, in.Shard, err)
	}
	if made.Short != nil {
		return ShardResult{Calls: made.Calls, Spent: made.Spent, Short: made.Short}, nil
	}
	if l.step == transform.Step { // what leaks is not paid for a second time, by reason; what reason adds is looked into by dedupe
		var leaked []rebased.Reject
		made.Examples, leaked = withoutLeaks(l.step, made.Examples, findLeaks(benchmarks, task, made.Examples))
		made.Rejects = append(made.Rejects, leaked...)
	}
	if _, err := a.Examples.Write(ctx, in.key(l.to, in.Shard), made.Examples); err != nil {
		return ShardResult{}, fmt.Errorf("write the rows of shard %d: %w", in.Shard, err)
	}
	price, judge := in.Price, rebased.Price{}
	if in.Before != nil {
		price, judge = *in.Before, in.Price
	}
	priced(made.Rejects, price, judge)
	for i := range made.Rejects { // its detail may quote the row
		activity.GetLogger(ctx).Debug("row rejected", "row", made.Rejects[i].Row, "reason", made.Rejects[i].Reason)
	}
	if rejects := in.rejectsKey(l.step, in.Shard); len(made.Rejects) > 0 {
		_, err = a.Rejects.Write(ctx, rejects, made.Rejects)
	} else {
		err = removeOld(ctx, a.Objects, rejects)
	}
	if err != nil {
		return ShardResult{}, fmt.Errorf("write the rejects of shard %d: %w", in.Shard, err)
	}
	return ShardResult{
		Rows: len(made.Examples), Rejected: countReasons(made.Rejects), Calls: made.Calls, Tokens: made.Tokens, Spent: made.Spent,
	}, nil
}

// removeOld removes what an earlier attempt may have left. Where there is nothing it does without the right to delete.
func removeOld(ctx context.Context, objects rebased.Objects, key string) error {
	switch _, _, err := objects.Get(ctx, key); {
	case rebased.KindOf(err) == rebased.NotFound:
		return nil
	case err != nil:
		return err
	}
	return objects.Delete(ctx, key)
}

// transformTeacher is who is asked by all steps but the judge's.
func transformTeacher(t rebased.Task) rebased.Teacher { return t.Transform.Teacher }

// priced says what was paid for rejected rows, to the teacher and to the judge.
func priced(rejects []rebased.Reject, price, judge rebased.Price) {
	for i := range rejects {
		r := &rejects[i]
		r.CostUSD = rebased.Amount{Pico: price.Cost(r.Usage, 0, 0, false) + judge.Cost(r.Judged.Usage, 0, 0, false)}.USD()
	}
}

func countReasons(rejects []rebased.Reject) map[rebased.Reason]int {
	counts := map[rebased.Reason]int{}
	for _, r := range rejects {
		counts[r.Reason]++
	}
	return counts
}
