package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
)

// Refused is the type of the application error that ends a workflow before anything was spent.
const Refused = "refused"

// maxUnknown is how often an activity is tried whose error has no kind: a fault of ours, which no outage explains.
const maxUnknown = 5

// handedBack is when another worker takes up a step that a stopping one has handed back.
const handedBack = 10 * time.Millisecond

// translate is the one place where an error kind becomes Temporal's. What the same call would meet again is not retried; Throttled and
// Unavailable are, after the time that the other side asked for, else by the retry policy, for as long as it takes. The type of the
// application error is the kind.
func translate(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return temporal.NewCanceledError()
	case errors.Is(err, errStopping) || errors.Is(err, context.Canceled):
		return temporal.NewApplicationErrorWithOptions(errStopping.Error(), string(rebased.Unavailable), temporal.ApplicationErrorOptions{NextRetryDelay: handedBack})
	}
	kind := rebased.KindOf(err)
	options := temporal.ApplicationErrorOptions{NextRetryDelay: rebased.RetryAfterOf(err)}
	switch kind {
	case rebased.Throttled, rebased.Unavailable:
	case "":
		options.NonRetryable = activity.GetInfo(ctx).Attempt >= maxUnknown
	default:
		options.NonRetryable = true
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), string(kind), options)
}
