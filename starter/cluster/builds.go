package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/workflows"
)

// Build is one build as a list shows it.
type Build struct {
	Build   string        `json:"build"`
	Task    string        `json:"task"`
	State   rebased.State `json:"state"`
	Started time.Time     `json:"started"` // by its first run: one of many rows goes through several
	Ended   *time.Time    `json:"ended"`   // nil while it runs or waits
	Seconds float64       `json:"seconds"` // since its start, until its end
}

// Name is how a user calls a build: TASK/BUILD.
func (b Build) Name() string { return b.Task + "/" + b.Build }

// ID is the workflow id.
func (b Build) ID() string { return workflows.BuildID(b.Task, b.Build) }

// pageSize bounds one page of a listing.
const pageSize = 200

// Builds lists builds, the youngest first: of one task, or of all when task is ""; only those that keep takes; at most limit.
func (c *Cluster) Builds(ctx context.Context, task string, limit int, keep func(Build) bool) ([]Build, error) {
	query := fmt.Sprintf("WorkflowType = %q", workflows.BuildDatasetName)
	if task != "" {
		query += fmt.Sprintf(" AND %s = %q", workflows.AttributeTask, task)
	}
	var builds []Build
	var next []byte
	began := map[string]time.Time{} // by workflow id
	for {
		page, err := c.listPage(ctx, query, next)
		if err != nil {
			return nil, err
		}
		for _, execution := range page.GetExecutions() {
			id, start := execution.GetExecution().GetWorkflowId(), execution.GetStartTime().AsTime()
			if first, ok := began[id]; !ok || start.Before(first) {
				began[id] = start
			}
			if b, ok := buildOf(execution); ok && keep(b) {
				builds = append(builds, b)
			}
		}
		next = page.GetNextPageToken()
		if len(next) == 0 || len(builds) >= 4*limit { // pages are not wholly ordered by start, so look a little further
			break
		}
	}
	for i, b := range builds {
		if builds[i] = b.begun(began[b.ID()]); strings.HasPrefix(b.Build, activities.NightPrefix) && builds[i].Started.Before(began[b.ID()]) {
			if now, err := c.Describe(ctx, b.Task, b.Build); err == nil { // a list does not tell a night's first run from a later one
				builds[i] = now
			}
		}
	}
	slices.SortStableFunc(builds, func(a, b Build) int { return b.Started.Compare(a.Started) })
	return builds[:min(len(builds), limit)], nil
}

func (c *Cluster) listPage(ctx context.Context, query string, next []byte) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	page, err := c.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: pageSize, NextPageToken: next})
	return page, c.translate("list builds", err)
}

// Describe looks at one build by task and build.
func (c *Cluster) Describe(ctx context.Context, task, build string) (Build, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	id := workflows.BuildID(task, build)
	run, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err = c.translate("look at "+id, err); rebased.KindOf(err) == rebased.NotFound {
		return Build{}, rebased.E(rebased.NotFound, "no build %s/%s: rebased builds ls lists them", task, build)
	}
	if err != nil {
		return Build{}, err
	}
	info := run.GetWorkflowExecutionInfo()
	found, ok := buildOf(info)
	if !ok {
		return Build{}, rebased.E(rebased.NotFound, "%s is no build", id)
	}
	switch first := info.GetFirstRunId(); first {
	case "":
	case info.GetExecution().GetRunId():
		found = found.since(info.GetStartTime().AsTime())
	default:
		if run, err := c.temporal.DescribeWorkflowExecution(ctx, id, first); err == nil {
			found = found.begun(run.GetWorkflowExecutionInfo().GetStartTime().AsTime())
		} // Temporal keeps ended runs for some days only: the build's id tells then
	}
	return found, nil
}

// buildOf reads an execution; ok is false for one that is no build, or a run that another continues.
func buildOf(e *workflowpb.WorkflowExecutionInfo) (Build, bool) {
	task, id, ok := workflows.ParseBuildID(e.GetExecution().GetWorkflowId())
	if !ok || e.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return Build{}, false
	}
	b := Build{Build: id, Task: task, State: stateOf(e)}
	if closed := e.GetCloseTime(); closed != nil {
		ended := closed.AsTime()
		b.Ended = &ended
	}
	return b.begun(e.GetStartTime().AsTime()), true
}

