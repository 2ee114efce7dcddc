package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// CollectGarbage removes from the bucket what a retention policy lets go, a kind at a time: what names others before what it names.
func CollectGarbage(ctx workflow.Context, in CollectInput) (CollectResult, error) {
	var a *activities.Collect
	kinds := []string{
		activities.CollectVersions, activities.CollectBuilds, activities.CollectTasks, activities.CollectUploads, activities.CollectImports,
		activities.CollectAnswers,
	}
	progress := CorpusProgress{Phase: "begin", State: rebased.StateRunning, Total: len(kinds)}
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (CorpusProgress, error) { return progress, nil }); err != nil {
		return CollectResult{}, err
	}
	out := CollectResult{DryRun: in.DryRun, Rows: []activities.CollectRow{}}
	ctx = workflow.WithActivityOptions(ctx, sweepOptions)
	now := workflow.Now(ctx).UTC()
	for _, kind := range kinds {
		progress.Phase = kind
		var done activities.CollectResult
		step := activities.CollectInput{Kind: kind, Policy: in.Policy, DryRun: in.DryRun, Now: now}
		if err := workflow.ExecuteActivity(ctx, a.CollectKind, step).Get(ctx, &done); err != nil {
			return out, plain(err)
		}
		for _, row := range done.Rows {
			if !row.Left {
				out.Objects, out.Bytes = out.Objects+row.Objects, out.Bytes+row.Bytes
			}
			out.Rows = append(out.Rows, row)
		}
		progress.Done++
	}
	return out, nil
}
