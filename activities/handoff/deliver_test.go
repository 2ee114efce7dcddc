package handoff

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

// everyTarget hands a version to all there is.
func everyTarget() rebased.Handoff {
	return rebased.Handoff{
		Workflow: &rebased.WorkflowSpec{Type: "Train", TaskQueue: "q"}, Nexus: &rebased.NexusSpec{Endpoint: "e", Service: "s", Operation: "o"},
		Webhook: &rebased.WebhookSpec{URL: "https://ci.test"}, SQS: &rebased.SQSSpec{QueueURL: "https://sqs.test/q"}, Command: &rebased.CommandSpec{Name: "c"},
	}
}

func TestWhatBecameOfAHandoffStandsInTheReleaseRecord(t *testing.T) {
	ctx := context.Background()
	v, _, _ := twoVersions(t)
	in := input()
	in.Task.Handoff = everyTarget()
	a := stage(t, v, in).Version // the task file of a version names its targets
	mustRelease(t, v, release(a, "b1", 0))
	again := func() Staged {
		t.Helper()
		staged := stage(t, v, in)
		if !staged.Released || staged.Version != a {
			t.Fatalf("%+v", staged)
		}
		return staged
	}
	all := in.Task.Handoff.Targets()
	if staged := again(); !slices.Equal(staged.Due, all) || staged.Unstarted != "b1" || staged.Undelivered != nil {
		t.Errorf("a version of which nothing is known: %+v", staged)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	states := map[string]Delivery{
		rebased.TargetWorkflow: {State: DeliveryStarted, At: at, ID: "handoff/capitals/x run 1"},
		rebased.TargetNexus:    {State: DeliveryFailed, At: at, Error: "no GPU"},
		rebased.TargetWebhook:  {State: DeliveryUndelivered, At: at, Attempts: 3, Error: "410 Gone"},
		rebased.TargetSQS:      {State: DeliveryDone, At: at, ID: "m1", Result: json.RawMessage(`{"a":1}`)},
	}
	for target, d := range states {
		if err := v.Delivered(ctx, "capitals", a, target, d); err != nil {
			t.Fatal(err)
		}
	}
	staged := again()
	if !slices.Equal(staged.Due, []string{rebased.TargetWebhook, rebased.TargetCommand}) || staged.Unstarted != "" {
		t.Errorf("due are %v, unstarted %q", staged.Due, staged.Unstarted)
	}
	if want := []string{"hand-off to nexus failed: no GPU", "hand-off to webhook undelivered: 410 Gone"}; !slices.Equal(staged.Undelivered, want) {
		t.Errorf("it says %q", staged.Undelivered)
	}
	record, err := v.Record(ctx, "capitals", a)
	if err != nil || record.Releases[0].Handoff != "handoff/capitals/x run 1" || record.Deliveries[rebased.TargetSQS].ID != "m1" || record.Deliveries[rebased.TargetWebhook].Attempts != 3 {
		t.Errorf("%+v, %v", record, err)
	}
	before := contents(t, v.Objects, rebased.ReleaseKey("capitals", a))
	if err := v.Delivered(ctx, "capitals", a, rebased.TargetNexus, states[rebased.TargetNexus]); err != nil {
		t.Fatal(err)
	}
	if after := contents(t, v.Objects, rebased.ReleaseKey("capitals", a)); before[rebased.ReleaseKey("capitals", a)] != after[rebased.ReleaseKey("capitals", a)] {
		t.Error("the same again changed the record")
	}
	mustRelease(t, v, release(a, "b1", 0)) // a late retry of the release keeps it
	if record, err := v.Record(ctx, "capitals", a); err != nil || len(record.Deliveries) != 4 {
		t.Errorf("%+v, %v", record.Deliveries, err)
	}
}

func TestAHandoffThatAnOlderProgramMadeIsNotMadeAgain(t *testing.T) {
	v, _, _ := twoVersions(t)
	in := input()
	in.Task.Handoff = rebased.Handoff{Workflow: everyTarget().Workflow}
	a := stage(t, v, in).Version
	mustRelease(t, v, release(a, "b1", 0))
	if err := v.HandedOff(t.Context(), "capitals", a, "b1", "handoff/capitals/"+a+" run 1"); err != nil {
		t.Fatal(err)
	}
	if staged := stage(t, v, in); len(staged.Due) != 0 || staged.Unstarted != "" {
		t.Errorf("%+v", staged)
	}
	order, err := v.Order(t.Context(), "capitals", a, rebased.TargetWorkflow)
	if err != nil || order.Due || order.Build != "b1" || !order.ReleasedAt.Equal(release(a, "b1", 0).At) {
		t.Errorf("%+v, %v", order, err)
	}
}

func TestARollbackHandsNothingOff(t *testing.T) {
	v, _, b := twoVersions(t)
	in := input()
	in.Task.Handoff = everyTarget()
	a := stage(t, v, in).Version
	mustRelease(t, v, release(a, "b1", 0))
	mustRelease(t, v, release(b, "b2", 1))
	if _, err := v.Rollback(t.Context(), RollbackInput{Task: "capitals", Version: a, By: "Ada", At: release(b, "b2", 2).At}); err != nil {
		t.Fatal(err)
	}
	if staged := stage(t, v, in); !staged.Released || len(staged.Due) != 0 {
		t.Errorf("%+v", staged)
	}
	order, err := v.Order(t.Context(), "capitals", a, rebased.TargetSQS)
	if err != nil || order.Build != "b1" || !order.Due {
		t.Errorf("a person can hand it off: %+v, %v", order, err)
	}
	order, err = v.Order(t.Context(), "capitals", b, rebased.TargetSQS)
	if err != nil || order.Due || order.Earlier == nil || order.Earlier.State != DeliveryUndelivered || !strings.Contains(order.Earlier.Error, "rolled back by Ada") {
		t.Errorf("one that was rolled back before it was handed off: %+v, %v", order, err)
	}
	if _, err := v.Order(t.Context(), "capitals", "000000000000", rebased.TargetSQS); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("of a version that was never released: %v", err)
	}
	if err := v.Collect(t.Context(), CollectInput{Task: "capitals", Version: b, Releases: 1, Collected: Collected{Why: "it is old"}}, func(rebased.Object) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Order(t.Context(), "capitals", b, rebased.TargetSQS); rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), "it was collected on") {
		t.Errorf("of a version that was collected: %v", err)
	}
}
