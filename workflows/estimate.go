package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// Estimate ranks the rows of a task as a build would and tells what the teacher would be asked about them. It asks nothing and makes no version.
func Estimate(ctx workflow.Context, in EstimateInput) (out rebased.Estimate, err error) {
	var plan *activities.Plan
	var rows *activities.Retrieve
	var teach *activities.Estimate
	estimate := activities.EstimateInput{BuildRef: folderOf(ctx, "estimate", in.Task, in.TaskKey)}
	check := activities.PlanInput{Task: in.Task, Build: estimate.Build, TaskKey: in.TaskKey}
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, planOptions), plan.Check, check).Get(ctx, &estimate.Plan); err != nil {
		return out, refused(err)
	}
	if estimate.Plan.Waits != "" {
		return out, refused(rebased.E(rebased.Conflict, "%s", estimate.Plan.Waits))
	}
	estimate.TaskKey = estimate.Plan.TaskKey
	ctx = workflow.WithActivityOptions(ctx, previewOptions)
	rank := activities.RankInput{BuildRef: estimate.BuildRef, Corpus: estimate.Plan.Corpus, Revision: estimate.Plan.Revision, ShardRows: shardRows, Lanes: 1}
	if err := workflow.ExecuteActivity(ctx, rows.Rank, rank).Get(ctx, &estimate.Ranked); err != nil {
		return out, refused(err)
	}
	if estimate.Ranked.Moved != "" {
		return out, refused(rebased.E(rebased.Conflict, "%s", estimate.Ranked.Moved))
	}
	err = workflow.ExecuteActivity(ctx, teach.Calls, estimate).Get(ctx, &out)
	return out, refused(err)
}
