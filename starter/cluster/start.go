package cluster

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

// Doubt is the error of a call that was sent and not answered: what was asked for may have been done, or be done yet.
type Doubt struct {
	Err error
	May string // what may be
}

// Error implements error.
func (d *Doubt) Error() string { return d.Err.Error() + ": " + d.May }

// Unwrap gives the cause.
func (d *Doubt) Unwrap() error { return d.Err }

// StartBuild starts a build and waits until a worker has taken it, or the context is done. With nil the build was started, also by a call whose answer
// was lost; a *Doubt says that this is not known; with any other error it was not.
func (c *Cluster) StartBuild(ctx context.Context, build string, in workflows.BuildInput) error {
	options := once(workflows.BuildID(in.Task, build))
	options.TypedSearchAttributes = taskAttribute(in.Task)
	options.Memo = map[string]any{workflows.AttributeTask: in.Task}
	options.StaticSummary = "dataset for task " + in.Task
	return c.start(ctx, options, workflows.BuildDatasetName, in)
}

// StartImport starts an import. One that runs for the same corpus already is Conflict, and nothing is started.
func (c *Cluster) StartImport(ctx context.Context, in workflows.ImportInput) error {
	return c.start(ctx, again(workflows.ImportID(in.Corpus)), workflows.ImportCorpusName, in)
}

// StartIndex starts an index run. One that runs for the same corpus already is Conflict, and nothing is started.
func (c *Cluster) StartIndex(ctx context.Context, in workflows.IndexInput) error {
	return c.start(ctx, again(workflows.IndexID(in.Corpus)), workflows.IndexCorpusName, in)
}

// StartCollect starts a collection of garbage. One that runs already is Conflict, and nothing is started.
func (c *Cluster) StartCollect(ctx context.Context, in workflows.CollectInput) error {
	return c.start(ctx, again(workflows.CollectID(in.DryRun)), workflows.CollectName, in)
}

// CancelCollect asks the collection that runs to stop; NotFound when none does.
func (c *Cluster) CancelCollect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	id := workflows.CollectID(false)
	run, err := c.temporal.DescribeWorkflowExecution(ctx, id, "") // Temporal takes the cancellation of what has ended too
	if err == nil && run.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return rebased.E(rebased.NotFound, "cancel %s: it has ended", id)
	}
	if err == nil {
		err = c.temporal.CancelWorkflow(ctx, id, "")
	}
	return c.translate("cancel "+id, err)
}

// StartDeliver starts the hand-off of a version to a target. One that runs already is Conflict, and nothing is started.
func (c *Cluster) StartDeliver(ctx context.Context, in workflows.DeliverInput) error {
	options := again(workflows.DeliverID(in.Task, in.Version, in.Target))
	options.StaticSummary = "hand-off of " + in.Task + " to " + in.Target
	return c.start(ctx, options, workflows.DeliverName, in)
}

// StartPreview starts a preview, as StartBuild does a build.
func (c *Cluster) StartPreview(ctx context.Context, id string, in workflows.PreviewInput) error {
	return c.start(ctx, once(id), workflows.PreviewName, in)
}

// StartEstimate starts an estimate, as StartBuild does a build.
func (c *Cluster) StartEstimate(ctx context.Context, id string, in workflows.EstimateInput) error {
	return c.start(ctx, once(id), workflows.EstimateName, in)
}

// Attend waits for the result of a preview or an estimate. One that nobody waits for any more is canceled.
func Attend[T any](ctx context.Context, c *Cluster, id string) (result T, err error) {
	err = c.await(ctx, id, &result)
	if ctx.Err() != nil {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWait)
		defer cancel()
		_ = c.temporal.CancelWorkflow(call, id, "") // it ends by itself too
	}
	return result, err
}

// once are the options of a workflow of an id that is used once.
func once(id string) client.StartWorkflowOptions {
	options := again(id)
	options.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	return options
}

// again are the options of a workflow that runs under one id time and again, once at a time.
func again(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       id,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}
}

func (c *Cluster) start(ctx context.Context, options client.StartWorkflowOptions, workflow string, in any) error {
	options.TaskQueue = workflows.TaskQueue
	options.WorkflowExecutionErrorWhenAlreadyStarted = true
	call, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	run, err := c.temporal.ExecuteWorkflow(call, options, workflow, in)
	if err == nil {
		return c.awaitPickup(ctx, run.GetID(), run.GetRunID())
	}
	if _, runs := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); runs {
		return rebased.E(rebased.Conflict, "%s runs already", options.ID)
	}
	if err = c.translate("start "+options.ID, err); answered(err) {
		return err
	}
	runID, err := c.started(ctx, options, err)
	if err != nil {
		return err
	}
	return c.awaitPickup(ctx, options.ID, runID)
}

// answered tells an error that Temporal gave for a call from one that leaves open whether the call took effect. It takes errors of translate.
func answered(err error) bool {
	return !errors.Is(err, context.Canceled) && rebased.KindOf(err) != rebased.Unavailable
}

// started looks for the run of a workflow whose start was not answered, for the reason err. Of an id that is used time and again only a run that is
// under way counts.
func (c *Cluster) started(ctx context.Context, options client.StartWorkflowOptions, err error) (runID string, _ error) {
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWait)
	defer cancel()
	described, unknown := c.temporal.DescribeWorkflowExecution(look, options.ID, "")
	if _, missing := errors.AsType[*serviceerror.NotFound](unknown); missing {
		return "", err
	}
	if unknown != nil {
		if ctx.Err() != nil {
			err = rebased.E(rebased.Unavailable, "start %s: interrupted", options.ID)
		}
		return "", &Doubt{Err: err, May: "it may have been started"}
	}
	info := described.GetWorkflowExecutionInfo()
	if options.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE || info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return info.GetExecution().GetRunId(), nil
	}
	return "", err
}

func taskAttribute(task string) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(workflows.AttributeTask).ValueSet(task))
}
