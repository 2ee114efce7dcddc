package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/workflows"
)

// collect runs a collection of the least that a policy keeps.
func (w *world) collect(t *testing.T, dry bool) (workflows.CollectResult, error) {
	t.Helper()
	two := int64(gc.Grace.Seconds())
	in := workflows.CollectInput{Policy: activities.CollectPolicy{Versions: 1, Builds: two, Uploads: two, Answers: two}, DryRun: dry}
	return run[workflows.CollectResult](t, w.environment(t), workflows.CollectID(dry), workflows.CollectName, in)
}

// ago is an environment, and the bucket's clock, of an earlier day.
func (w *world) ago(t *testing.T, by time.Duration) *testsuite.TestWorkflowEnvironment {
	then := time.Now().Add(-by)
	w.objects.Now = func() time.Time { return then }
	env := w.environment(t)
	env.SetStartTime(then)
	return env
}

func TestAfterACollectionTheNextBuildAsksNothing(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld()
	w.ago(t, 60*day)
	w.indexed(t, 120)
	earlier := strings.Replace(taskYAML, "Answer the question about a number.", "Say the number.", 1)
	old, err := w.runBuild(t, w.ago(t, 50*day), "1", earlier)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := w.runBuild(t, w.ago(t, 40*day), "2", taskYAML)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.runBuild(t, w.ago(t, 30*day), "3", taskYAML); err != nil {
		t.Fatal(err)
	}
	w.objects.Now = nil
	dry, err := w.collect(t, true)
	if err != nil || dry.Objects == 0 || !dry.DryRun {
		t.Fatalf("%+v, %v", dry, err)
	}
	if there := w.files(t, rebased.VersionKey("numbers", old.Version)); len(there) == 0 {
		t.Error("a dry run removes a version")
	}
	done, err := w.collect(t, false)
	if err != nil || done.Objects != dry.Objects || done.Bytes != dry.Bytes || done.Bytes == 0 {
		t.Fatalf("%+v, the dry run said %+v, %v", done, dry, err)
	}
	for prefix, stays := range map[string]bool{
		"builds/numbers/1/": false, "builds/numbers/2/": true, "builds/numbers/3/": false,
		rebased.VersionKey("numbers", old.Version) + "/": false, rebased.VersionKey("numbers", kept.Version) + "/": true,
	} {
		if there := len(w.files(t, prefix)) > 0; there != stays {
			t.Errorf("%s: is there = %v", prefix, there)
		}
	}
	if again, err := w.collect(t, false); err != nil || again.Objects != 0 {
		t.Errorf("a second run: %+v, %v", again, err)
	}
	next, err := w.runBuild(t, w.environment(t), "4", taskYAML)
	if err != nil || next.State != rebased.StateUnchanged || next.Calls.Made != 0 || next.Version != kept.Version {
		t.Errorf("%+v, %v", next, err)
	}
}

func TestABuildWaitsWhileVersionsOrAnswersGo(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	if _, err := w.objects.Put(t.Context(), rebased.CollectingKey, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	env := w.environment(t)
	waited := ""
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(workflows.QueryProgress)
		var p rebased.Progress
		if err == nil {
			err = value.Get(&p)
		}
		if err != nil {
			t.Error(err)
		}
		waited = p.Detail
		if err := w.objects.Delete(t.Context(), rebased.CollectingKey); err != nil {
			t.Error(err)
		}
	}, 20*time.Second)
	r, err := w.runBuild(t, env, "1", taskYAML)
	if err != nil || r.State != rebased.StateReleased {
		t.Errorf("%+v, %v", r, err)
	}
	if !strings.Contains(waited, "rebased gc") {
		t.Errorf("meanwhile it says %q", waited)
	}
}

func TestACollectionThatCannotAskWhatIsUnderWayRemovesNothing(t *testing.T) {
	w := newWorld()
	w.ago(t, 60*24*time.Hour)
	if _, err := w.objects.Put(t.Context(), "builds/numbers/1/task.yaml", nil); err != nil {
		t.Fatal(err)
	}
	w.objects.Now = nil
	w.down["temporal"] = rebased.E(rebased.Unavailable, "list open workflows: no answer")
	_, err := w.collect(t, false)
	if application, ok := errors.AsType[*temporal.ApplicationError](err); !ok || !strings.Contains(application.Message(), "ask what is under way: ") {
		t.Errorf("%v", err)
	}
	if len(w.files(t, "builds/")) != 1 || len(w.files(t, "gc/")) != 0 {
		t.Error("something was removed, or the mark is left")
	}
	w.down["temporal"] = nil
	if out, err := w.collect(t, false); err != nil || out.Objects != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}
