package workflows

import (
	"cmp"
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
		return fmt.Sprintf("%d of the %d rows of %s: all %d candidates are used up, raise retrieve.rows or import more", rows, b.state.Plan.Target,
			cmp.Or(b.state.Plan.TargetKey, "transform.target_rows"), b.state.Progress.Retrieved)
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
	if b.shardsDedupe(ctx) {
		if err := b.prints(ctx, &in); err != nil {
			return err
		}
	}
	var out activities.DedupeResult
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stepOptions), a.DedupeRows, in).Get(ctx, &out); err != nil {
		return plain(err)
	}
	if in.Chunks > 0 {
		if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, recordOptions), a.DedupeClean, b.ref).Get(ctx, nil); err != nil {
			return plain(err)
		}
	}
	b.parts, b.given, b.balance = out.Parts, out.Given, out.Balance
	p := &b.state.Progress
	p.Rows = out.Rows
	for _, reason := range workflow.DeterministicKeys(b.state.Rejected["dedupe"]) { // of the round before: those rows were gone through again
		if p.Rejected[reason] -= b.state.Rejected["dedupe"][reason]; p.Rejected[reason] == 0 {
			delete(p.Rejected, reason)
		}
	}
	delete(b.state.Rejected, "dedupe")
	b.reject("dedupe", out.Rejected)
	if b.nothingNew() {
		return nil
	}
	if out.Rows == 0 && b.state.Limit >= b.state.Ranked.Shards {
		return plain(rebased.E(rebased.Invalid, "none of the %d retrieved rows could be used: builds/%s/%s/rejects/ says why", p.Retrieved, b.ref.Task, b.ref.Build))
	}
	return nil
}

// nothingNew reports that a delta has no row that its earlier versions have not.
func (b *build) nothingNew() bool {
	return b.state.Plan.Delta && b.state.Progress.Rows == 0 && len(b.given) > 0
}

const (
	printParts   = 16 // parts of rows that are printed together
	dedupeRanges = 8  // of bands
)

// shardsDedupe reports whether the deduplication is split over workers.
func (b *build) shardsDedupe(ctx workflow.Context) bool {
	const change = "dedupe-sharded"
	if b.state.Plan.Sharded == 0 || b.state.Progress.Retrieved < b.state.Plan.Sharded {
		return false
	}
	return workflow.GetVersion(ctx, change, workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// prints has workers make what rows are compared by and find those that have something in common.
func (b *build) prints(ctx workflow.Context, in *activities.DedupeInput) error {
	var a *activities.Dedupe
	ctx = workflow.WithActivityOptions(ctx, stepOptions)
	in.Ranges = dedupeRanges
	chunks := (in.Shards + printParts - 1) / printParts
	steps, all := chunks, chunks
	if b.state.Plan.Against > 0 {
		steps++
	}
	next, err := inWindow(ctx, 0, steps, shardsAtOnce, func(ctx workflow.Context, n int) error {
		step := activities.DedupePrintsInput{DedupeInput: *in, Chunk: n, First: n * printParts, Parts: min(printParts, in.Shards-n*printParts)}
		if n == chunks {
			step.Given, step.First, step.Parts = true, 0, 0
		}
		var out activities.DedupePrintsResult
		err := workflow.ExecuteActivity(ctx, a.DedupePrints, step).Get(ctx, &out)
		if n == chunks {
			all += out.Chunks
		}
		return err
	})
	if err != nil {
		return plain(err)
	}
	if next < steps {
		b.in.Continued = &b.state
		return workflow.NewContinueAsNewError(ctx, BuildDatasetName, b.in)
	}
	if in.Chunks = all; all == 0 {
		return nil
	}
	_, err = inWindow(ctx, 0, dedupeRanges, dedupeRanges, func(ctx workflow.Context, n int) error {
		return workflow.ExecuteActivity(ctx, a.DedupeGroups, activities.DedupeGroupsInput{DedupeInput: *in, Range: n}).Get(ctx, nil)
	})
	return plain(err)
}
