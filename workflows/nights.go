package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// A build that a schedule starts is a night. It ends as skipped where a build of its task still runs, and takes the place of those that wait for a
// person: of those that stopped while they asked, once its own plan is made, since a person who lets them go on would have both pay; of those whose
// version waits for approval when its own version is there, so that a night that fails takes nothing away.

// enter takes the night of the task. runs is the build that still has it; "" = none.
func (b *build) enter(ctx workflow.Context) (runs string, err error) {
	if !b.in.Unattended || workflow.GetVersion(ctx, "nights", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return "", nil
	}
	var a *activities.Nights
	var out activities.EnterResult
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, unattendedPlanOptions), a.Enter, b.ref).Get(ctx, &out); err != nil {
		return "", refused(err)
	}
	b.state.Waiting = out.Waiting
	return out.Runs, nil
}

// skipped ends a night that has found another build at work.
func (b *build) skipped(ctx workflow.Context, runs string) rebased.BuildResult {
	detail := fmt.Sprintf("%s/%s still runs", b.ref.Task, runs)
	b.setState(ctx, rebased.StateSkipped, detail)
	result := b.result(ctx, rebased.StateSkipped)
	result.Detail = detail
	return result
}

// takeOver closes waiting builds in favour of this one: those whose version waits for approval, or the others. It says which of them goes on all the
// same and may ask what this one would; "" = none. ended says that a person has decided about one meanwhile.
func (b *build) takeOver(ctx workflow.Context, approval bool) (runs string, ended bool, err error) {
	in := activities.TakeOverInput{BuildRef: b.ref, As: activities.Supersede{By: b.ref.Build, TaskKey: b.in.TaskKey}}
	if b.state.Plan.Batch {
		in.As.Endpoint = b.state.Plan.Endpoint
	}
	for _, w := range b.state.Waiting {
		if (w.State == rebased.StateAwaitingApproval) == approval {
			in.Of = append(in.Of, w.Build)
		}
	}
	if len(in.Of) == 0 {
		return "", false, nil
	}
	var a *activities.Nights
	var out activities.TakeOverResult
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, takeOverOptions), a.TakeOver, in).Get(ctx, &out); err != nil {
		return "", false, plain(err)
	}
	b.state.Waiting = slices.DeleteFunc(b.state.Waiting, func(w activities.Waiter) bool { return slices.Contains(in.Of, w.Build) })
	b.state.Adopted += out.Batches
	b.since = out.Since
	return out.Runs, len(out.Ended) > 0, nil
}

// cancelAdopted cancels what this build took over in batches and had no use for.
func (b *build) cancelAdopted(ctx workflow.Context) {
	if b.state.Adopted > 0 {
		b.cancelBatches(ctx)
	}
}

// listenSupersede answers the update by which a newer build takes this one's place.
func (b *build) listenSupersede(ctx workflow.Context) error {
	supersede := func(ctx workflow.Context, s activities.Supersede) (rebased.Progress, error) {
		if err := workflow.Await(ctx, func() bool { return !b.releasing() }); err != nil {
			return b.state.Progress, err
		}
		switch {
		case b.superseded != nil: // by an earlier call
		case !b.state.Progress.State.Waits() || !b.givesWay(s):
			return b.state.Progress, nil
		default:
			b.superseded = &s
			b.setState(ctx, rebased.StateSuperseded, b.gaveWay())
			b.stop()
		}
		err := workflow.Await(ctx, func() bool { return b.over })
		return b.state.Progress, err
	}
	validate := func(s activities.Supersede) error {
		if s.By == "" || s.By == b.ref.Build {
			return fmt.Errorf("%q cannot take the place of %s", s.By, b.ref.Build)
		}
		return nil
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateSupersede, supersede, workflow.UpdateHandlerOptions{Validator: validate})
}

// releasing reports whether a decision to release is being carried out, which comes to its end in any case.
func (b *build) releasing() bool {
	p := b.state.Progress
	return p.State == rebased.StateRunning && (p.Phase == "approval" || p.Phase == "release")
}

// givesWay reports whether a night may take this build's place: it is a night too, or was started from the same task file. What a person tries with
// another file, or by a redrive, is not the night's to end.
func (b *build) givesWay(s activities.Supersede) bool {
	return b.in.Unattended || b.in.Redrive == nil && b.in.TaskKey == s.TaskKey
}

// gaveWay says who took this build's place.
func (b *build) gaveWay() string {
	return fmt.Sprintf("%s/%s took its place and has its answers", b.ref.Task, b.superseded.By)
}

// gone refuses a decision about a build that gave way.
func (b *build) gone() error {
	return fmt.Errorf("it was superseded by %s/%s: decide about that one", b.ref.Task, b.superseded.By)
}

// endSuperseded ends a build that gave way. Nothing of it is under way any more; its batches go to the newer build where that asks the same server in
// batches too.
func (b *build) endSuperseded(ctx workflow.Context) (rebased.BuildResult, error) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if b.superseded.Endpoint != b.state.Plan.Endpoint {
		b.cancelBatches(ctx)
	}
	result := b.result(ctx, rebased.StateSuperseded)
	result.Detail, result.SupersededBy = b.gaveWay(), b.superseded.By
	b.record(ctx, result)
	b.finish(ctx)
	return result, nil
}

// finish answers whoever waits to hear how the build ends.
func (b *build) finish(ctx workflow.Context) {
	b.over = true
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		workflow.GetLogger(ctx).Warn("an update is left without its answer", "error", err)
	}
}

// pauseSchedule stops the schedule of a build that has failed, where its maker wants that.
func (b *build) pauseSchedule(ctx workflow.Context, err error) {
	if !b.in.PauseOnFailure || temporal.IsCanceledError(err) {
		return
	}
	var a *activities.Nights
	note := strings.ToValidUTF8(fmt.Sprintf("%s/%s failed: %s", b.ref.Task, b.ref.Build, messageOf(err)), "")
	in := activities.PauseScheduleInput{Task: b.ref.Task, Note: note}
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, cancelOptions), a.PauseSchedule, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("the schedule was not paused", "error", err)
	}
}
