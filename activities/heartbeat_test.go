package activities

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"
)

// stopped runs a step on a worker that stops.
func stopped(t *testing.T, step func(ctx context.Context) error) {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	env := suite.NewTestActivityEnvironment()
	stopping := make(chan struct{})
	close(stopping)
	env.SetWorkerStopChannel(stopping)
	env.RegisterActivity(step)
	if _, err := env.ExecuteActivity(step); err != nil {
		t.Error(err)
	}
}

func TestAStopEndsTheWorkOfAStep(t *testing.T) {
	stopped(t, func(ctx context.Context) error {
		work, _, stop := heartbeat(ctx)
		defer stop()
		<-work.Done()
		if !errors.Is(context.Cause(work), errStopping) {
			t.Errorf("it ended with %v", context.Cause(work))
		}
		return nil
	})
}

func TestAStopEndsTheSendingOfAStepThatAsksAndLeavesItItsGrace(t *testing.T) {
	stopped(t, func(ctx context.Context) error {
		work, sending, _, stop := heartbeatAsking(ctx, time.Hour, nil)
		defer stop()
		<-sending.Done()
		if !errors.Is(context.Cause(sending), errStopping) || work.Err() != nil {
			t.Errorf("sending ended with %v, work with %v", context.Cause(sending), work.Err())
		}
		return nil
	})
	stopped(t, func(ctx context.Context) error {
		work, _, _, stop := heartbeatAsking(ctx, time.Nanosecond, nil)
		defer stop()
		<-work.Done()
		if !errors.Is(context.Cause(work), errStopping) {
			t.Errorf("after its grace it ended with %v", context.Cause(work))
		}
		return nil
	})
}
