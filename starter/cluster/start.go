package cluster

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/workflows"
)

// StartBuild starts a build and waits until a worker has taken it.
func (c *Cluster) StartBuild(ctx context.Context, build string, in workflows.BuildInput) error {
	return c.start(ctx, client.StartWorkflowOptions{
		ID:                       workflows.BuildID(in.Task, build),
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		TypedSearchAttributes:    taskAttribute(in.Task),
		Memo:                     map[string]any{workflows.AttributeTask: in.Task},
		StaticSummary:            "dataset for task " + in.Task,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}, workflows.BuildDatasetName, in)
}

// StartImport starts an import. One that runs for the same corpus already is Conflict, and nothing is started.
func (c *Cluster) StartImport(ctx context.Context, in workflows.ImportInput) error {
	return c.start(ctx, again(workflows.ImportID(in.Corpus)), workflows.ImportCorpusName, in)
}

// StartIndex starts an index run. One that runs for the same corpus already is Conflict, and nothing is started.
func (c *Cluster) StartIndex(ctx context.Context, in workflows.IndexInput) error {
	return c.start(ctx, again(workflows.IndexID(in.Corpus)), workflows.IndexCorpusName, in)
}

// StartPreview starts a preview and waits until a worker has taken it.
func (c *Cluster) StartPreview(ctx context.Context, id string, in workflows.PreviewInput) error {
	return c.start(ctx, again(id), workflows.PreviewName, in)
}

// AwaitPreview waits for the result of a preview. One that nobody waits for any more is canceled.
func (c *Cluster) AwaitPreview(ctx context.Context, id string) (result activities.PreviewResult, err error) {
	err = c.awaitAttended(ctx, id, &result)
	return result, err
}

// StartEstimate starts an estimate and waits until a worker has taken it.
func (c *Cluster) StartEstimate(ctx context.Context, id string, in workflows.EstimateInput) error {
	return c.start(ctx, again(id), workflows.EstimateName, in)
}

// AwaitEstimate waits for the result of an estimate. One that nobody waits for any more is canceled.
func (c *Cluster) AwaitEstimate(ctx context.Context, id string) (result rebased.Estimate, err error) {
	err = c.awaitAttended(ctx, id, &result)
	return result, err
}

// awaitAttended waits for a workflow that is canceled when nobody waits for it any more.
func (c *Cluster) awaitAttended(ctx context.Context, id string, result any) error {
	err := c.await(ctx, id, result)
	if ctx.Err() != nil {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWait)
		defer cancel()
		_ = c.temporal.CancelWorkflow(call, id, "") // it ends by itself too
	}
	return err
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
	if _, runs := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); runs {
		return rebased.E(rebased.Conflict, "%s runs already", options.ID)
	}
	if err != nil {
		return c.translate("start "+options.ID, err)
	}
	return c.awaitPickup(ctx, run.GetID(), run.GetRunID())
}

func taskAttribute(task string) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(workflows.AttributeTask).ValueSet(task))
}
