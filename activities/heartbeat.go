package activities

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is how often an activity says that it lives. Cancellation arrives with the answer, so it bounds how long a cancel takes,
// together with the worker's MaxHeartbeatThrottleInterval.
const heartbeatEvery = time.Second

// heartbeat reports progress once a second until stop is called. The number is how many rows, files or parts are done.
func heartbeat(ctx context.Context) (progress func(done int), stop func()) {
	var done atomic.Int64
	ended := make(chan struct{})
	activity.RecordHeartbeat(ctx, 0)
	go func() {
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, done.Load())
			case <-ended:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func(n int) { raise(&done, int64(n)) }, func() { close(ended) }
}

// raise keeps the largest number seen: rows end out of order.
func raise(done *atomic.Int64, n int64) {
	for old := done.Load(); n > old && !done.CompareAndSwap(old, n); old = done.Load() {
	}
}
