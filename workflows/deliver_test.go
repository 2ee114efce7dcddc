package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nexus-rpc/sdk-go/nexus"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/temporalnexus"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/publish"
	"github.com/rebased/rebased/workflows"
)

// handed is a task that hands its versions to what stands in a list of YAML.
func handed(targets string) string { return taskYAML + "handoff: {" + targets + "}\n" }

const (
	toWorkflow = "workflow: {type: Train, task_queue: training}"
	toNexus    = "nexus: {endpoint: training, service: train, operation: start}"
	toWebhook  = `webhook: {url: "https://ci.test/hook"}`
)

// released makes a version of a task without its hand-off, which is what Deliver then does.
func (w *world) released(t *testing.T, yaml string) rebased.BuildResult {
	t.Helper()
	w.indexed(t, 120)
	r, _ := w.builds(t, "1", yaml)
	if r.State != rebased.StateReleased {
		t.Fatalf("%+v", r)
	}
	return r
}

// builds runs a build and tells which hand-offs it started; they do not run.
func (w *world) builds(t *testing.T, id, yaml string) (rebased.BuildResult, []workflows.DeliverInput) {
	t.Helper()
	env := w.environment(t)
	var started []workflows.DeliverInput
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, args converter.EncodedValues) {
		var in workflows.DeliverInput
		if err := args.Get(&in); err != nil || info.WorkflowExecution.ID != workflows.DeliverID(in.Task, in.Version, in.Target) {
			t.Errorf("%+v started with %+v, %v", info, in, err)
		}
		started = append(started, in)
	})
	env.OnWorkflow(workflows.DeliverName, mock.Anything, mock.Anything).Return(activities.Delivery{}, nil)
	r, err := w.runBuild(t, env, id, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return r, started
}

// deliver hands a version to a target, in an environment that the caller may have prepared.
func (w *world) deliver(t *testing.T, env *testsuite.TestWorkflowEnvironment, version, target string, again bool) (activities.Delivery, error) {
	t.Helper()
	in := workflows.DeliverInput{Task: "numbers", Version: version, Target: target, Again: again}
	return run[activities.Delivery](t, env, workflows.DeliverID("numbers", version, target), workflows.DeliverName, in)
}

// delivery reads what the release record says of a target.
func (w *world) delivery(t *testing.T, version, target string) handoff.Delivery {
	t.Helper()
	record, err := handoff.Versions{Objects: w.objects}.Record(t.Context(), "numbers", version)
	if err != nil {
		t.Fatal(err)
	}
	return record.Deliveries[target]
}

func TestABuildStartsTheHandoffOfEachTargetAndWaitsForNone(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	r, started := w.builds(t, "1", handed(toWorkflow+", "+toWebhook))
	want := []workflows.DeliverInput{{Task: "numbers", Version: r.Version, Target: "workflow"}, {Task: "numbers", Version: r.Version, Target: "webhook"}}
	if r.State != rebased.StateReleased || !slices.Equal(started, want) {
		t.Errorf("%+v started %+v", r, started)
	}
}

