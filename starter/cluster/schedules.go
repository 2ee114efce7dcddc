package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

const (
	// indexPrefix is how the schedule of a corpus's index is called, before the corpus's name: no task has a name with a '/'.
	indexPrefix = "index/"
	// CatchUp is how late a build may start, unless the schedule says so, that Temporal missed while it was down.
	CatchUp = 12 * time.Hour
)

// schedulePrefix begins the ids of schedules.
var schedulePrefix = workflows.ScheduleID("")

// memo names of a schedule: what ls shows.
const (
	memoSpec = "spec"
	memoZone = "timezone"
)

// IndexSchedule names the schedule of a corpus's index; that of a task is called after the task.
func IndexSchedule(corpus string) string { return indexPrefix + corpus }

// Schedule is when a task is built, or the index of a corpus brought up to date, by itself. There is one for each at most.
type Schedule struct {
	Task     string      `json:"task"`             // "index/<corpus>" for an index
	Corpus   string      `json:"corpus,omitempty"` // whose index it is; "" for a task
	Spec     string      `json:"spec"`             // the cron line, or "every 24h0m0s"
	TimeZone string      `json:"timezone"`
	Paused   bool        `json:"paused"`
	Note     string      `json:"note"`
	Last     []LastBuild `json:"last"` // what it started, the oldest first
	Next     []time.Time `json:"next"`
	// Skipped counts index runs that did not start, because the one before still ran; known to Schedule, not to Schedules. Builds are skipped by
	// themselves: their State says so.
	Skipped int `json:"skipped"`
}

// LastBuild is a build, or an index run, that a schedule started. What came of it is known after Results.
type LastBuild struct {
	Build string    `json:"build"` // the end of the workflow id
	At    time.Time `json:"at"`

	State        rebased.State `json:"state,omitempty"` // "" = not known
	Version      string        `json:"version,omitempty"`
	Rows         int           `json:"rows,omitempty"`
	CostUSD      float64       `json:"cost_usd,omitempty"`
	SupersededBy string        `json:"superseded_by,omitempty"` // the build that took its place
	Detail       string        `json:"detail,omitempty"`

	id    string // of the workflow
	index bool   // it is an index run
}

// ScheduleSpec says when: by a cron line or every so often.
type ScheduleSpec struct {
	Cron           string
	Every          time.Duration
	TimeZone       string // IANA name; "" = UTC
	Jitter         time.Duration
	CatchUp        time.Duration // how late a run may start that Temporal missed; 0 = CatchUp
	PauseOnFailure bool
	Start, End     time.Time // nothing starts before, or after; zero = no bound
}

func (s ScheduleSpec) String() string {
	if s.Cron != "" {
		return s.Cron
	}
	return "every " + s.Every.String()
}

func (s ScheduleSpec) temporal() client.ScheduleSpec {
	spec := client.ScheduleSpec{TimeZoneName: s.TimeZone, Jitter: s.Jitter, StartAt: s.Start, EndAt: s.End}
	if s.Cron != "" {
		spec.CronExpressions = []string{s.Cron}
	} else {
		spec.Intervals = []client.ScheduleIntervalSpec{{Every: s.Every}}
	}
	return spec
}

// CreateSchedule makes the schedule of a task. Its builds see to it themselves that they do not get into each other's way: one that waits for a person
// gives way to the next, which Temporal cannot tell from one that runs. Where one exists it is Conflict.
func (c *Cluster) CreateSchedule(ctx context.Context, in workflows.BuildInput, spec ScheduleSpec) error {
	in.Unattended, in.PauseOnFailure = true, spec.PauseOnFailure
	return c.createSchedule(ctx, in.Task, client.ScheduleOptions{Spec: spec.temporal(), Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, Action: buildAction(in)}, spec)
}

// buildAction is what the schedule of a task does.
func buildAction(in workflows.BuildInput) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID:                    workflows.NightlyID(in.Task),
		Workflow:              workflows.BuildDatasetName,
		TaskQueue:             workflows.TaskQueue,
		Args:                  []any{in},
		TypedSearchAttributes: taskAttribute(in.Task),
		Memo:                  map[string]any{workflows.AttributeTask: in.Task},
	}
}

