package workflows

import (
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// Preview ranks the rows of a task as a build would and, when that is wanted, has the teacher answer about the first of them. It makes no
// version. Answers are stored, so that a build which asks the same has them for nothing.
func Preview(ctx workflow.Context, in PreviewInput) (activities.PreviewResult, error) {
	var rows *activities.Retrieve
	ref := folderOf(ctx, "preview", in.Task, in.TaskKey)
	var plan activities.PlanResult
	if in.Answers {
		var a *activities.Plan
		check := activities.PlanInput{Task: ref.Task, Build: ref.Build, TaskKey: in.TaskKey}
		if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, planOptions), a.Check, check).Get(ctx, &plan); err != nil {
			return activities.PreviewResult{}, refused(err)
		}
		if plan.Waits != "" {
			return activities.PreviewResult{}, refused(rebased.E(rebased.Conflict, "%s", plan.Waits))
		}
		ref.TaskKey = plan.TaskKey
	}
	ctx = workflow.WithActivityOptions(ctx, previewOptions)
	shown := activities.PreviewInput{BuildRef: ref, Rows: in.Rows}
	var out activities.PreviewResult
	if err := workflow.ExecuteActivity(ctx, rows.PreviewRows, shown).Get(ctx, &out); err != nil {
		return activities.PreviewResult{}, refused(err)
	}
	if !in.Answers || out.Rows == 0 {
		return out, nil
	}
	var teach *activities.Transform
	if err := previewAnswers(ctx, teach, ref, plan); err != nil {
		return activities.PreviewResult{}, err
	}
	err := workflow.ExecuteActivity(ctx, teach.PreviewAnswers, shown).Get(ctx, &out)
	return out, plain(err)
}

// folderOf names what stands for a build in a workflow that makes no version: its files lie in a folder of that name.
func folderOf(ctx workflow.Context, what, task, taskKey string) activities.BuildRef {
	id := workflow.GetInfo(ctx).WorkflowExecution.ID
	return activities.BuildRef{Task: task, Build: what + "-" + id[strings.LastIndexByte(id, '/')+1:], TaskKey: taskKey}
}

// previewAnswers has the first shard transformed, within the budget of a build.
func previewAnswers(ctx workflow.Context, a *activities.Transform, ref activities.BuildRef, plan activities.PlanResult) error {
	b := build{state: buildState{Plan: plan}}
	b.state.Ranked.Shards = 1
	in := activities.ShardInput{BuildRef: ref, Share: b.share(0, b.teacher()), Price: plan.Price}
	if purse := newPurse(plan.Budget); purse.capped() {
		in.Grant = purse.grant(rebased.Amount{}, purse.free())
	}
	var out activities.ShardResult
	if err := workflow.ExecuteActivity(ctx, a.TransformShard, in).Get(ctx, &out); err != nil {
		return plain(err)
	}
	if out.Short != nil {
		return plain(rebased.E(rebased.Exhausted, "the budget of the task does not cover the answers: raise it, or preview fewer rows"))
	}
	return nil
}
