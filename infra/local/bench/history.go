package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/workflows"
)

// span is the time from the first activity of a name that was scheduled to the last that was completed.
type span struct {
	from, to time.Time
	n        int // completed
}

func (s span) seconds() float64 { return s.to.Sub(s.from).Seconds() }

// steps reads from a build's history how long each of its steps took, by the name of the activity.
func (s *stack) steps(ctx context.Context, b rebased.BuildResult) (map[string]span, error) {
	temporal, err := client.DialContext(ctx, client.Options{
		HostPort: s.folder.Ports.Address(folder.Temporal), Namespace: folder.Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return nil, err
	}
	defer temporal.Close()
	steps, names := map[string]span{}, map[int64]string{}
	history := temporal.GetWorkflowHistory(ctx, workflows.BuildID(b.Task, b.Build), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return nil, fmt.Errorf("read the history of build %s: %w", b.Build, err)
		}
		at := event.GetEventTime().AsTime()
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			name := scheduled.GetActivityType().GetName()
			names[event.GetEventId()] = name
			if step, seen := steps[name]; !seen {
				step.from = at
				steps[name] = step
			}
		}
		if completed := event.GetActivityTaskCompletedEventAttributes(); completed != nil {
			name := names[completed.GetScheduledEventId()]
			step := steps[name]
			step.to = at
			step.n++
			steps[name] = step
		}
	}
	return steps, nil
}