// A context that ends cancels the children that were started in it, abandoned or not: builds once canceled the training that they had begun.
func TestABuildDoesNotCancelWhatItHandsOffTo(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ workflows.HandoffInput) error {
		return workflow.Sleep(ctx, 10*time.Hour)
	}, workflow.RegisterOptions{Name: "Train"})
	env.SetOnChildWorkflowCanceledListener(func(info *workflow.Info) { t.Errorf("%s was canceled", info.WorkflowExecution.ID) })
	if r, err := w.runBuild(t, env, "1", handed(toWorkflow)); err != nil || r.State != rebased.StateReleased {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestTheNextBuildOfAVersionHandsOffWhatIsDueAndSaysWhatWentWrong(t *testing.T) {
	w := newWorld()
	yaml := handed(toWorkflow + ", " + toWebhook)
	r := w.released(t, yaml)
	if _, started := w.builds(t, "2", yaml); len(started) != 2 {
		t.Errorf("nothing was handed off yet: %+v started", started)
	}
	w.hook.Answer = func(context.Context, publish.Message) (publish.Receipt, error) {
		return publish.Receipt{}, rebased.E(rebased.NotFound, "410 Gone")
	}
	if _, err := w.deliver(t, w.environment(t), r.Version, "webhook", false); err == nil || !strings.Contains(err.Error(), "hand-off to webhook undelivered: 410 Gone") {
		t.Errorf("got %v", err)
	}
	env := w.environment(t)
	env.RegisterWorkflowWithOptions(func(workflow.Context, workflows.HandoffInput) error { return errors.New("no GPU") }, workflow.RegisterOptions{Name: "Train"})
	if _, err := w.deliver(t, env, r.Version, "workflow", false); err == nil || !strings.Contains(err.Error(), "hand-off to workflow failed: no GPU") {
		t.Errorf("got %v", err)
	}
	again, started := w.builds(t, "3", yaml)
	if again.State != rebased.StateUnchanged || again.Detail != "hand-off to workflow failed: no GPU; hand-off to webhook undelivered: 410 Gone" {
		t.Errorf("%+v", again)
	}
	if want := []workflows.DeliverInput{{Task: "numbers", Version: r.Version, Target: "webhook"}}; !slices.Equal(started, want) {
		t.Errorf("%+v started: a training that failed is not begun again by itself", started)
	}
	w.hook.Answer = nil
	if _, err := w.deliver(t, w.environment(t), r.Version, "webhook", false); err != nil {
		t.Error(err)
	}
	if _, started := w.builds(t, "4", yaml); len(started) != 0 {
		t.Errorf("all arrived, and %+v started", started)
	}
}

func TestTheTrainingPipelineRunsOnceAndItsResultIsRecorded(t *testing.T) {
	w := newWorld()
	r := w.released(t, handed(toWorkflow))
	env := w.environment(t)
	var got []workflows.HandoffInput
	var during handoff.Delivery
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.HandoffInput) (map[string]float64, error) {
		got = append(got, in)
		err := workflow.Sleep(ctx, 10*time.Hour)
		during = w.delivery(t, r.Version, "workflow")
		return map[string]float64{"loss": 0.5}, err
	}, workflow.RegisterOptions{Name: "Train"})
	out, err := w.deliver(t, env, r.Version, "workflow", false)
	id := workflows.HandoffID("numbers", r.Version)
	if err != nil || len(got) != 1 || got[0].Version != r.Version || got[0].URI != r.URI || got[0].Build != "1" || got[0].IdempotencyKey != id || got[0].ReleasedAt.IsZero() {
		t.Fatalf("started with %+v for %+v, %v", got, r, err)
	}
	if during.State != "started" || !strings.HasPrefix(during.ID, id+" run ") || during.Result != nil {
		t.Errorf("while it ran the record said %+v", during)
	}
	if d := w.delivery(t, r.Version, "workflow"); d.State != "delivered" || jsonOf(t, d.Result) != `{"loss":0.5}` || d.ID != during.ID || d.At.Sub(during.At) < 10*time.Hour {
		t.Errorf("the record says %+v", d)
	}
	if out.State != "delivered" {
		t.Errorf("the hand-off ends with %+v", out)
	}
	record, err := handoff.Versions{Objects: w.objects}.Record(t.Context(), "numbers", r.Version)
	if err != nil || record.Releases[0].Handoff != during.ID {
		t.Errorf("the release does not name the run: %+v, %v", record.Releases, err)
	}
	if _, err := w.deliver(t, w.environment(t), r.Version, "workflow", false); err != nil { // Train is not registered here
		t.Errorf("once more: %v", err)
	}
}

