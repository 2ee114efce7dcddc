package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

func TestStepsAreWhatTheirHeartbeatsSay(t *testing.T) {
	now := time.Date(2026, 11, 26, 4, 0, 0, 0, time.UTC)
	details := func(values ...any) *commonpb.Payloads {
		payloads, err := converter.GetDefaultDataConverter().ToPayloads(values...)
		if err != nil {
			t.Fatal(err)
		}
		return payloads
	}
	flow := activities.Flow{InFlight: 3, Answered: 10, Throttled: 2, Failed: 1, Spent: rebased.Amount{Pico: 7, Tokens: 70}, Most: 64, Rate: 12.5, Hold: 4}
	on := func(worker string, more *workflowpb.PendingActivityInfo) *workflowpb.PendingActivityInfo {
		more.State, more.LastWorkerIdentity = enumspb.PENDING_ACTIVITY_STATE_STARTED, worker
		return more
	}
	got := (&Cluster{values: converter.GetDefaultDataConverter(), failures: temporal.GetDefaultFailureConverter()}).stepsOf([]*workflowpb.PendingActivityInfo{
		on("2@b", &workflowpb.PendingActivityInfo{HeartbeatDetails: details(100, flow)}),
		on("1@a", &workflowpb.PendingActivityInfo{HeartbeatDetails: details(50, flow)}),
		on("1@a", &workflowpb.PendingActivityInfo{HeartbeatDetails: details(5, flow)}), // of the same worker: its pace counts once
		on("1@a", &workflowpb.PendingActivityInfo{HeartbeatDetails: details(7)}),       // asks no teacher, or is of an older worker
		on("1@a", &workflowpb.PendingActivityInfo{HeartbeatDetails: details("no number", flow)}),
		on("1@a", &workflowpb.PendingActivityInfo{}), // has not been heard of
		on("1@a", &workflowpb.PendingActivityInfo{ // its heartbeat is of the attempt before
			HeartbeatDetails: details(20, flow), LastHeartbeatTime: timestamppb.New(now), LastStartedTime: timestamppb.New(now.Add(time.Second)),
			Attempt: 2, ActivityType: &commonpb.ActivityType{Name: "TransformShard"}, LastFailure: &failurepb.Failure{Message: "reset"},
		}),
		{
			State: enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, HeartbeatDetails: details(30, flow), LastWorkerIdentity: "3@gone", Attempt: 5,
			ActivityType: &commonpb.ActivityType{Name: "ReasonShard"}, LastFailure: &failurepb.Failure{Message: "no\nanswer"}, NextAttemptScheduleTime: timestamppb.New(now),
		},
	})
	want := Steps{
		Rows: 212, Workers: []string{"1@a", "2@b"},
		Flow:  activities.Flow{InFlight: 9, Answered: 30, Throttled: 6, Failed: 3, Spent: rebased.Amount{Pico: 21, Tokens: 210}, Most: 128, Rate: 25, Hold: 4},
		Again: []Again{{Step: "ReasonShard", Attempt: 5, Why: "no answer", Next: now}, {Step: "TransformShard", Attempt: 2, Why: "reset"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