// begun is the build with its start, by the first of its runs that is known. Where that began later than a build's first run can, Temporal has forgotten
// those before it, and the time in the build's id counts.
func (b Build) begun(run time.Time) Build {
	if named, lag := timeIn(b.Build); !named.IsZero() && run.Sub(named) > lag {
		return b.since(named)
	}
	return b.since(run)
}

// since is the build with its start.
func (b Build) since(start time.Time) Build {
	b.Started = start
	until := time.Now()
	if b.Ended != nil {
		until = *b.Ended
	}
	b.Seconds = until.Sub(b.Started).Round(time.Millisecond).Seconds()
	return b
}

// BuildTime is how the id of a build that a person starts begins: with its time, UTC.
const BuildTime = "20060102-150405"

// timeIn is the time in a build's id, and how much later its first run may begin; zero when there is none.
func timeIn(build string) (named time.Time, lag time.Duration) {
	layout, text := BuildTime, build[:min(len(build), len(BuildTime))]
	lag = callWait
	if at, ok := strings.CutPrefix(build, activities.NightPrefix); ok {
		layout, text, lag = time.RFC3339, at, CatchUp
	}
	named, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{}, 0
	}
	return named, lag
}

func stateOf(e *workflowpb.WorkflowExecutionInfo) rebased.State {
	said := workflows.StateOf(e.GetSearchAttributes())
	switch e.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED:
		if said == "" {
			return rebased.StateRunning
		}
		return said
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		if said == "" {
			return rebased.StateReleased
		}
		return said
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return rebased.StateCanceled
	}
	return rebased.StateFailed
}

// UnderWay is how many rows the steps of a workflow that run now are done with, as they last said. 0 when that is not known.
func (c *Cluster) UnderWay(ctx context.Context, id string) (rows int) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	run, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return 0
	}
	for _, a := range run.GetPendingActivities() {
		var done int
		if c.values.FromPayloads(a.GetHeartbeatDetails(), &done) == nil {
			rows += done
		}
	}
	return rows
}

// Wanted says which build a user means.
type Wanted struct {
	Name string           // TASK/BUILD, with or without "build/" before it, or BUILD, or TASK for its youngest; "" = the youngest of all
	What string           // what such builds are called in an error, for instance "build that is paused"
	Fits func(Build) bool // builds that do not fit do not count, but for one that is named in full
	Only bool             // where more than one fits, the user must say which
}

// Find gives the build that a user means. Errors: NotFound when there is none, Invalid when the user must say which.
func (c *Cluster) Find(ctx context.Context, w Wanted) (Build, error) {
	name := strings.TrimPrefix(w.Name, "build/")
	if task, build, ok := strings.Cut(name, "/"); ok {
		return c.Describe(ctx, task, build)
	}
	found, err := c.Builds(ctx, "", 1000, func(b Build) bool { return w.Fits(b) && (name == "" || b.Task == name || b.Build == name) })
	if err != nil {
		return Build{}, err
	}
	switch {
	case len(found) == 0 && name == "":
		return Build{}, rebased.E(rebased.NotFound, "no %s: rebased builds ls lists all", w.What)
	case len(found) == 0:
		if others, err := c.Builds(ctx, "", 1, func(b Build) bool { return b.Task == name || b.Build == name }); err == nil && len(others) > 0 {
			return Build{}, rebased.E(rebased.NotFound, "no %s called %q: %s is %s", w.What, name, others[0].Name(), others[0].State)
		}
		return Build{}, rebased.E(rebased.NotFound, "no %s called %q: rebased builds ls lists all", w.What, name)
	case len(found) > 1 && w.Only:
		return Build{}, rebased.E(rebased.Invalid, "more than one %s (%s, %s): say which", w.What, found[0].Name(), found[1].Name())
	}
	return found[0], nil
}
