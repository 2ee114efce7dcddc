package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

// RequireWorker reports, as Unavailable, that no worker asks the task queue for work. Temporal remembers those that asked in the last minutes, so
// that a worker which was killed passes: Start finds that out.
func (c *Cluster) RequireWorker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	_, err := c.Workers(ctx)
	return err
}

// Workers says which workers asked the task queue for work in the last minutes; Unavailable when none did.
func (c *Cluster) Workers(ctx context.Context) (string, error) {
	queue, err := c.temporal.DescribeTaskQueue(ctx, workflows.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return "", c.translate("look for a worker", err)
	}
	var last time.Time
	for _, poller := range queue.GetPollers() {
		if at := poller.GetLastAccessTime().AsTime(); at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return "", c.noWorker()
	}
	return fmt.Sprintf("%d on task queue %q, last heard of %s", len(queue.GetPollers()), workflows.TaskQueue, last.UTC().Format(time.RFC3339)), nil
}

func (c *Cluster) noWorker() error {
	return rebased.E(rebased.Unavailable, "no worker on task queue %q of %s: start rebased-worker", workflows.TaskQueue, c)
}

// untouched is the length of a history of which no worker has done the first task: started, task scheduled, handed out, failed. That it was handed out
// is no proof of a worker, since Temporal also hands tasks to one that was killed a moment ago; only the first failure is written down.
const untouched = 4

// awaitPickup waits until a worker has done the first task of a workflow. One that no worker takes is ended again, so that it does not run unasked
// whenever a worker comes. When ctx is done, or Temporal does not tell, the workflow is left to whoever follows it.
func (c *Cluster) awaitPickup(ctx context.Context, workflowID, runID string) error {
	waited, cancel := context.WithTimeout(ctx, c.pickup)
	defer cancel()
	ticker := time.NewTicker(c.pickup / 40)
	defer ticker.Stop()
	idle := false
	for {
		run, err := c.temporal.DescribeWorkflowExecution(waited, workflowID, runID)
		if err == nil {
			if run.GetWorkflowExecutionInfo().GetHistoryLength() > untouched {
				return nil
			}
			idle = true
		}
		select {
		case <-ticker.C:
		case <-waited.Done():
			if ctx.Err() != nil || !idle {
				return nil
			}
			return c.withdraw(ctx, workflowID, runID)
		}
	}
}

// failing says why workers fail at the workflow's present task again and again; "" when they do not, or it is not known. A step that fails is no such task.
func (c *Cluster) failing(ctx context.Context, workflowID, runID string) string {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	run, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, runID)
	if err != nil || run.GetPendingWorkflowTask().GetAttempt() < 2 {
		return ""
	}
	var why string
	events := c.temporal.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return ""
		}
		if failure := event.GetWorkflowTaskFailedEventAttributes().GetFailure(); failure != nil {
			why = oneLine(c.failures.FailureToError(failure).Error())
		}
	}
	return why
}

func (c *Cluster) withdraw(ctx context.Context, workflowID, runID string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWait)
	defer cancel()
	why := c.failing(ctx, workflowID, runID)
	err := c.temporal.TerminateWorkflow(ctx, workflowID, runID, "no worker took it within "+c.pickup.String())
	if err == nil && why != "" {
		return rebased.E(rebased.Unavailable, "no worker can do the first step of %s: %s", workflowID, why)
	}
	if err == nil {
		return c.noWorker()
	}
	if _, over := errors.AsType[*serviceerror.NotFound](err); over { // one took it at the last moment
		return nil
	}
	return &Doubt{
		Err: rebased.E(rebased.Unavailable, "no worker took %s within %s, and it could not be withdrawn (%s)", workflowID, c.pickup, oneLine(err.Error())),
		May: "it runs when a worker starts",
	}
}

// SearchAttributes says what the namespace must have; builds are listed by them.
const SearchAttributes = workflows.AttributeTask + " and " + workflows.AttributeState

// RequireSearchAttributes reports, as Invalid, what the namespace lacks. It asks for builds by them, which every user may do.
func (c *Cluster) RequireSearchAttributes(ctx context.Context) error {
	for _, name := range []string{workflows.AttributeTask, workflows.AttributeState} {
		_, err := c.listPage(ctx, fmt.Sprintf("%s = %q", name, "none"), nil)
		if rebased.KindOf(err) == rebased.Invalid {
			return rebased.E(rebased.Invalid, "namespace %s has no search attribute %s: temporal operator search-attribute create --name %s --type Keyword",
				c.namespace, name, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
