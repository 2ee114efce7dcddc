package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
)

var (
	attributeTask  = temporal.NewSearchAttributeKeyKeyword(AttributeTask)
	attributeState = temporal.NewSearchAttributeKeyKeyword(AttributeState)
)

// decided is a person's word on the version that waits.
type decided struct {
	approved bool
	Decision
}

// listen answers the query and the updates. An update is refused, with the reason, while the build does not wait for it.
func (b *build) listen(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (rebased.Progress, error) { return b.state.Progress, nil }); err != nil {
		return err
	}
	decide := func(approved bool) func(workflow.Context, Decision) (rebased.Progress, error) {
		return func(ctx workflow.Context, d Decision) (rebased.Progress, error) {
			b.decision = &decided{approved: approved, Decision: d}
			if approved {
				b.setState(ctx, rebased.StateRunning, "")
			} else {
				b.setState(ctx, rebased.StateRejected, d.Reason)
			}
			return b.state.Progress, nil
		}
	}
	waiting := workflow.UpdateHandlerOptions{Validator: func(Decision) error {
		if b.state.Progress.State != rebased.StateAwaitingApproval {
			return fmt.Errorf("the build is %s, it does not wait for approval", b.state.Progress.State)
		}
		return nil
	}}
	paused := workflow.UpdateHandlerOptions{Validator: func(Decision) error {
		if b.state.Progress.State != rebased.StatePaused {
			return fmt.Errorf("the build is %s, it is not paused", b.state.Progress.State)
		}
		return nil
	}}
	resume := func(ctx workflow.Context, _ Decision) (rebased.Progress, error) {
		b.resumes++
		b.setState(ctx, rebased.StateRunning, "")
		return b.state.Progress, nil
	}
	return errors.Join(
		workflow.SetUpdateHandlerWithOptions(ctx, UpdateApprove, decide(true), waiting),
		workflow.SetUpdateHandlerWithOptions(ctx, UpdateReject, decide(false), waiting),
		workflow.SetUpdateHandlerWithOptions(ctx, UpdateResume, resume, paused),
		b.listenBudget(ctx),
	)
}

// statesCounter counts the states that builds come into, by state.
const statesCounter = "rebased_build_states"

// setState changes the state that query and search attribute show.
func (b *build) setState(ctx workflow.Context, state rebased.State, detail string) {
	b.state.Progress.State, b.state.Progress.Detail = state, detail
	workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"state": string(state)}).Counter(statesCounter).Inc(1)
	if err := workflow.UpsertTypedSearchAttributes(ctx, attributeState.ValueSet(string(state))); err != nil {
		workflow.GetLogger(ctx).Error("search attribute was not set", "attribute", AttributeState, "error", err)
	}
}

// untilResumed runs a step. When its key is refused or its quota is spent, the build is paused, with no process that waits, until a person
// resumes it; then the step runs again.
func (b *build) untilResumed(ctx workflow.Context, step func() error) error {
	for {
		err := step()
		if kind := kindOf(err); kind != rebased.Unauthorized && kind != rebased.Exhausted {
			return err
		}
		seen := b.resumes
		b.setState(ctx, rebased.StatePaused, messageOf(err))
		if err := b.until(ctx, func() bool { return b.resumes > seen }); err != nil {
			return err
		}
	}
}

// until waits for something that a shard needs, but no longer than there is a use for it: until another shard has failed for good.
func (b *build) until(ctx workflow.Context, met func() bool) error {
	if err := workflow.Await(ctx, func() bool { return b.failed != nil || met() }); err != nil {
		return err
	}
	if b.failed != nil && !met() {
		return b.failed
	}
	return nil
}

// awaitApproval waits for a person's word on a staged version. why says which gates hold it; "" = the task asks for approval.
func (b *build) awaitApproval(ctx workflow.Context, why string) (decided, error) {
	b.state.Progress.Phase, b.decision = "approval", nil
	b.setState(ctx, rebased.StateAwaitingApproval, why)
	err := workflow.Await(ctx, func() bool { return b.decision != nil })
	if err != nil {
		return decided{}, err
	}
	return *b.decision, nil
}
