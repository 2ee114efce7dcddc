package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/workflows"
)

func TestAVersionIsHandedToTheTargetsThatDoNotHaveIt(t *testing.T) {
	w := newWorld(t)
	w.want(args("versions handoff squad"), 2, "", "rebased: task squad has no released version: rebased versions ls squad lists all\n")
	plain := w.version(true, "x")
	w.want(args("versions handoff squad"), 2, "", "rebased: version "+plain+" of task squad is handed to nothing: its task file has no target under handoff\n")
	to := rebased.Handoff{
		Workflow: &rebased.WorkflowSpec{Type: "Train", TaskQueue: "q"}, Webhook: &rebased.WebhookSpec{URL: "https://ci.test"}, Command: &rebased.CommandSpec{Name: "train"},
	}
	staged := w.versionTo(to, false, "x", "y", "z")
	w.want(args("versions handoff squad@"+staged), 2, "", "rebased: version "+staged+" of task squad was never released: approve its build, or build again\n")
	if err := versionsOf(w.bucket).Reject(w.ctx, "squad", staged, handoff.Rejection{Build: "bx", By: "ann", Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	w.want(args("versions handoff squad@"+staged), 2, "", "rebased: version "+staged+" of task squad was never released: approve its build, or build again\n")
	gone := w.versionTo(to, true, "old")
	name := w.versionTo(to, true, "x", "y")
	marked := handoff.CollectInput{Task: "squad", Version: gone, Releases: 1, Collected: handoff.Collected{At: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC), Why: "it is old"}}
	if err := versionsOf(w.bucket).Collect(w.ctx, marked, func(rebased.Object) {}); err != nil {
		t.Fatal(err)
	}
	w.want(args("versions handoff squad@"+gone), 2, "", "rebased: task squad has no version "+gone+" any more: it was collected on 2026-11-23, it is old\n")
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	for target, d := range map[string]handoff.Delivery{
		"webhook": {State: handoff.DeliveryDone, At: at, Attempts: 2, Result: json.RawMessage(`{"ok":true}`)},
		"command": {State: handoff.DeliveryFailed, At: at, Error: "exit status 3"},
	} {
		if err := versionsOf(w.bucket).Delivered(w.ctx, "squad", name, target, d); err != nil {
			t.Fatal(err)
		}
	}
	w.want(args("versions handoff squad"), 0, "TARGET    STATE\nworkflow  started\nwebhook   delivered\ncommand   started\n", "")
	w.want(args("versions handoff squad"), 0, "TARGET    STATE\nworkflow  under_way\nwebhook   delivered\ncommand   under_way\n", "")
	w.want(args("versions handoff squad@"+name+" --to webhook --again --json"), 0, `{"task":"squad","version":"`+name+`","target":"webhook","state":"started"}`+"\n", "")
	started := map[string]string{}
	for _, run := range w.temporal.Runs() {
		var in workflows.DeliverInput
		if err := json.Unmarshal(run.Input, &in); err != nil || in.Task != "squad" || in.Version != name || !in.Again {
			t.Errorf("%s started with %s, %v", run.ID, run.Input, err)
		}
		started[run.ID] = run.Type
	}
	for _, target := range []string{"workflow", "webhook", "command"} {
		if got := started[workflows.DeliverID("squad", name, target)]; got != workflows.DeliverName || len(started) != 3 {
			t.Errorf("%s was started as %q, of %v", target, got, started)
		}
	}
	w.want(args("versions handoff squad --to sqs"), 2, "", `rebased: version `+name+` of task squad is not handed to "sqs": its task file has workflow, webhook, command`+"\n")
	_, shown, _ := w.run("versions", "show", "squad")
	for _, line := range []string{"hand-off     command failed 2026-11-22T03:00:00Z, exit status 3\n", "hand-off     webhook delivered 2026-11-22T03:00:00Z, {\"ok\":true}\n"} {
		if !strings.Contains(shown, line) {
			t.Errorf("it does not say %q:\n%s", line, shown)
		}
	}
}
