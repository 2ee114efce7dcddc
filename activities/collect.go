package activities

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/activities/llm"
)

// Collect removes from the bucket what a retention policy lets go.
type Collect struct {
	Objects  rebased.Objects
	Examples rebased.Table[rebased.Example]
	Rejects  rebased.Table[rebased.Reject]
	Answers  *llm.Store
	// Running asks Temporal what is under way.
	Running func(ctx context.Context) (gc.Running, error)
}

// CollectPolicy says what stays.
type CollectPolicy = gc.Policy

// CollectRow says what was removed, or left, of one kind for one reason.
type CollectRow = gc.Row

// What is collected, in this order.
const (
	CollectVersions = gc.KindVersions
	CollectBuilds   = gc.KindBuilds
	CollectTasks    = gc.KindTasks
	CollectUploads  = gc.KindUploads
	CollectImports  = gc.KindImports
	CollectAnswers  = gc.KindAnswers
)

// CollectInput names one kind of what is collected.
type CollectInput struct {
	Kind   string        `json:"kind"`
	Policy CollectPolicy `json:"policy"`
	DryRun bool          `json:"dry_run,omitempty"`
	Now    time.Time     `json:"now"` // from which ages count: the same in every attempt
}

// CollectResult says what was removed, or would be.
type CollectResult struct {
	Rows []CollectRow `json:"rows"`
}

// CollectKind removes what goes of one kind. An attempt after a failure begins anew with what is left, and adds to what the one before has told of.
func (a *Collect) CollectKind(ctx context.Context, in CollectInput) (CollectResult, error) {
	var before []CollectRow
	if activity.HasHeartbeatDetails(ctx) && !in.DryRun {
		if err := activity.GetHeartbeatDetails(ctx, &before); err != nil {
			before = nil
		}
		before = slices.DeleteFunc(before, func(r CollectRow) bool { return r.Left }) // told anew
	}
	var said atomic.Pointer[[]CollectRow]
	said.Store(&before)
	work, stop := heartbeatOf(ctx, 0, func() []any { return []any{*said.Load()} })
	defer stop()
	collector := gc.Collector{
		Objects: a.Objects, Examples: a.Examples, Rejects: a.Rejects, Answers: a.Answers, Policy: in.Policy, DryRun: in.DryRun, Now: in.Now,
		Running: a.Running, Progress: func(rows []CollectRow) { said.Store(&rows) },
	}
	rows, err := collector.Collect(work, in.Kind, before)
	if err != nil {
		activity.RecordHeartbeat(ctx, rows) // for the next attempt
	}
	return CollectResult{Rows: rows}, translate(ctx, err)
}