// CreateIndexSchedule makes the schedule of a corpus's index, whose runs do not overlap. Where one exists it is Conflict.
func (c *Cluster) CreateIndexSchedule(ctx context.Context, in workflows.IndexInput, spec ScheduleSpec) error {
	in.Unattended = true
	return c.createSchedule(ctx, IndexSchedule(in.Corpus), client.ScheduleOptions{
		Spec: spec.temporal(), Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, PauseOnFailure: spec.PauseOnFailure,
		Action: &client.ScheduleWorkflowAction{
			ID: workflows.IndexID(in.Corpus) + "/nightly", Workflow: workflows.IndexCorpusName, TaskQueue: workflows.TaskQueue, Args: []any{in},
		},
	}, spec)
}

func (c *Cluster) createSchedule(ctx context.Context, name string, options client.ScheduleOptions, spec ScheduleSpec) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	options.ID, options.CatchupWindow = workflows.ScheduleID(name), cmp.Or(spec.CatchUp, CatchUp)
	options.Memo = map[string]any{memoSpec: spec.String(), memoZone: spec.TimeZone}
	_, err := c.temporal.ScheduleClient().Create(ctx, options)
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) || rebased.KindOf(c.translate("", err)) == rebased.Conflict {
		if _, index := IndexedBy(name); !index {
			return rebased.E(rebased.Conflict, "%s has a schedule already: rebased schedule update gives it another task file; for other times delete it first (rebased schedule delete %s)", subject(name), name)
		}
		return rebased.E(rebased.Conflict, "%s has a schedule already: rebased schedule delete %s, then create it anew", subject(name), name)
	}
	return c.translate("create the schedule of "+name, err)
}

// IndexedBy takes the name of a schedule apart; ok is false when it is a task's.
func IndexedBy(name string) (corpus string, ok bool) {
	if corpus, ok = strings.CutPrefix(name, indexPrefix); !ok {
		return "", false
	}
	return corpus, true
}

// subject says in words what a schedule is of.
func subject(name string) string {
	if corpus, ok := IndexedBy(name); ok {
		return "the index of " + corpus
	}
	return "task " + name
}

// runOf says in words what a schedule starts.
func runOf(name string) string {
	if corpus, ok := IndexedBy(name); ok {
		return "an index run of " + corpus
	}
	return "a build of " + name
}

// Schedules lists all schedules, by name.
func (c *Cluster) Schedules(ctx context.Context) ([]Schedule, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	iterator, err := c.temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: pageSize})
	if err != nil {
		return nil, c.translate("list schedules", err)
	}
	var schedules []Schedule
	for iterator.HasNext() {
		entry, err := iterator.Next()
		if err != nil {
			return nil, c.translate("list schedules", err)
		}
		task, ok := strings.CutPrefix(entry.ID, schedulePrefix)
		if !ok {
			continue
		}
		s := Schedule{Task: task, Paused: entry.Paused, Note: entry.Note, Last: lastBuilds(entry.RecentActions), Next: entry.NextActionTimes}
		s.Corpus, _ = IndexedBy(task)
		for name, into := range map[string]*string{memoSpec: &s.Spec, memoZone: &s.TimeZone} {
			if payload, ok := entry.Memo.GetFields()[name]; ok {
				_ = c.values.FromPayload(payload, into) // shown, not relied on
			}
		}
		schedules = append(schedules, s)
	}
	slices.SortFunc(schedules, func(a, b Schedule) int { return strings.Compare(a.Task, b.Task) })
	return schedules, nil
}

