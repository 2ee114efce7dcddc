package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Sizes of a build's fan-out.
const (
	shardRows    = 1000 // the most rows of one shard
	shardsAtOnce = 8    // the sliding window
	partsAtOnce  = 8    // files or corpus parts under way in an import or index run

	batchesAtOnce = 64 // shards of a build that wait for batches of a provider
)

// How often a build asks about its batches: at first every two seconds, then after a quarter of the time that the newest of them has taken.
const (
	pollFirst = 2 * time.Second
	pollMost  = 15 * time.Minute
	pollPart  = 4
)

// indexWait is how often a build looks whether the update of its index has ended.
const indexWait = 15 * time.Second

// adaptiveInFlight is the most calls of a build under way when its task sets no cap.
const adaptiveInFlight = 256

// Options of the activities, a table: how long, how often heard of, how often tried.
//
// Heartbeats carry cancellation, so every step that takes more than seconds has them; the timeout is far above the interval so that a busy
// machine is not taken for a dead one. A step is tried until its provider, bucket or index is back: outages end, and paid answers are kept.
var (
	// A plan may fetch models of encoders and read benchmarks.
	planOptions = workflow.ActivityOptions{
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
	}
	// A build that no person watches waits for what is down in the night.
	unattendedPlanOptions = workflow.ActivityOptions{
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute, MaximumAttempts: 15},
	}
	// To plan an index may mean to list all of it.
	indexPlanOptions = workflow.ActivityOptions{
		StartToCloseTimeout: 6 * time.Hour,
		HeartbeatTimeout:    time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
	}
	unattendedIndexPlanOptions = workflow.ActivityOptions{
		StartToCloseTimeout: 6 * time.Hour,
		HeartbeatTimeout:    time.Minute,
		RetryPolicy:         unattendedPlanOptions.RetryPolicy,
	}
	stepOptions = workflow.ActivityOptions{
		StartToCloseTimeout: 24 * time.Hour,
		HeartbeatTimeout:    time.Minute,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 20 * time.Second},
	}
	// A night waits two minutes for each build that it takes over from, not for good.
	takeOverOptions = workflow.ActivityOptions{
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    time.Minute,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	}
	// A provider that cannot be reached does not keep a canceled build.
	cancelOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    2 * time.Minute,
		ScheduleToCloseTimeout: 5 * time.Minute,
		HeartbeatTimeout:       time.Minute,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 20 * time.Second},
	}
	// A source that workers read themselves is given up after ten attempts, six minutes in all: its earlier rows stay, and the next night asks again.
	remoteOptions = workflow.ActivityOptions{
		StartToCloseTimeout: 24 * time.Hour,
		HeartbeatTimeout:    time.Minute,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 2 * time.Minute},
	}
	// What a sweep cannot remove the next one does.
	sweepOptions = workflow.ActivityOptions{
		StartToCloseTimeout: 24 * time.Hour,
		HeartbeatTimeout:    time.Minute,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 20 * time.Second, MaximumAttempts: 10},
	}
	// Somebody sits before it: what is down is told within a minute or so.
	previewOptions = workflow.ActivityOptions{
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    time.Minute,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 5},
	}
	// A target of a hand-off is tried for three days, then by the next build. A command has its own limit over StartToCloseTimeout.
	deliverOptions = workflow.ActivityOptions{
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToCloseTimeout: 72 * time.Hour,
		HeartbeatTimeout:       time.Minute,
		WaitForCancellation:    true,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: time.Hour},
	}
	recordOptions = workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	}
)
