package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
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
			b.decide(ctx, decided{approved, d})
			return b.state.Progress, nil
		}
	}
	waiting := workflow.UpdateHandlerOptions{Validator: func(Decision) error {
		if b.superseded != nil {
			return b.gone()
		}
		if b.state.Progress.State != rebased.StateAwaitingApproval {
			return fmt.Errorf("the build is %s, it does not wait for approval", b.state.Progress.State)
		}
		return nil
	}}
	paused := workflow.UpdateHandlerOptions{Validator: func(Decision) error {
		if b.superseded != nil {
			return b.gone()
		}
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
		b.listenSupersede(ctx),
	)
}

// statesCounter counts the states that builds come into, by state.
const statesCounter = "rebased_build_states"

// setState changes the state that query and search attribute show. A build that gives way stays superseded, whatever its steps that are ending say.
func (b *build) setState(ctx workflow.Context, state rebased.State, detail string) {
	if b.superseded != nil && !state.Final() {
		return
	}
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

// byDeadline is who decides when nobody has.
const byDeadline = "handoff.approval_deadline"

// awaitApproval waits for a person's word on a staged version, or for the deadline to decide. gates are those that hold it; none = the task asks for
// approval. A deadline does not let a version through that a gate holds. One that has begun to run for the same version, in a build whose place this one
// took, goes on: else nights would put it off for ever.
func (b *build) awaitApproval(ctx workflow.Context, gates []string) (decided, error) {
	b.state.Progress.Phase, b.state.Progress.Since, b.decision = "approval", time.Time{}, nil
	why, limit := strings.Join(gates, "; "), b.state.Plan.Deadline
	verb := "rejected"
	if b.state.Plan.Approves {
		verb = "approved"
	}
	if b.state.Plan.Approves && len(gates) > 0 {
		limit = 0
	}
	met := func() bool { return b.decision != nil }
	if limit == 0 {
		b.setState(ctx, rebased.StateAwaitingApproval, why)
		if err := workflow.Await(ctx, met); err != nil {
			return decided{}, err
		}
	} else {
		now := workflow.Now(ctx)
		since, running := b.since[b.state.Progress.Version]
		if !running {
			since = now
		}
		b.state.Progress.Since, b.since = since.UTC(), nil
		until := fmt.Sprintf("%s at %s unless somebody decides before", verb, since.Add(limit).UTC().Format(time.RFC3339))
		b.setState(ctx, rebased.StateAwaitingApproval, strings.TrimPrefix(why+"; "+until, "; "))
		ok, err := workflow.AwaitWithTimeout(ctx, max(0, since.Add(limit).Sub(now)), met)
		switch {
		case err != nil:
			return decided{}, err
		case !ok:
			b.decide(ctx, decided{b.state.Plan.Approves, Decision{By: byDeadline, Reason: fmt.Sprintf("nobody decided within %s", limit)}})
		}
	}
	b.decidedBy = b.decision.By
	return *b.decision, nil
}

// decide takes a word on the version that waits.
func (b *build) decide(ctx workflow.Context, d decided) {
	b.decision = &d
	if d.approved {
		b.setState(ctx, rebased.StateRunning, "")
	} else {
		b.setState(ctx, rebased.StateRejected, d.Reason)
	}
}

// recordRejection enters a rejection into the version's release record.
func (b *build) recordRejection(ctx workflow.Context, version string, d Decision) error {
	if workflow.GetVersion(ctx, "rejections are recorded", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	var a *activities.Handoff
	whole, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	in := activities.RejectInput{Task: b.ref.Task, Version: version, Build: b.ref.Build, By: d.By, Reason: d.Reason, At: workflow.Now(ctx).UTC()}
	return plain(workflow.ExecuteActivity(workflow.WithActivityOptions(whole, recordOptions), a.Reject, in).Get(whole, nil))
}
