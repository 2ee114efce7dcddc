package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	deploymentpb "go.temporal.io/api/deployment/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/temporal"

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

// Workers says which workers asked the task queue for work in the last minutes; Unavailable when none did of a version that new workflows go to.
func (c *Cluster) Workers(ctx context.Context) (string, error) {
	queue, err := c.temporal.DescribeTaskQueue(ctx, workflows.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return "", c.translate("look for a worker", err)
	}
	var last time.Time
	there := map[string]int{}
	for _, poller := range queue.GetPollers() {
		there[versionOf(poller)]++
		if at := poller.GetLastAccessTime().AsTime(); at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return "", c.noWorker()
	}
	wanted := wantedVersions(queue.GetVersioningInfo())
	for _, version := range wanted {
		if there[version] == 0 {
			return "", rebased.E(rebased.Unavailable, "new workflows go to %s, and on task queue %q of %s there are only %s: start those, or make these the current ones: %s",
				workersOf(version), workflows.TaskQueue, c, workersOf(slices.Sorted(maps.Keys(there))...), makeCurrent(there, version))
		}
	}
	text := fmt.Sprintf("%d on task queue %q", len(queue.GetPollers()), workflows.TaskQueue)
	if len(there) > 1 || wanted[0] != "" {
		text += fmt.Sprintf(" (%s; new workflows go to %s)", workersOf(slices.Sorted(maps.Keys(there))...), workersOf(wanted...))
	}
	return fmt.Sprintf("%s, last heard of %s", text, last.UTC().Format(time.RFC3339)), nil
}

// versionOf is the deployment version of a worker, "" for one without.
func versionOf(poller *taskqueuepb.PollerInfo) string {
	options := poller.GetDeploymentOptions()
	if options.GetWorkerVersioningMode() != enumspb.WORKER_VERSIONING_MODE_VERSIONED {
		return ""
	}
	return options.GetDeploymentName() + ":" + options.GetBuildId()
}

// wantedVersions are those that new workflows go to: the current one and one that is ramped up; "" = workers without a version.
func wantedVersions(info *taskqueuepb.TaskQueueVersioningInfo) (versions []string) {
	name := func(v *deploymentpb.WorkerDeploymentVersion) string {
		if v == nil {
			return ""
		}
		return v.GetDeploymentName() + ":" + v.GetBuildId()
	}
	share := info.GetRampingVersionPercentage()
	if share < 100 {
		versions = append(versions, name(info.GetCurrentDeploymentVersion()))
	}
	if share > 0 {
		versions = append(versions, name(info.GetRampingDeploymentVersion()))
	}
	return versions
}

// makeCurrent is the command that has new workflows go to workers that are there, instead of those of a version that has none.
func makeCurrent(there map[string]int, none string) string {
	const command = "temporal worker deployment set-current-version --deployment-name "
	for _, version := range slices.Backward(slices.Sorted(maps.Keys(there))) {
		if deployment, build, ok := strings.Cut(version, ":"); ok {
			return command + deployment + " --build-id " + build
		}
	}
	deployment, _, _ := strings.Cut(none, ":")
	return command + deployment + " --unversioned"
}

// workersOf says in words which workers have these versions.
func workersOf(versions ...string) string {
	named := make([]string, len(versions))
	for i, version := range versions {
		if named[i] = "workers of " + version; version == "" {
			named[i] = "workers without a version"
		}
	}
	return strings.Join(named, " and ")
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
			why = c.said(failure)
		}
	}
	return why
}

// said is the message of a failure, in one line: its own field may say that it is encrypted.
func (c *Cluster) said(failure *failurepb.Failure) string {
	err := c.failures.FailureToError(failure)
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return oneLine(application.Message())
	}
	return oneLine(err.Error())
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