// Schedule looks at a schedule by its name: a task, or what IndexSchedule gives.
func (c *Cluster) Schedule(ctx context.Context, task string) (Schedule, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	found, err := c.handle(ctx, task).Describe(ctx)
	if err != nil {
		return Schedule{}, c.scheduleError("look at", task, err)
	}
	s := Schedule{
		Task: task, Last: lastBuilds(found.Info.RecentActions), Next: found.Info.NextActionTimes, Skipped: found.Info.NumActionsSkippedOverlap,
	}
	s.Corpus, _ = IndexedBy(task)
	if state := found.Schedule.State; state != nil {
		s.Paused, s.Note = state.Paused, state.Note
	}
	for name, into := range map[string]*string{memoSpec: &s.Spec, memoZone: &s.TimeZone} {
		if payload, ok := found.Memo.GetFields()[name]; ok {
			_ = c.values.FromPayload(payload, into) // shown, not relied on
		}
	}
	return s, nil
}

// PauseSchedule stops a schedule from starting builds; ResumeSchedule lets it go on.
func (c *Cluster) PauseSchedule(ctx context.Context, task, note string) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return c.scheduleError("pause", task, c.handle(ctx, task).Pause(ctx, client.SchedulePauseOptions{Note: note}))
}

// ResumeSchedule undoes PauseSchedule.
func (c *Cluster) ResumeSchedule(ctx context.Context, task, note string) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return c.scheduleError("resume", task, c.handle(ctx, task).Unpause(ctx, client.ScheduleUnpauseOptions{Note: note}))
}

// DeleteSchedule removes a schedule; builds that it started go on.
func (c *Cluster) DeleteSchedule(ctx context.Context, task string) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return c.scheduleError("delete", task, c.handle(ctx, task).Delete(ctx))
}

// ScheduledBuild is what the schedule of a task starts its builds with.
func (c *Cluster) ScheduledBuild(ctx context.Context, task string) (in workflows.BuildInput, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	found, err := c.handle(ctx, task).Describe(ctx)
	if err != nil {
		return in, c.scheduleError("look at", task, err)
	}
	if action, ok := found.Schedule.Action.(*client.ScheduleWorkflowAction); ok && len(action.Args) == 1 {
		if payload, ok := action.Args[0].(*commonpb.Payload); ok {
			switch err := c.values.FromPayload(payload, &in); {
			case err == nil && in.Task == task:
				return in, nil
			case rebased.KindOf(err) == rebased.Unauthorized: // it lacks a key
				return in, fmt.Errorf("%s: read its schedule: %w", subject(task), err)
			}
		}
	}
	return in, rebased.E(rebased.Invalid, "%s: its schedule cannot be read: rebased schedule delete %s, then create it anew", subject(task), task)
}

// ScheduleChange is what changes in a schedule besides its task file.
type ScheduleChange struct {
	CatchUp        time.Duration // 0 = it stays
	PauseOnFailure *bool         // nil = it stays
}

// UpdateSchedule gives the schedule of a task another task file, and the ways of one that is created now. Its times stay.
func (c *Cluster) UpdateSchedule(ctx context.Context, in workflows.BuildInput, change ScheduleChange) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	in.Unattended = true
	if change.PauseOnFailure != nil {
		in.PauseOnFailure = *change.PauseOnFailure
	}
	return c.scheduleError("update", in.Task, c.handle(ctx, in.Task).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(now client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			next := now.Description.Schedule
			policy := client.SchedulePolicies{CatchupWindow: CatchUp}
			if next.Policy != nil {
				policy = *next.Policy
			}
			policy.Overlap, policy.CatchupWindow = overlap(in.Task), cmp.Or(change.CatchUp, policy.CatchupWindow)
			next.Policy, next.Action = &policy, buildAction(in)
			return &client.ScheduleUpdate{Schedule: &next}, nil
		},
	}))
}

// overlap is what a schedule does when a run before has not ended. Builds of a task start, and find out themselves.
func overlap(name string) enumspb.ScheduleOverlapPolicy {
	if _, index := IndexedBy(name); index {
		return enumspb.SCHEDULE_OVERLAP_POLICY_SKIP
	}
	return enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
}

