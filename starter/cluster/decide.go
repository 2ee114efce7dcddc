package cluster

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

// Decide takes a person's decision (an update of package workflows and its argument) to a build and gives the state that it led to. A build that
// does not wait for it refuses it, as Invalid; a *Doubt says that it may still take effect.
func (c *Cluster) Decide(ctx context.Context, b Build, update string, decision any) (progress rebased.Progress, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: b.ID(), UpdateName: update, Args: []any{decision}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &progress)
	}
	if err == nil {
		return progress, nil
	}
	var (
		refused *temporal.ApplicationError
		gone    *serviceerror.NotFound
	)
	switch {
	case errors.As(err, &refused):
		return progress, rebased.E(rebased.Invalid, "%s %s: %s", update, b.Name(), oneLine(refused.Message()))
	case errors.As(err, &gone):
		if result, err := Result[rebased.BuildResult](ctx, c, b.ID()); err == nil && result.SupersededBy != "" {
			return progress, rebased.E(rebased.Invalid, "%s %s: it was superseded by %s/%s: decide about that one", update, b.Name(), b.Task, result.SupersededBy)
		}
		return progress, rebased.E(rebased.Invalid, "%s %s: it has ended: rebased builds show %s says how", update, b.Name(), b.Name())
	}
	return progress, c.effect(ctx, update, b, err)
}

// effect is the error of a call to a build: in doubt unless Temporal has answered it.
func (c *Cluster) effect(ctx context.Context, op string, b Build, err error) error {
	op += " " + b.Name()
	if err = c.translate(op, err); answered(err) {
		return err
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = rebased.E(rebased.Unavailable, "%s: no answer in time: are Temporal and a worker on task queue %q up?", op, workflows.TaskQueue)
	case ctx.Err() != nil:
		err = rebased.E(rebased.Unavailable, "%s: interrupted", op)
	}
	if why := c.failing(context.WithoutCancel(ctx), b.ID(), ""); why != "" {
		err = rebased.E(rebased.Unavailable, "%s: workers fail at it: %s", op, why)
	}
	return &Doubt{Err: err, May: "it may still take effect: rebased builds show " + b.Name() + " tells"}
}

// Cancel asks a build to stop and waits a little for its end: the build as it then stands.
func (c *Cluster) Cancel(ctx context.Context, b Build) (Build, error) {
	call, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	over := rebased.E(rebased.Invalid, "cancel %s: it has ended: rebased builds show %s says how", b.Name(), b.Name())
	if now, err := c.Describe(call, b.Task, b.Build); err == nil && now.State.Final() { // Temporal takes the cancellation of what has ended too
		return now, over
	}
	if err := c.temporal.CancelWorkflow(call, b.ID(), ""); err != nil {
		if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
			return b, over
		}
		return b, c.effect(call, "cancel", b, err)
	}
	ticker := time.NewTicker(c.tick)
	defer ticker.Stop()
	for {
		now, err := c.Describe(call, b.Task, b.Build)
		if err == nil {
			b = now
		}
		if b.State.Final() {
			return b, nil
		}
		select {
		case <-ticker.C:
		case <-call.Done():
			return b, ctx.Err() // nil when only our own patience ended: cancellation is asked for and takes effect
		}
	}
}
