package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/workflows"
)

// running asks Temporal what is under way.
type running struct {
	temporal interface {
		ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
		ScheduleClient() client.ScheduleClient
	}
	values converter.DataConverter // that inputs of workflows are read with
}

func (r running) ask(ctx context.Context) (out gc.Running, err error) {
	err = r.each(ctx, fmt.Sprintf("WorkflowType = %q", workflows.BuildDatasetName), func(e *workflowpb.WorkflowExecutionInfo) {
		task, build, ok := workflows.ParseBuildID(e.GetExecution().GetWorkflowId())
		if !ok {
			return
		}
		waits := workflows.StateOf(e.GetSearchAttributes()) == rebased.StateAwaitingApproval
		out.Builds = append(out.Builds, gc.Build{Task: task, Build: build, Approval: waits})
	})
	if err != nil {
		return out, err
	}
	err = r.each(ctx, fmt.Sprintf("WorkflowType = %q", workflows.ImportCorpusName), func(e *workflowpb.WorkflowExecutionInfo) {
		out.Imports = append(out.Imports, strings.TrimPrefix(e.GetExecution().GetWorkflowId(), workflows.ImportID("")))
	})
	if err != nil {
		return out, err
	}
	err = r.each(ctx, fmt.Sprintf("WorkflowId STARTS_WITH %q", workflows.HandoffPrefix), func(e *workflowpb.WorkflowExecutionInfo) {
		task, version, ok := strings.Cut(strings.TrimPrefix(e.GetExecution().GetWorkflowId(), workflows.HandoffPrefix), "/")
		if ok {
			out.Handoffs = append(out.Handoffs, rebased.VersionRef(task, version))
		}
	})
	if err != nil {
		return out, err
	}
	err = r.each(ctx, fmt.Sprintf("WorkflowType = %q", workflows.DeliverName), func(e *workflowpb.WorkflowExecutionInfo) {
		if task, version, ok := workflows.ParseDeliverID(e.GetExecution().GetWorkflowId()); ok {
			out.Handoffs = append(out.Handoffs, rebased.VersionRef(task, version))
		}
	})
	if err != nil {
		return out, err
	}
	out.Schedules, err = r.schedules(ctx)
	return out, err
}

const runningPage = 200

// each visits the open workflows of a query.
func (r running) each(ctx context.Context, query string, visit func(*workflowpb.WorkflowExecutionInfo)) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: query + " AND CloseTime IS NULL", PageSize: runningPage}
	for {
		page, err := r.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return unanswered("list open workflows", err)
		}
		for _, e := range page.GetExecutions() {
			visit(e)
		}
		request.NextPageToken = page.GetNextPageToken()
		if len(page.GetNextPageToken()) == 0 {
			return nil
		}
	}
}

// schedules gives the inputs of what all schedules start.
func (r running) schedules(ctx context.Context) (inputs []string, err error) {
	schedules := r.temporal.ScheduleClient()
	list, err := schedules.List(ctx, client.ScheduleListOptions{PageSize: runningPage})
	if err != nil {
		return nil, unanswered("list schedules", err)
	}
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return nil, unanswered("list schedules", err)
		}
		if !strings.HasPrefix(entry.ID, "schedule/") {
			continue
		}
		described, err := schedules.GetHandle(ctx, entry.ID).Describe(ctx)
		if err != nil {
			return nil, unanswered("look at "+entry.ID, err)
		}
		action, ok := described.Schedule.Action.(*client.ScheduleWorkflowAction)
		if !ok {
			continue
		}
		for _, arg := range action.Args {
			payload, ok := arg.(*commonpb.Payload)
			var input json.RawMessage
			if !ok || r.values.FromPayload(payload, &input) != nil {
				return nil, rebased.E(rebased.Invalid, "%s: the input of what it starts cannot be read, so what it needs is not known", entry.ID)
			}
			inputs = append(inputs, string(input))
		}
	}
	return inputs, nil
}

func unanswered(op string, err error) error {
	return rebased.E(rebased.Unavailable, "%s: %w", op, err)
}
