package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/workflows"
)

func TestADeadlineDecidesWhereNobodyHas(t *testing.T) {
	for word, c := range map[string]struct {
		state  rebased.State
		record []string
	}{
		"approve": {rebased.StateReleased, []string{`"approved_by": "handoff.approval_deadline"`, `"reason": "nobody decided within 72h0m0s"`}},
		"reject":  {rebased.StateRejected, []string{`"releases": []`, `"by": "handoff.approval_deadline"`, `"reason": "nobody decided within 72h0m0s"`}},
		`""`:      {rebased.StateRejected, []string{`"by": "handoff.approval_deadline"`}},
	} {
		w := newWorld()
		w.indexed(t, 120)
		env := w.environment(t)
		began := env.Now()
		env.RegisterDelayedCallback(func() {
			p := progressOf(t, env)
			if p.State != rebased.StateAwaitingApproval || !strings.HasSuffix(p.Detail, " unless somebody decides before") {
				t.Errorf("%s: %+v", word, p)
			}
		}, 71*time.Hour)
		r, err := w.runBuild(t, env, "1", taskYAML+"handoff: {approval: true, approval_deadline: 72h, approval_default: "+word+"}\n")
		if err != nil || r.State != c.state || r.DecidedBy != "handoff.approval_deadline" {
			t.Errorf("%s: %+v, %v", word, r, err)
		}
		if took := env.Now().Sub(began); took < 72*time.Hour || took > 73*time.Hour {
			t.Errorf("%s: after %s", word, took)
		}
		body, _, err := w.objects.Get(t.Context(), rebased.ReleaseKey("numbers", r.Version))
		for _, part := range c.record {
			if err != nil || !strings.Contains(string(body), part) {
				t.Errorf("%s: the record lacks %s: %s, %v", word, part, body, err)
			}
		}
	}
}

func TestAPersonIsFasterThanTheDeadline(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	env.RegisterDelayedCallback(func() { update(env, workflows.UpdateApprove, workflows.Decision{By: "ann"}) }, 71*time.Hour)
	r, err := w.runBuild(t, env, "1", taskYAML+"handoff: {approval: true, approval_deadline: 72h}\n")
	if err != nil || r.State != rebased.StateReleased || r.DecidedBy != "ann" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestADeadlineDoesNotApproveWhatAGateHoldsOrAPersonHasRejected(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	const held = "gates: {min_in_input: 1}\n"
	for _, c := range []struct {
		build, gates, says string
		after              time.Duration
	}{
		{"1", held, "gates.min_in_input: ", 1000 * time.Hour},
		{"2", "", "approved at ", time.Hour},
		{"3", "", "this version was rejected by ann on ", 1000 * time.Hour},
	} {
		env := w.environment(t)
		env.RegisterDelayedCallback(func() {
			if p := progressOf(t, env); p.State != rebased.StateAwaitingApproval || !strings.Contains(p.Detail, c.says) {
				t.Errorf("%s: %+v", c.build, p)
			}
			update(env, workflows.UpdateReject, workflows.Decision{By: "ann", Reason: "too thin"})
		}, c.after)
		r, err := w.runBuild(t, env, c.build, taskYAML+c.gates+"handoff: {approval: true, approval_deadline: 72h, approval_default: approve}\n")
		if err != nil || r.State != rebased.StateRejected || r.DecidedBy != "ann" {
			t.Errorf("%s: %+v, %v", c.build, r, err)
		}
	}
}

// A night that makes the version again which waits does not put its deadline off.
func TestADeadlineGoesOnInTheBuildThatTakesThePlaceOfOneWithTheSameVersion(t *testing.T) {
	const yaml = taskYAML + "handoff: {approval: true, approval_deadline: 72h, approval_default: approve}\n"
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	began := env.Now()
	var answers []answer
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(workflows.UpdateSupersede, "", collector{&answers}, activities.Supersede{By: "nightly-2", TaskKey: w.build(t, yaml).TaskKey})
	}, 71*time.Hour)
	first, err := w.runBuild(t, env, "1", yaml)
	if err != nil || first.State != rebased.StateSuperseded || len(answers) != 1 {
		t.Fatalf("%+v, %v, %+v", first, err, answers)
	}
	p := answers[0].progress
	if ran := p.Since.Sub(began); p.Version != first.Version || ran < 0 || ran > time.Hour {
		t.Errorf("the newer build hears %+v", p)
	}
	for version, left := range map[string]time.Duration{first.Version: time.Hour, "000000000000": 72 * time.Hour} {
		w.objects.Delete(t.Context(), rebased.LatestKey("numbers")) //nolint:errcheck // a bucket in memory
		env := w.environment(t)
		began := env.Now()
		var a *activities.Nights
		env.OnActivity(a.Enter, mock.Anything, mock.Anything).Return(activities.EnterResult{Waiting: []activities.Waiter{{Build: "nightly-1", State: rebased.StateAwaitingApproval}}}, nil)
		env.OnActivity(a.TakeOver, mock.Anything, mock.Anything).Return(activities.TakeOverResult{
			Superseded: []string{"nightly-1"}, Since: map[string]time.Time{version: began.Add(-71 * time.Hour)},
		}, nil)
		in := w.build(t, yaml)
		in.Unattended = true
		r, err := run[rebased.BuildResult](t, env, workflows.BuildID("numbers", "nightly-2"), workflows.BuildDatasetName, in)
		if err != nil || r.State != rebased.StateReleased || r.DecidedBy != "handoff.approval_deadline" || r.Version != first.Version {
			t.Errorf("%+v, %v", r, err)
		}
		if took := env.Now().Sub(began); took < left || took > left+time.Hour {
			t.Errorf("%s waited elsewhere: decided after %s", version, took)
		}
	}
}
