package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

func TestAVersionThatDoesNotPassAGateWaitsForAPersonAndSaysWhy(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	if r, err := w.runBuild(t, w.environment(t), "1", taskYAML+"gates: {max_drop: 0.1, min_parsed: 1}\n"); err != nil || r.State != rebased.StateReleased {
		t.Fatalf("nothing to hold it: %+v, %v", r, err)
	}
	w.teacher.Fail = refusingOneIn(3)
	env := w.environment(t)
	env.RegisterDelayedCallback(func() {
		p := progressOf(t, env)
		if p.State != rebased.StateAwaitingApproval || !strings.Contains(p.Detail, "gates.max_drop: ") || strings.Contains(p.Detail, "min_parsed") {
			t.Errorf("%+v", p)
		}
		update(env, workflows.UpdateApprove, workflows.Decision{By: "ann", Reason: "a thin night"})
	}, time.Hour)
	fresh := strings.Replace(taskYAML, "instruction: ", "instruction: Now ", 1)
	r, err := w.runBuild(t, env, "2", fresh+"gates: {max_drop: 0.1, min_parsed: 1}\n")
	if err != nil || r.State != rebased.StateReleased || r.Rows >= 54 {
		t.Fatalf("%+v, %v", r, err)
	}
	body, _, err := w.objects.Get(t.Context(), rebased.ReleaseKey("numbers", r.Version))
	if err != nil || !strings.Contains(string(body), "gates.max_drop") || !strings.Contains(string(body), "a thin night") {
		t.Errorf("%s, %v", body, err)
	}
}

// TestAVersionIsHeldAgainWhereItWouldReplaceAnotherOneThanWasSaid: the build waits for approval while another build of the task releases more rows.
func TestAVersionIsHeldAgainWhereItWouldReplaceAnotherOneThanWasSaid(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	small := strings.Replace(taskYAML, "rows: 60", "rows: 30", 1) + "handoff: {approval: true}\ngates: {max_drop: 0.1}\n"
	env := w.environment(t)
	var other rebased.BuildResult
	env.RegisterDelayedCallback(func() {
		if p := progressOf(t, env); p.State != rebased.StateAwaitingApproval || p.Detail != "" {
			t.Errorf("%+v", p)
		}
		var err error
		if other, err = w.runBuild(t, w.environment(t), "2", taskYAML); err != nil || other.State != rebased.StateReleased {
			t.Errorf("%+v, %v", other, err)
		}
		update(env, workflows.UpdateApprove, workflows.Decision{By: "ann", Reason: "good"})
	}, time.Hour)
	env.RegisterDelayedCallback(func() {
		p := progressOf(t, env)
		if p.State != rebased.StateAwaitingApproval || !strings.Contains(p.Detail, "gates.max_drop: 30 rows, the latest version has 60") {
			t.Errorf("%+v", p)
		}
		update(env, workflows.UpdateApprove, workflows.Decision{By: "bob", Reason: "smaller on purpose"})
	}, 2*time.Hour)
	r, err := w.runBuild(t, env, "1", small)
	if err != nil || r.State != rebased.StateReleased || r.Rows != 30 {
		t.Fatalf("%+v, %v", r, err)
	}
	body, _, err := w.objects.Get(t.Context(), rebased.ReleaseKey("numbers", r.Version))
	for _, part := range []string{"smaller on purpose", "gates.max_drop: 30 rows", `"version": "` + other.Version + `"`, `"drop": 0.5`} {
		if err != nil || !strings.Contains(string(body), part) {
			t.Errorf("the record lacks %s: %s, %v", part, body, err)
		}
	}
}
