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
