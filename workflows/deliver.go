package workflows

import (
	"errors"
	"time"

	"github.com/nexus-rpc/sdk-go/nexus"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// changeDeliver marks builds that leave hand-offs to Deliver (November 2026). Those before it start the training pipeline's workflow themselves; their
// branch can go when none of them is under way any more.
const changeDeliver = "hand-offs are workflows of their own"

func delivers(ctx workflow.Context) bool {
	return workflow.GetVersion(ctx, changeDeliver, workflow.DefaultVersion, 1) > workflow.DefaultVersion
}

// targets are what the build's version is handed to.
func (b *build) targets() []string {
	if len(b.state.Plan.Targets) == 0 && b.state.Plan.Trigger != nil { // planned by an older program
		return []string{rebased.TargetWorkflow}
	}
	return b.state.Plan.Targets
}

// deliver starts the hand-offs of a version, each a workflow of its own, and does not wait for them: a training of ten hours holds no build and no night,
// and a target that cannot be reached holds no other.
func (b *build) deliver(ctx workflow.Context, version string, targets []string) error {
	var started []workflow.Future
	apart, _ := workflow.NewDisconnectedContext(ctx) // never canceled: a context that is cancels what was started in it, abandoned or not
	for _, target := range targets {
		child := workflow.WithChildOptions(apart, workflow.ChildWorkflowOptions{
			WorkflowID:            DeliverID(b.ref.Task, version, target),
			ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
			WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			StaticSummary:         "hand-off of " + b.ref.Task + " to " + target,
		})
		in := DeliverInput{Task: b.ref.Task, Version: version, Target: target}
		started = append(started, workflow.ExecuteChildWorkflow(child, DeliverName, in).GetChildWorkflowExecution())
	}
	var failed error
	for _, future := range started {
		err := future.Get(ctx, nil)
		if _, runs := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); err != nil && !runs {
			failed = errors.Join(failed, err)
		}
	}
	return plain(failed)
}

// Deliver hands a released version to one target, follows it to its end and writes what came of it into the release record. Its result is what the record
// says; a target that failed, or does not have the version, is an error.
func Deliver(ctx workflow.Context, in DeliverInput) (activities.Delivery, error) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, attributeTask.ValueSet(in.Task)); err != nil {
		return activities.Delivery{}, err
	}
	var a *activities.Handoff
	d := &delivery{in: in, of: activities.OrderInput{Task: in.Task, Version: in.Version, Target: in.Target}}
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, recordOptions), a.Order, d.of).Get(ctx, &d.order); err != nil {
		return activities.Delivery{}, plain(err)
	}
	if !d.order.Due && !in.Again {
		return d.known(), nil
	}
	var out activities.Delivery
	switch to := d.order.To; {
	case in.Target == rebased.TargetWorkflow && to.Workflow != nil:
		out = d.workflow(ctx, *to.Workflow)
	case in.Target == rebased.TargetNexus && to.Nexus != nil:
		out = d.nexus(ctx, *to.Nexus)
	default:
		out = d.publish(ctx)
	}
	if err := d.record(ctx, &out); err != nil {
		return activities.Delivery{}, err
	}
	if out.State == activities.DeliveryFailed || out.State == activities.DeliveryUndelivered {
		return out, temporal.NewNonRetryableApplicationError("hand-off to "+in.Target+" "+out.State+": "+out.Error, out.State, nil)
	}
	return out, nil
}

// delivery is one run of Deliver.
type delivery struct {
	in    DeliverInput
	of    activities.OrderInput
	order activities.Order
	said  []byte // the result of a workflow or an operation
}

// known is what the record says of a hand-off that is not to be made again.
func (d *delivery) known() activities.Delivery {
	if d.order.Earlier == nil {
		return activities.Delivery{State: activities.DeliveryStarted}
	}
	return *d.order.Earlier
}

// record writes what became of the hand-off, of a canceled one too.
func (d *delivery) record(ctx workflow.Context, out *activities.Delivery) error {
	var a *activities.Handoff
	out.At = workflow.Now(ctx).UTC()
	whole, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	done := activities.DeliveredInput{OrderInput: d.of, Delivery: *out, Said: d.said[:min(len(d.said), activities.MaxSaid)], Size: len(d.said)}
	return plain(workflow.ExecuteActivity(workflow.WithActivityOptions(whole, recordOptions), a.Delivered, done).Get(whole, out))
}

