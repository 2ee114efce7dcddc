package activities

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/rebased/rebased"
)

// translated gives what Temporal hears of an activity that ends in an error.
func translated(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	env := suite.NewTestActivityEnvironment()
	step := func(ctx context.Context) error { return translate(ctx, err) }
	env.RegisterActivity(step)
	_, heard := env.ExecuteActivity(step)
	var application *temporal.ApplicationError
	if !errors.As(heard, &application) {
		t.Fatalf("%v became %v", err, heard)
	}
	return application
}

func TestKindsDecideWhetherAStepIsTriedAgain(t *testing.T) {
	for kind, final := range map[rebased.Kind]bool{
		rebased.Invalid: true, rebased.NotFound: true, rebased.Conflict: true, rebased.Unauthorized: true, rebased.Exhausted: true,
		rebased.Rejected: true, rebased.Throttled: false, rebased.Unavailable: false,
	} {
		got := translated(t, fmt.Errorf("read the rows: %w", rebased.E(kind, "it is so")))
		if got.NonRetryable() != final || got.Type() != string(kind) || got.Message() != "read the rows: it is so" {
			t.Errorf("%s: type %s, final %v, %q", kind, got.Type(), got.NonRetryable(), got.Message())
		}
	}
	if got := translated(t, errors.New("a fault of ours")); got.NonRetryable() || got.Type() != "" {
		t.Errorf("an error without a kind is final at its first attempt: %+v", got)
	}
}

func TestTheWaitThatTheOtherSideAskedForIsTheNextRetryDelay(t *testing.T) {
	got := translated(t, &rebased.Error{Kind: rebased.Throttled, Op: "ask", RetryAfter: 10 * time.Minute, Err: errors.New("HTTP 429")})
	if got.NextRetryDelay() != 10*time.Minute {
		t.Errorf("the next attempt comes after %s", got.NextRetryDelay())
	}
}

func TestAStepWhoseWorkerStopsIsTriedElsewhere(t *testing.T) {
	for _, err := range []error{errStopping, fmt.Errorf("transform shard 3: %w", context.Canceled)} {
		if got := translated(t, err); got.NonRetryable() || got.Type() != string(rebased.Unavailable) {
			t.Errorf("%v became type %s, final %v", err, got.Type(), got.NonRetryable())
		}
	}
}
