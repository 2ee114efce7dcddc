package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// A build with a target takes its shards in rounds, in the order of rank: as many as should give what is still missing, going by what those before
// them gave. Without a target there is one round of all.

// rounds runs shards and dedupe until the target is met or there are no more shards.
func (b *build) rounds(ctx workflow.Context) error {
	if b.state.Limit == 0 {
		b.limit(b.enough(0, 0))
	}
	for {
		if err := b.shards(ctx); err != nil {
			return err
		}
		if err := b.dedupe(ctx); err != nil {
			return err
		}
		if b.state.Limit >= b.state.Ranked.Shards || b.state.Progress.Rows >= b.state.Plan.Target {
			return nil
		}
		b.limit(b.enough(b.state.Limit, b.state.Progress.Rows))
	}
}

// enough is how many shards should meet the target, when so many of them gave so many rows.
func (b *build) enough(shards, rows int) int {
	const margin = 1.1 // what a round too many costs is more than some rows too many
	all, target := b.state.Ranked.Shards, b.state.Plan.Target
	if target == 0 || b.in.Redrive != nil || all == 0 {
		return max(1, all) // a build without shards has one round too
	}
	perShard := float64(b.state.Ranked.Rows) / float64(all)
	if shards == 0 {
		return min(all, 1+int(float64(target-1)/perShard))
	}
	if rows == 0 {
		return min(all, 2*shards)
	}
	missing := float64(target-rows) * margin / (float64(rows) / float64(shards))
	return min(all, shards+1+int(missing))
}

// limit lets so many shards be handed out.
func (b *build) limit(shards int) {
	b.state.Limit = shards
	b.ranked()
}

// handedOut is how many of the retrieved rows are in shards that were handed out.
func (b *build) handedOut() int {
	if b.state.Limit >= b.state.Ranked.Shards {
		return b.state.Ranked.Rows
	}
	return b.state.Limit * b.state.Ranked.Rows / b.state.Ranked.Shards // as the shards were cut
}

// rowsOfShard is the most rows that a shard has: few where a target may need a part of the rows only.
func (b *build) rowsOfShard() int {
	const least, parts = 16, 4 * shardsAtOnce
	if b.state.Plan.Target == 0 {
		return shardRows
	}
	return min(shardRows, max(least, b.state.Plan.Target/parts))
}

// short says that the target was not met, and why; "" = it was.
func (b *build) short() string {
	if rows := b.state.Progress.Rows; rows < b.state.Plan.Target {
		return fmt.Sprintf("%d of the %d rows of transform.target_rows: all %d candidates are used up, raise retrieve.rows or import more", rows, b.state.Plan.Target,
			b.state.Progress.Retrieved)
	}
	return ""
}

// dedupe goes through all rows that were made so far.
func (b *build) dedupe(ctx workflow.Context) error {
	var a *activities.Dedupe
	b.state.Progress.Phase = "dedupe"
	in := activities.DedupeInput{
		BuildRef: b.ref, Reasoned: b.state.Plan.Reason != rebased.ReasonNone, Shards: min(b.state.Limit, b.state.Ranked.Shards) + b.state.Ranked.Kept,
		Price: b.state.Plan.Price, Target: b.state.Plan.Target,
	}
	if judge := b.state.Plan.Judge; judge != nil {
		in.Judged, in.JudgePrice = true, judge.Price
	}
	var out activities.DedupeResult
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stepOptions), a.DedupeRows, in).Get(ctx, &out); err != nil {
		return plain(err)
	}
	b.parts = out.Parts
	p := &b.state.Progress
	p.Rows = out.Rows
	for _, reason := range workflow.DeterministicKeys(b.state.Rejected["dedupe"]) { // of the round before: those rows were gone through again
		if p.Rejected[reason] -= b.state.Rejected["dedupe"][reason]; p.Rejected[reason] == 0 {
			delete(p.Rejected, reason)
		}
	}
	delete(b.state.Rejected, "dedupe")
	b.reject("dedupe", out.Rejected)
	if out.Rows == 0 && b.state.Limit >= b.state.Ranked.Shards {
		return plain(rebased.E(rebased.Invalid, "none of the %d retrieved rows could be used: builds/%s/%s/rejects/ says why", p.Retrieved, b.ref.Task, b.ref.Build))
	}
	return nil
}
