package workflows

import (
	"errors"
	"slices"
	"strings"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// handoff stages the version, waits for approval where the task asks for it, releases it and starts the training pipeline.
func (b *build) handoff(ctx workflow.Context) (rebased.BuildResult, error) {
	staged, err := b.stage(ctx)
	if err != nil {
		return rebased.BuildResult{}, err
	}
	if _, decided, err := b.takeOver(ctx, true); err != nil {
		return rebased.BuildResult{}, err
	} else if decided { // the version may be the latest by now
		if staged, err = b.stage(ctx); err != nil {
			return rebased.BuildResult{}, err
		}
	}
	end := func(state rebased.State, detail string) rebased.BuildResult {
		b.setState(ctx, state, detail)
		result := b.result(ctx, state)
		result.URI, result.Detail = staged.URI, detail
		return result
	}
	if staged.Released {
		if err := b.handOffLate(ctx, staged); err != nil {
			return rebased.BuildResult{}, err
		}
		return end(rebased.StateUnchanged, strings.Join(staged.Undelivered, "; ")), nil
	}
	release := activities.ReleaseInput{Task: b.ref.Task, Version: staged.Version, Build: b.ref.Build, Gates: staged.Closed, MaxDrop: staged.MaxDrop}
	state := rebased.StateAwaitingApproval
	if !b.state.Plan.Approval && len(staged.Closed) == 0 {
		if state, err = b.release(ctx, &release, staged.URI); err != nil {
			return rebased.BuildResult{}, err
		}
	}
	for state == rebased.StateAwaitingApproval { // again where the version would replace another one than the person was told of
		word, err := b.awaitApproval(ctx, release.Gates)
		if err != nil {
			return rebased.BuildResult{}, err
		}
		if !word.approved {
			if err := b.recordRejection(ctx, staged.Version, word.Decision); err != nil {
				return rebased.BuildResult{}, err
			}
			return end(rebased.StateRejected, word.Reason), nil
		}
		release.By, release.Reason = word.By, word.Reason
		if state, err = b.release(ctx, &release, staged.URI); err != nil {
			return rebased.BuildResult{}, err
		}
	}
	return end(state, strings.Join(slices.DeleteFunc(append([]string{b.short(), b.balance}, staged.Warnings...), func(s string) bool { return s == "" }), "; ")), nil
}

func (b *build) stage(ctx workflow.Context) (activities.StageResult, error) {
	var a *activities.Handoff
	b.state.Progress.Phase = "handoff"
	p := b.state.Progress
	in := activities.StageInput{
		BuildRef: b.ref, Revision: b.state.Plan.Revision, Encoder: b.state.Plan.Encoder + b.state.Plan.Deduplicated, Endpoint: b.state.Plan.Endpoint,
		Retrieved: p.Retrieved, Skipped: p.Skipped, Rejected: b.state.Rejected, Reasoned: b.state.Plan.Reason != rebased.ReasonNone, Judged: b.state.Plan.Judge != nil, Tokens: p.Tokens,
		Parts: b.parts, StepTokens: b.state.Tokens, Given: b.given, Nothing: b.nothingNew(),
	}
	var out activities.StageResult
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stepOptions), a.Stage, in).Get(ctx, &out); err != nil {
		return out, plain(err)
	}
	b.state.Progress.Version = out.Version
	return out, nil
}

// release makes the version the latest and starts the training pipeline. Once it has begun it is not canceled half-way. Where gates do not pass against
// what is the latest version now, it waits for approval, and in has the gates.
func (b *build) release(ctx workflow.Context, in *activities.ReleaseInput, uri string) (rebased.State, error) {
	var a *activities.Handoff
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	whole, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	b.state.Progress.Phase = "release"
	in.At = workflow.Now(ctx).UTC()
	options := workflow.WithActivityOptions(whole, recordOptions)
	var released activities.ReleaseResult
	if err := workflow.ExecuteActivity(options, a.Release, in).Get(whole, &released); err != nil {
		return "", plain(err)
	}
	if released.State == rebased.StateAwaitingApproval {
		in.Gates = released.Closed
	}
	if len(b.targets()) == 0 || released.State != rebased.StateReleased {
		return released.State, nil
	}
	b.state.Progress.Phase = "trigger"
	if delivers(ctx) {
		return released.State, b.deliver(whole, in.Version, b.targets())
	}
	run, err := b.trigger(whole, *in, uri)
	if err != nil {
		return "", err
	}
	in.Handoff = run
	err = workflow.ExecuteActivity(options, a.Release, in).Get(whole, nil)
	return released.State, plain(err)
}

// handOffLate hands off a version that an earlier build released and could not hand off.
func (b *build) handOffLate(ctx workflow.Context, staged activities.StageResult) error {
	if len(staged.Due) > 0 && delivers(ctx) {
		b.state.Progress.Phase = "trigger"
		return b.deliver(ctx, staged.Version, staged.Due)
	}
	if staged.Unstarted == "" || b.state.Plan.Trigger == nil {
		return nil
	}
	var a *activities.Handoff
	b.state.Progress.Phase = "trigger"
	run, err := b.trigger(ctx, activities.ReleaseInput{Task: b.ref.Task, Version: staged.Version, Build: staged.Unstarted}, staged.URI)
	if err != nil {
		return err
	}
	done := activities.HandedOffInput{Task: b.ref.Task, Version: staged.Version, Build: staged.Unstarted, Handoff: run}
	return plain(workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, recordOptions), a.HandedOff, done).Get(ctx, nil))
}

// trigger starts the pipeline's workflow once for this version and does not wait for its end. It gives the workflow's id and run.
func (b *build) trigger(ctx workflow.Context, in activities.ReleaseInput, uri string) (string, error) {
	id := HandoffID(in.Task, in.Version)
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, TaskQueue: b.state.Plan.Trigger.TaskQueue,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	})
	start := HandoffInput{
		Task: in.Task, Version: in.Version, Build: in.Build, URI: uri,
		Manifest: rebased.VersionKey(in.Task, in.Version, "manifest.json"), IdempotencyKey: id,
	}
	var execution workflow.Execution
	err := workflow.ExecuteChildWorkflow(child, b.state.Plan.Trigger.Type, start).GetChildWorkflowExecution().Get(ctx, &execution)
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	switch {
	case errors.As(err, &started):
		return id, nil
	case err != nil:
		return "", plain(err)
	}
	return execution.ID + " run " + execution.RunID, nil
}