// BackfillSchedule starts what the schedule would have started between two times, at once.
func (c *Cluster) BackfillSchedule(ctx context.Context, task string, from, to time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	period := client.ScheduleBackfill{Start: from, End: to, Overlap: overlap(task)}
	return c.scheduleError("backfill", task, c.handle(ctx, task).Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{period}}))
}

// TriggerSchedule starts a build, or an index run, now and gives its name; "" when the schedule has not told yet. An index run beside another is Conflict.
func (c *Cluster) TriggerSchedule(ctx context.Context, task string) (build string, err error) {
	before, err := c.Schedule(ctx, task)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	if err := c.handle(ctx, task).Trigger(ctx, client.ScheduleTriggerOptions{Overlap: overlap(task)}); err != nil {
		return "", c.scheduleError("trigger", task, err)
	}
	ticker := time.NewTicker(c.tick)
	defer ticker.Stop()
	for {
		now, err := c.Schedule(ctx, task)
		switch {
		case err == nil && newest(now).id != newest(before).id:
			return newest(now).Build, nil
		case err == nil && now.Skipped > before.Skipped:
			return "", rebased.E(rebased.Conflict, "%s still runs: the schedule does not start another beside it", runOf(task))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return "", nil
		}
	}
}

func newest(s Schedule) LastBuild {
	if len(s.Last) == 0 {
		return LastBuild{}
	}
	return s.Last[len(s.Last)-1]
}

func (c *Cluster) handle(ctx context.Context, task string) client.ScheduleHandle {
	return c.temporal.ScheduleClient().GetHandle(ctx, workflows.ScheduleID(task))
}

func (c *Cluster) scheduleError(op, task string, err error) error {
	err = c.translate(op+" the schedule of "+task, err)
	if rebased.KindOf(err) == rebased.NotFound && !strings.Contains(err.Error(), "namespace") {
		return rebased.E(rebased.NotFound, "%s has no schedule: rebased schedule ls lists those there are", subject(task))
	}
	return err
}

func lastBuilds(actions []client.ScheduleActionResult) []LastBuild {
	last := []LastBuild{}
	for _, action := range actions {
		if action.StartWorkflowResult == nil {
			continue
		}
		id := action.StartWorkflowResult.WorkflowID
		last = append(last, LastBuild{Build: id[strings.LastIndexByte(id, '/')+1:], At: action.ActualTime, id: id, index: strings.HasPrefix(id, indexPrefix)})
	}
	return last
}

// stateDone is that of an index run that ended well.
const stateDone rebased.State = "done"

// looks is how many builds are asked about at one time.
const looks = 8

// Results finds what came of the last runs of schedules, so many of each. What Temporal does not tell in time, or has forgotten, is left out.
func (c *Cluster) Results(ctx context.Context, schedules []Schedule, each int) {
	ctx, cancel := context.WithTimeout(ctx, queryWait)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(looks)
	for _, s := range schedules {
		for i := range s.Last[max(0, len(s.Last)-each):] {
			last := &s.Last[len(s.Last)-1-i]
			group.Go(func() error { c.outcome(ctx, last); return nil })
		}
	}
	_ = group.Wait() // its functions give no error
}

// outcome looks at one run.
func (c *Cluster) outcome(ctx context.Context, last *LastBuild) {
	described, err := c.temporal.DescribeWorkflowExecution(ctx, last.id, "")
	if err != nil {
		return
	}
	info := described.GetWorkflowExecutionInfo()
	last.State = stateOf(info)
	if last.index && info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		last.State = stateDone
	}
	if !last.State.Final() {
		return
	}
	var result rebased.BuildResult // an index run has some of its fields
	err = c.temporal.GetWorkflow(ctx, last.id, "").Get(ctx, &result)
	var failure *Failure
	switch {
	case err == nil && last.index:
		last.Rows = result.Rows
	case err == nil:
		last.Version, last.Rows, last.CostUSD, last.SupersededBy, last.Detail = result.Version, result.Rows, result.CostUSD, result.SupersededBy, result.Detail
	case errors.As(c.ended(last.id, err), &failure):
		last.State, last.Detail = failure.State, failure.Message
	}
}
