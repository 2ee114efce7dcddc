package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
)

func TestAWorkerThatTemporalDoesNotHearOfIsNotAlive(t *testing.T) {
	const service = "/temporal.api.workflowservice.v1.WorkflowService/"
	synctest.Test(t, func(t *testing.T) {
		var c contact
		call := func(method string, err error) {
			t.Helper()
			invoke := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return err }
			if got := c.intercept(t.Context(), service+method, nil, nil, nil, invoke); !errors.Is(got, err) {
				t.Fatalf("%s: got %v, want %v", method, got, err)
			}
		}
		if c.alive() {
			t.Error("alive before anything was heard")
		}
		call("PollActivityTaskQueue", nil)
		if !c.alive() {
			t.Error("not alive after a step was given to it")
		}
		time.Sleep(29 * time.Second)
		call("RecordActivityTaskHeartbeat", errors.New("unavailable"))
		call("GetSystemInfo", nil)
		time.Sleep(2 * time.Second)
		if c.alive() {
			t.Error("alive though no heartbeat has arrived for 31 s")
		}
		call("RecordActivityTaskHeartbeat", nil)
		if !c.alive() {
			t.Error("not alive after a heartbeat")
		}
	})
}
