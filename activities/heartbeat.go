package activities

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is how often an activity says that it lives. Cancellation arrives with the answer, so it bounds how long a cancel takes,
// together with the worker's MaxHeartbeatThrottleInterval.
const heartbeatEvery = time.Second

// errStopping ends the work of an activity whose worker stops; another worker takes it up at once.
var errStopping = errors.New("the worker is stopping")

// heartbeat reports progress once a second until stop is called. The number is how many rows, files or parts are done; rows end out of order, so
// the largest counts. What ends before the first second is up says nothing: a word to Temporal costs as much as a small step. The work's context ends with the activity's, and when the worker stops.
func heartbeat(ctx context.Context) (work context.Context, progress func(done int), stop func()) {
	return heartbeatUntil(ctx, 0, nil)
}

// heartbeatAsking is heartbeat for a step that asks a teacher. When the worker stops, sending ends first: the calls under way are paid and worth
// waiting for. Work ends with grace.
func heartbeatAsking(ctx context.Context, grace time.Duration, more func() any) (work, sending context.Context, progress func(done int), stop func()) {
	work, progress, ended := heartbeatUntil(ctx, grace, more)
	sending, cancel := context.WithCancelCause(work)
	stopping := activity.GetWorkerStopChannel(ctx)
	go func() {
		select {
		case <-stopping:
			cancel(errStopping)
		case <-work.Done():
		}
	}()
	return work, sending, progress, func() { ended(); cancel(nil) }
}

// heartbeatUntil is heartbeat for work that goes on for grace when the worker stops. It also reports what more gives, behind the number: details cost no
// event of the history and are seen where the workflow is described.
func heartbeatUntil(ctx context.Context, grace time.Duration, more func() any) (work context.Context, progress func(done int), stop func()) {
	var most atomic.Int64
	work, stop = heartbeatOf(ctx, grace, func() []any {
		details := []any{most.Load()}
		if more != nil {
			details = append(details, more())
		}
		return details
	})
	progress = func(done int) {
		for old := most.Load(); int64(done) > old && !most.CompareAndSwap(old, int64(done)); old = most.Load() {
		}
	}
	return work, progress, stop
}

// heartbeatOf reports what details gives in the same way.
func heartbeatOf(ctx context.Context, grace time.Duration, details func() []any) (work context.Context, stop func()) {
	work, cancel := context.WithCancelCause(ctx)
	stopping := activity.GetWorkerStopChannel(ctx)
	go func() {
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		var late <-chan time.Time // the end of grace
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, details()...)
			case <-stopping:
				if grace <= 0 {
					cancel(errStopping)
					return
				}
				stopping, late = nil, time.After(grace)
			case <-late:
				cancel(errStopping)
				return
			case <-work.Done():
				return
			}
		}
	}()
	return work, func() { cancel(nil) }
}