// publish brings the message to a target that is no workflow.
func (d *delivery) publish(ctx workflow.Context) activities.Delivery {
	var a *activities.Handoff
	options := deliverOptions
	if c := d.order.To.Command; c != nil && d.in.Target == rebased.TargetCommand {
		options.StartToCloseTimeout = c.Limit() + 5*time.Minute // the command's own limit ends it before
	}
	var out activities.Delivery
	in := activities.DeliverInput{Target: d.in.Target, To: d.order.To, Message: d.order.Message, Again: d.in.Again}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), a.Deliver, in).Get(ctx, &out)
	if err == nil {
		return out
	}
	if temporal.IsCanceledError(err) { // by a person: not to be begun again by itself
		return activities.Delivery{State: activities.DeliveryFailed, Error: "canceled"}
	}
	out = activities.Delivery{State: activities.DeliveryUndelivered, Error: whyOf(err)}
	if failure, ok := errors.AsType[*temporal.ApplicationError](err); ok && failure.HasDetails() {
		if failure.Details(&out.Attempts) != nil {
			out.Attempts = 0
		}
	}
	return out
}

// workflow starts the training pipeline's workflow and waits for its result. Without a person's word it starts once for a version.
func (d *delivery) workflow(ctx workflow.Context, spec rebased.WorkflowSpec) activities.Delivery {
	id, reuse := d.order.Message.IdempotencyKey, enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	if d.in.Again {
		reuse = enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	}
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, TaskQueue: spec.TaskQueue,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: reuse,
		WaitForCancellation:   true,
	}), spec.Type, d.order.Message)
	var execution workflow.Execution
	err := child.GetChildWorkflowExecution().Get(ctx, &execution)
	if _, started := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); started {
		return activities.Delivery{State: activities.DeliveryStarted, ID: id, Error: "the workflow was started before: its end is not followed"}
	}
	if err != nil {
		return activities.Delivery{State: activities.DeliveryUndelivered, Error: whyOf(err)}
	}
	out := activities.Delivery{State: activities.DeliveryStarted, ID: execution.ID + " run " + execution.RunID}
	return d.follow(ctx, out, child)
}

// nexus calls an operation of another namespace and waits for its result.
func (d *delivery) nexus(ctx workflow.Context, spec rebased.NexusSpec) activities.Delivery {
	call := workflow.NewNexusClient(spec.Endpoint, spec.Service).ExecuteOperation(ctx, spec.Operation, d.order.Message, workflow.NexusOperationOptions{})
	var execution workflow.NexusOperationExecution
	if err := call.GetNexusOperationExecution().Get(ctx, &execution); err != nil {
		out := activities.Delivery{State: activities.DeliveryFailed, Error: whyOf(err)}
		if _, refused := errors.AsType[*nexus.HandlerError](err); refused {
			out.State = activities.DeliveryUndelivered
		}
		return out
	}
	return d.follow(ctx, activities.Delivery{State: activities.DeliveryStarted, ID: execution.OperationToken}, call)
}

// follow records that the target has the version, then waits for what comes of it.
func (d *delivery) follow(ctx workflow.Context, out activities.Delivery, end workflow.Future) activities.Delivery {
	if !end.IsReady() {
		if err := d.record(ctx, &out); err != nil {
			workflow.GetLogger(ctx).Error("the start was not recorded", "error", err)
		}
	}
	var result converter.RawValue
	if err := end.Get(ctx, &result); err != nil {
		out.State, out.Error = activities.DeliveryFailed, whyOf(err)
		return out
	}
	out.State, d.said = activities.DeliveryDone, result.Payload().GetData()
	return out
}

// whyOf is the reason at the bottom of an error, in one line.
func whyOf(err error) string {
	for _, outer := range []func(error) bool{is[*temporal.ChildWorkflowExecutionError], is[*temporal.NexusOperationError], is[*temporal.ActivityError]} {
		if inner := errors.Unwrap(err); outer(err) && inner != nil {
			err = inner
		}
	}
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return rebased.Quote(application.Message(), "")
	}
	return rebased.Quote(err.Error(), "")
}

func is[E error](err error) bool {
	_, ok := err.(E) //nolint:errorlint // the outermost one
	return ok
}
