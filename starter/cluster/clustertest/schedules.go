package clustertest

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// schedule is one schedule; it never fires but when triggered.
type schedule struct {
	client.ScheduleHandle
	id      string
	options client.ScheduleOptions
	server  *Temporal

	mu      sync.Mutex
	paused  bool
	note    string
	actions []client.ScheduleActionResult
	skipped int
}

// ScheduleClient implements cluster.Temporal.
func (t *Temporal) ScheduleClient() client.ScheduleClient { return schedules{t} }

// Scheduled gives what a schedule was made of; ok is false when there is none.
func (t *Temporal) Scheduled(id string) (options client.ScheduleOptions, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.schedules[id]
	if !ok {
		return options, false
	}
	return s.options, true
}

type schedules struct{ *Temporal }

func (s schedules) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schedules[o.ID] != nil {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	if s.schedules == nil {
		s.schedules = map[string]*schedule{}
	}
	made := &schedule{id: o.ID, options: o, server: s.Temporal}
	s.schedules[o.ID] = made
	return made, nil
}

func (s schedules) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.schedules[id]; found != nil {
		return found
	}
	return missing{id: id}
}

func (s schedules) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &listing{}
	for _, id := range slices.Sorted(maps.Keys(s.schedules)) {
		found := s.schedules[id]
		list.entries = append(list.entries, &client.ScheduleListEntry{
			ID: id, Note: found.note, Paused: found.paused, RecentActions: found.actions, NextActionTimes: next(), Memo: memo(found.options.Memo),
		})
	}
	return list, nil
}

type listing struct{ entries []*client.ScheduleListEntry }

func (l *listing) HasNext() bool { return len(l.entries) > 0 }

func (l *listing) Next() (*client.ScheduleListEntry, error) {
	first := l.entries[0]
	l.entries = l.entries[1:]
	return first, nil
}

func next() []time.Time { return []time.Time{time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)} }

func memo(values map[string]any) *commonpb.Memo {
	fields := map[string]*commonpb.Payload{}
	for name, value := range values {
		fields[name], _ = converter.GetDefaultDataConverter().ToPayload(value) // texts
	}
	return &commonpb.Memo{Fields: fields}
}

func (s *schedule) Describe(context.Context) (*client.ScheduleDescription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &client.ScheduleDescription{
		Schedule: client.Schedule{State: &client.ScheduleState{Paused: s.paused, Note: s.note}},
		Info:     client.ScheduleInfo{RecentActions: slices.Clone(s.actions), NextActionTimes: next(), NumActionsSkippedOverlap: s.skipped},
		Memo:     memo(s.options.Memo),
	}, nil
}

func (s *schedule) Pause(_ context.Context, o client.SchedulePauseOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused, s.note = true, o.Note
	return nil
}

func (s *schedule) Unpause(_ context.Context, o client.ScheduleUnpauseOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused, s.note = false, o.Note
	return nil
}

func (s *schedule) Delete(context.Context) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	delete(s.server.schedules, s.id)
	return nil
}

// Trigger starts a workflow whose id ends in the time, as Temporal does. One that may not overlap is skipped while the one before runs.
func (s *schedule) Trigger(ctx context.Context, o client.ScheduleTriggerOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fire(ctx, time.Date(2026, 11, 22, 22, len(s.actions), 0, 0, time.UTC), cmp.Or(o.Overlap, s.options.Overlap))
}

// Backfill starts a workflow for each midnight UTC of the periods.
func (s *schedule) Backfill(ctx context.Context, o client.ScheduleBackfillOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, period := range o.Backfill {
		for at := period.Start.Truncate(24 * time.Hour); !at.After(period.End); at = at.Add(24 * time.Hour) {
			if at.Before(period.Start) {
				continue
			}
			if err := s.fire(ctx, at, cmp.Or(period.Overlap, s.options.Overlap)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *schedule) fire(ctx context.Context, at time.Time, overlap enumspb.ScheduleOverlapPolicy) error {
	if n := len(s.actions); n > 0 && overlap == enumspb.SCHEDULE_OVERLAP_POLICY_SKIP {
		last, err := s.server.find(s.actions[n-1].StartWorkflowResult.WorkflowID)
		if err != nil {
			return err
		}
		select {
		case <-last.done:
		default:
			s.skipped++
			return nil
		}
	}
	action := s.options.Action.(*client.ScheduleWorkflowAction)
	id := action.ID + "-" + at.Format(time.RFC3339)
	input, _ := json.Marshal(action.Args[0]) // a plain struct
	if _, err := s.server.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id}, action.Workflow, json.RawMessage(input)); err != nil {
		return err
	}
	s.actions = append(s.actions, client.ScheduleActionResult{
		ScheduleTime: at, ActualTime: at, StartWorkflowResult: &client.ScheduleWorkflowExecution{WorkflowID: id},
	})
	return nil
}

// missing is the handle of a schedule that is not there.
type missing struct {
	client.ScheduleHandle
	id string
}

func (m missing) err() error { return serviceerror.NewNotFound("schedule not found: " + m.id) }

func (m missing) Describe(context.Context) (*client.ScheduleDescription, error)  { return nil, m.err() }
func (m missing) Pause(context.Context, client.SchedulePauseOptions) error       { return m.err() }
func (m missing) Unpause(context.Context, client.ScheduleUnpauseOptions) error   { return m.err() }
func (m missing) Trigger(context.Context, client.ScheduleTriggerOptions) error   { return m.err() }
func (m missing) Backfill(context.Context, client.ScheduleBackfillOptions) error { return m.err() }
func (m missing) Delete(context.Context) error                                   { return m.err() }