func jsonOf(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestATrainingThatFailedRunsAgainOnAPersonsWord(t *testing.T) {
	w := newWorld()
	r := w.released(t, handed(toWorkflow))
	var runs int
	train := func(workflow.Context, workflows.HandoffInput) (string, error) {
		if runs++; runs == 1 {
			return "", errors.New("no GPU\nleft")
		}
		return strings.Repeat("x", 100_000), nil
	}
	for _, again := range []bool{false, false, true} {
		env := w.environment(t)
		env.RegisterWorkflowWithOptions(train, workflow.RegisterOptions{Name: "Train"})
		_, _ = w.deliver(t, env, r.Version, "workflow", again)
		d := w.delivery(t, r.Version, "workflow")
		if want := map[bool]string{false: "failed", true: "delivered"}[again]; d.State != want {
			t.Errorf("again %v: %+v", again, d)
		}
		if !again && d.Error != "no GPU left" {
			t.Errorf("%q", d.Error)
		}
		if again && (d.Error != "" || len(d.Result) > 20_000 || !strings.HasSuffix(string(d.Result), `… (100002 bytes)"`)) {
			t.Errorf("kept %d bytes, %+v", len(d.Result), d.Error)
		}
	}
	if runs != 2 {
		t.Errorf("%d runs", runs)
	}
}

func TestANexusOperationIsCalledAndItsResultRecorded(t *testing.T) {
	w := newWorld()
	r := w.released(t, handed(toNexus))
	train := func(ctx workflow.Context, in workflows.HandoffInput) (map[string]string, error) {
		err := workflow.Sleep(ctx, 10*time.Hour)
		return map[string]string{"model": "m-" + in.Version}, err
	}
	for name, operation := range map[string]nexus.RegisterableOperation{
		"at once": nexus.NewSyncOperation("start", func(_ context.Context, in workflows.HandoffInput, _ nexus.StartOperationOptions) (map[string]string, error) {
			return map[string]string{"model": "m-" + in.Version}, nil
		}),
		"after ten hours": temporalnexus.NewWorkflowRunOperation("start", train, func(_ context.Context, in workflows.HandoffInput, _ nexus.StartOperationOptions) (client.StartWorkflowOptions, error) {
			return client.StartWorkflowOptions{ID: "train/" + in.IdempotencyKey}, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			env := w.environment(t)
			service := nexus.NewService("train")
			service.MustRegister(operation)
			env.RegisterNexusService(service)
			env.RegisterWorkflow(train)
			if _, err := w.deliver(t, env, r.Version, "nexus", true); err != nil {
				t.Fatal(err)
			}
			if d := w.delivery(t, r.Version, "nexus"); d.State != "delivered" || jsonOf(t, d.Result) != `{"model":"m-`+r.Version+`"}` {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestANexusOperationThatFailsIsRecordedWithItsReason(t *testing.T) {
	w := newWorld()
	r := w.released(t, handed(toNexus))
	for name, c := range map[string]struct {
		err   error
		state string
	}{
		"the operation failed": {nexus.NewOperationFailedErrorf("no GPU"), "failed"},
		"it was not taken":     {nexus.NewHandlerErrorf(nexus.HandlerErrorTypeBadRequest, "no GPU"), "undelivered"},
	} {
		t.Run(name, func(t *testing.T) {
			env := w.environment(t)
			service := nexus.NewService("train")
			service.MustRegister(nexus.NewSyncOperation("start", func(context.Context, workflows.HandoffInput, nexus.StartOperationOptions) (nexus.NoValue, error) {
				return nil, c.err
			}))
			env.RegisterNexusService(service)
			_, err := w.deliver(t, env, r.Version, "nexus", true)
			if d := w.delivery(t, r.Version, "nexus"); err == nil || d.State != c.state || !strings.Contains(d.Error, "no GPU") || strings.Contains(d.Error, "nexus operation completed unsuccessfully") {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

func TestAWebhookIsTriedUntilItTakesTheVersion(t *testing.T) {
	w := newWorld()
	r := w.released(t, handed(toWebhook))
	env := w.environment(t)
	began := env.Now()
	w.hook.Answer = func(context.Context, publish.Message) (publish.Receipt, error) {
		switch len(w.hook.Messages()) {
		case 1:
			return publish.Receipt{}, &rebased.Error{Kind: rebased.Throttled, Op: "hook", RetryAfter: 12 * time.Hour}
		case 2, 3:
			return publish.Receipt{}, rebased.E(rebased.Unavailable, "down")
		}
		return publish.Receipt{ID: "42", Result: json.RawMessage(`{"ok":true}`)}, nil
	}
	if _, err := w.deliver(t, env, r.Version, "webhook", false); err != nil {
		t.Fatal(err)
	}
	d := w.delivery(t, r.Version, "webhook")
	if d.State != "delivered" || d.Attempts != 4 || d.ID != "42" || jsonOf(t, d.Result) != `{"ok":true}` || env.Now().Sub(began) < 12*time.Hour {
		t.Errorf("%+v after %v", d, env.Now().Sub(began))
	}
	all := w.hook.Messages()
	for _, m := range all {
		if string(m) != string(all[0]) || !strings.Contains(string(m), `"idempotency_key":"handoff/numbers/`+r.Version+`"`) {
			t.Errorf("message %s", m)
		}
	}
	if _, err := w.deliver(t, w.environment(t), r.Version, "webhook", false); err != nil || len(w.hook.Messages()) != 4 {
		t.Errorf("handed off again without a person's word: %v", err)
	}
	if _, err := w.deliver(t, w.environment(t), r.Version, "webhook", true); err != nil || len(w.hook.Messages()) != 5 {
		t.Errorf("a person wants it again: %v, %d messages", err, len(w.hook.Messages()))
	}
}

// The test environment gives an activity up after ten attempts, Temporal after the three days of its options.
func TestAWebhookThatStaysDownIsGivenUp(t *testing.T) {
	w := newWorld()
	r := w.released(t, handed(toWebhook))
	w.hook.Answer = func(context.Context, publish.Message) (publish.Receipt, error) {
		return publish.Receipt{}, rebased.E(rebased.Unavailable, "down")
	}
	_, err := w.deliver(t, w.environment(t), r.Version, "webhook", false)
	if d := w.delivery(t, r.Version, "webhook"); err == nil || d.State != "undelivered" || d.Attempts != 10 || d.Error != "down" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAVersionThatIsRolledBackWhileItsTargetIsDownIsNotHandedOff(t *testing.T) {
	w := newWorld()
	r := w.released(t, handed(toWebhook))
	w.hook.Answer = func(ctx context.Context, _ publish.Message) (publish.Receipt, error) {
		key := rebased.ReleaseKey("numbers", r.Version)
		body, _, err := w.objects.Get(ctx, key)
		if err != nil {
			return publish.Receipt{}, err
		}
		var record handoff.Record
		if err := json.Unmarshal(body, &record); err != nil {
			return publish.Receipt{}, err
		}
		record.RolledBack = append(record.RolledBack, handoff.Rollback{By: "ann", Reason: "wrong labels", At: record.Releases[0].ReleasedAt.Add(time.Hour)})
		if body, err = json.Marshal(record); err == nil {
			_, err = w.objects.Put(ctx, key, body)
		}
		return publish.Receipt{}, errors.Join(rebased.E(rebased.Unavailable, "down"), err)
	}
	_, err := w.deliver(t, w.environment(t), r.Version, "webhook", false)
	d := w.delivery(t, r.Version, "webhook")
	if err == nil || d.State != "undelivered" || !strings.Contains(d.Error, "rolled back by ann") || !strings.Contains(d.Error, "wrong labels") || len(w.hook.Messages()) != 1 {
		t.Errorf("%d messages, %+v, %v", len(w.hook.Messages()), d, err)
	}
	w.hook.Answer = nil
	if _, err := w.deliver(t, w.environment(t), r.Version, "webhook", true); err != nil || len(w.hook.Messages()) != 2 {
		t.Errorf("a person wants it all the same: %v, %d messages", err, len(w.hook.Messages()))
	}
}

func TestACanceledHandoffIsRecordedAndNotBegunAgain(t *testing.T) {
	w := newWorld()
	yaml := handed(toWorkflow)
	r := w.released(t, yaml)
	env := w.environment(t)
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ workflows.HandoffInput) error {
		return workflow.Sleep(ctx, 10*time.Hour)
	}, workflow.RegisterOptions{Name: "Train"})
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	_, err := w.deliver(t, env, r.Version, "workflow", false)
	if d := w.delivery(t, r.Version, "workflow"); err == nil || d.State != "failed" || d.Error != "canceled" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, started := w.builds(t, "2", yaml); len(started) != 0 {
		t.Errorf("%+v", started)
	}
}

func TestATargetThatThisWorkerCannotReachRefusesTheBuildBeforeARowIsPaid(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.hook.Refuse = rebased.E(rebased.Unauthorized, "REBASED_WEBHOOK_SECRET is not set")
	_, err := w.runBuild(t, w.environment(t), "1", handed(toWebhook))
	if application, ok := errors.AsType[*temporal.ApplicationError](err); !ok || application.Type() != activities.Refused || application.Message() != "handoff.webhook: REBASED_WEBHOOK_SECRET is not set" {
		t.Errorf("got %v", err)
	}
	if asked, _ := w.teacher.Asked(); asked != 0 {
		t.Errorf("%d calls", asked)
	}
}
