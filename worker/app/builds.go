package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/workflows"
)

var _ activities.Builds = builds{}

// builds are the builds of the namespace, by Temporal.
type builds struct{ temporal client.Client }

// openPages bounds a list of open builds of one task, of 200 a page.
const openPages = 10

// Open implements activities.Builds.
func (b builds) Open(ctx context.Context, task string) (open []string, err error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 200,
		Query:    fmt.Sprintf("WorkflowType = %q AND %s = %q AND ExecutionStatus = 'Running'", workflows.BuildDatasetName, workflows.AttributeTask, task),
	}
	for range openPages {
		page, err := b.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return nil, temporalError("list the open builds of "+task, err)
		}
		for _, execution := range page.GetExecutions() {
			if _, build, ok := workflows.ParseBuildID(execution.GetExecution().GetWorkflowId()); ok {
				open = append(open, build)
			}
		}
		next := page.GetNextPageToken()
		if len(next) == 0 {
			return open, nil
		}
		request.NextPageToken = next
	}
	return nil, rebased.E(rebased.Invalid, "task %s has more than %d open builds: cancel those that are not wanted", task, openPages*int(request.GetPageSize()))
}

// State implements activities.Builds.
func (b builds) State(ctx context.Context, task, build string) (rebased.State, error) {
	id := workflows.BuildID(task, build)
	described, err := b.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return "", temporalError("look at "+id, err)
	}
	info := described.GetWorkflowExecutionInfo()
	state := workflows.StateOf(info.GetSearchAttributes())
	switch info.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		if state.Waits() {
			return state, nil
		}
		return rebased.StateRunning, nil
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		if state.Final() && state != "" {
			return state, nil
		}
		return rebased.StateReleased, nil
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return rebased.StateCanceled, nil
	}
	return rebased.StateFailed, nil
}

// closedMeanwhile is the type of the failure of an update that was accepted and whose workflow then ended.
const closedMeanwhile = "AcceptedUpdateCompletedWorkflow"

// Supersede implements activities.Builds. The update's id is that of the two builds, so that a second call hears of the first.
func (b builds) Supersede(ctx context.Context, task, build string, by activities.Supersede) (progress rebased.Progress, err error) {
	id := workflows.BuildID(task, build)
	handle, err := b.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: "supersede-by-" + by.By, WorkflowID: id, UpdateName: workflows.UpdateSupersede, Args: []any{by}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &progress)
	}
	var refused *temporal.ApplicationError
	switch {
	case err == nil:
		return progress, nil
	case !errors.As(err, &refused):
		return progress, temporalError("supersede "+id, err)
	case refused.Type() == closedMeanwhile:
		return progress, rebased.E(rebased.NotFound, "supersede %s: it has ended", id)
	}
	return progress, rebased.E(rebased.Invalid, "supersede %s: %s", id, refused.Message())
}

// PauseSchedule implements activities.Builds.
func (b builds) PauseSchedule(ctx context.Context, task, note string) error {
	err := b.temporal.ScheduleClient().GetHandle(ctx, workflows.ScheduleID(task)).Pause(ctx, client.SchedulePauseOptions{Note: note})
	return temporalError("pause the schedule of "+task, err)
}

// temporalError gives an error of Temporal its kind. What it does not know is tried again.
func temporalError(op string, err error) error {
	if err == nil {
		return nil
	}
	var (
		notFound *serviceerror.NotFound
		argument *serviceerror.InvalidArgument
		denied   *serviceerror.PermissionDenied
	)
	kind := rebased.Unavailable
	switch {
	case errors.As(err, &notFound):
		kind = rebased.NotFound
	case errors.As(err, &argument):
		kind = rebased.Invalid
	case errors.As(err, &denied):
		kind = rebased.Unauthorized
	}
	return &rebased.Error{Kind: kind, Op: op, Err: errors.New(strings.Join(strings.Fields(err.Error()), " "))}
}
