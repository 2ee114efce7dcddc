package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/rebased/rebased/activities"
)

// Steps are the activities of a workflow that are under way, as they said last: by their heartbeats, which cost the history nothing.
type Steps struct {
	Rows    int      // that they are done with
	Workers []string // that have them, sorted
	// Flow sums the steps that ask a teacher. The pace is the sum of the workers'.
	Flow  activities.Flow
	Again []Again // those that failed and are tried again, the most often tried first
}

// Again is a step that failed and is tried again.
type Again struct {
	Step    string    `json:"step"` // the activity's name
	Attempt int       `json:"attempt"`
	Why     string    `json:"why"` // one line
	Next    time.Time `json:"next,omitzero"`
}

// Steps looks at the activities of a workflow; none where Temporal does not tell.
func (c *Cluster) Steps(ctx context.Context, id string) Steps {
	ctx, cancel := context.WithTimeout(ctx, queryWait)
	defer cancel()
	run, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return Steps{}
	}
	return c.stepsOf(run.GetPendingActivities())
}

func (c *Cluster) stepsOf(pending []*workflowpb.PendingActivityInfo) Steps {
	out := Steps{Workers: []string{}}
	paces := map[string]activities.Flow{} // by worker: each of its steps tells the same
	for _, a := range pending {
		worker := a.GetLastWorkerIdentity()
		if a.GetState() == enumspb.PENDING_ACTIVITY_STATE_STARTED {
			if worker != "" && !slices.Contains(out.Workers, worker) {
				out.Workers = append(out.Workers, worker)
			}
		}
		if failure := a.GetLastFailure(); failure != nil {
			again := Again{Step: a.GetActivityType().GetName(), Attempt: int(a.GetAttempt()), Why: c.said(failure)}
			if at := a.GetNextAttemptScheduleTime(); at != nil {
				again.Next = at.AsTime()
			}
			out.Again = append(out.Again, again)
		}
		var rows int
		var flow activities.Flow // of steps that ask no teacher: none
		if c.values.FromPayloads(a.GetHeartbeatDetails(), &rows, &flow) != nil {
			continue
		}
		out.Rows += rows
		if a.GetState() != enumspb.PENDING_ACTIVITY_STATE_STARTED || a.GetLastHeartbeatTime().AsTime().Before(a.GetLastStartedTime().AsTime()) {
			continue // what it counted was of the attempt before
		}
		out.Flow.InFlight += flow.InFlight
		out.Flow.Answered += flow.Answered
		out.Flow.Throttled += flow.Throttled
		out.Flow.Failed += flow.Failed
		out.Flow.Spent = out.Flow.Spent.Add(flow.Spent)
		if flow.Most > 0 {
			paces[worker] = flow
		}
	}
	for _, pace := range paces {
		out.Flow.Most += pace.Most
		out.Flow.Rate += pace.Rate
		out.Flow.Hold = max(out.Flow.Hold, pace.Hold)
	}
	slices.Sort(out.Workers)
	slices.SortStableFunc(out.Again, func(a, b Again) int {
		if a.Attempt != b.Attempt {
			return b.Attempt - a.Attempt
		}
		return strings.Compare(a.Step, b.Step)
	})
	return out
}
