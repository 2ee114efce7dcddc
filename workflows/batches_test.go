package workflows_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/workflows"
)

const batchYAML = taskYAML + "reason: {mode: rationale}\ntransform: {batch: true}\n"

// afterHours ends each batch so many hours after it was made.
func (w *world) afterHours(hours int, now func() time.Time) {
	made := map[string]time.Time{}
	w.teacher.Taken = func(id string) error { made[id] = now(); return nil }
	w.teacher.Stands = func(id string, _ int) llm.BatchState {
		return llm.BatchState{Ended: now().Sub(made[id]) >= time.Duration(hours)*time.Hour}
	}
}

func TestABuildInBatchesWaitsHoursWithoutAnActivityAndAsksNothingOnline(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	w.afterHours(9, env.Now)
	polls := 0
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityType.Name == "PollBatches" {
			polls++
		}
	})
	began := env.Now()
	r, err := w.runBuild(t, env, "1", batchYAML)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, r)
	if took := env.Now().Sub(began); r.State != rebased.StateReleased || took < 18*time.Hour {
		t.Errorf("%+v after %s", r, took)
	}
	taken, _ := w.teacher.Submitted()
	if total, most := w.teacher.Asked(); total != 120 || most != 1 || taken != 2 || r.Calls.Made != 120 {
		t.Errorf("%d answers in %d batches, the most for one request %d, %+v", total, taken, most, r.Calls)
	}
	if polls < 20 || polls > 160 {
		t.Errorf("%d polls in two times nine hours", polls)
	}
}

func TestABuildInBatchesHasTheRowsOfOneWithout(t *testing.T) {
	var versions [2]map[string]string
	for i, batch := range []string{"false", "true"} {
		w := newWorld()
		w.indexed(t, 120)
		r, err := w.runBuild(t, w.environment(t), "1", strings.Replace(batchYAML, "batch: true", "batch: "+batch, 1))
		if err != nil {
			t.Fatal(err)
		}
		versions[i] = map[string]string{} // the version's name is another, since the task is
		for key, sum := range w.files(t, rebased.VersionKey("numbers", r.Version)) {
			if name := key[strings.LastIndexByte(key, '/')+1:]; strings.HasPrefix(name, "train") {
				versions[i][name] = sum
			}
		}
	}
	if !maps.Equal(versions[0], versions[1]) || len(versions[0]) == 0 {
		t.Errorf("rows differ: %v and %v", versions[0], versions[1])
	}
}

func TestWhatABatchLeavesIsAskedOnline(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	n := 0
	w.teacher.Leaves = func(llm.Request) string {
		if n++; n%10 == 0 {
			return "expired"
		}
		return ""
	}
	r, err := w.runBuild(t, w.environment(t), "1", batchYAML)
	if err != nil {
		t.Fatal(err)
	}
	if total, most := w.teacher.Asked(); r.State != rebased.StateReleased || total != 120 || most != 1 {
		t.Errorf("%+v: %d answers, the most for one request %d", r, total, most)
	}
}

func TestACanceledBuildCancelsItsBatches(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	w.afterHours(20, env.Now)
	env.RegisterDelayedCallback(env.CancelWorkflow, 2*time.Hour)
	_, err := w.runBuild(t, env, "1", batchYAML)
	if err == nil {
		t.Fatal("a canceled build ended well")
	}
	if taken, canceled := w.teacher.Submitted(); taken != 1 || canceled != 1 {
		t.Errorf("%d batches, %d canceled", taken, canceled)
	}
	w.teacher.Stands = nil // it ends, with what was answered
	again, err := w.runBuild(t, w.environment(t), "2", batchYAML)
	if err != nil {
		t.Fatal(err)
	}
	if total, most := w.teacher.Asked(); again.State != rebased.StateReleased || total != 120 || most != 1 {
		t.Errorf("%+v: %d answers, the most for one request %d", again, total, most)
	}
}

func TestABudgetHoldsInBatches(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	var waiting rebased.Progress
	env.RegisterDelayedCallback(func() {
		waiting = progressOf(t, env)
		raise(env, workflows.BudgetRaise{Tokens: 1_000_000})
	}, 100*time.Hour)
	r, err := w.runBuild(t, env, "1", strings.Replace(batchYAML, "batch: true", "batch: true, teacher: {max_tokens: 100}", 1)+"budget: {tokens: 8000}\n")
	if err != nil {
		t.Fatal(err)
	}
	if total, most := w.teacher.Asked(); r.State != rebased.StateReleased || total != 120 || most != 1 {
		t.Errorf("%+v: %d answers, the most for one request %d", r, total, most)
	}
	if s := waiting.Spent.Tokens; waiting.State != rebased.StateBudgetExhausted || s == 0 || s > 8000 || waiting.Calls.Made < 10 {
		t.Errorf("at the budget of 8000: %+v", waiting)
	}
	if taken, _ := w.teacher.Submitted(); taken < 4 {
		t.Errorf("%d batches: what a batch left of the budget is for the next one", taken)
	}
}

func TestATeacherWithoutBatchesIsRefusedBeforeARowIsRetrieved(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.teacher.NoBatches = true
	_, err := w.runBuild(t, w.environment(t), "1", batchYAML)
	if err == nil || !strings.Contains(err.Error(), "transform.batch: the server at http://mem.invalid/v1 has no batches") {
		t.Errorf("error is %v", err)
	}
}

func TestAKeyRefusedWhileABatchIsWaitedForPausesTheBuild(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	w.afterHours(3, env.Now)
	refused := true
	w.teacher.Looked = func() error {
		if refused {
			return rebased.E(rebased.Unauthorized, "the key is refused")
		}
		return nil
	}
	var paused rebased.Progress
	env.RegisterDelayedCallback(func() {
		paused = progressOf(t, env)
		refused = false
		update(env, workflows.UpdateResume, workflows.Decision{})
	}, 30*time.Hour)
	r, err := w.runBuild(t, env, "1", batchYAML)
	if total, most := w.teacher.Asked(); err != nil || r.State != rebased.StateReleased || total != 120 || most != 1 {
		t.Errorf("%+v, %v: %d answers, the most for one request %d", r, err, total, most)
	}
	if paused.State != rebased.StatePaused || paused.Batches != 1 {
		t.Errorf("before it was resumed: %+v", paused)
	}
}

func TestABuildWhoseBatchesCannotBeAskedAboutFailsInsteadOfPayingTwice(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.teacher.Looked = func() error { return errors.New("a fault of ours") }
	_, err := w.runBuild(t, w.environment(t), "1", batchYAML)
	if total, _ := w.teacher.Asked(); err == nil || !strings.Contains(err.Error(), "a fault of ours") || total != 0 {
		t.Errorf("error %v, %d answers", err, total)
	}
}

func TestALongHistoryIsPolledSeldom(t *testing.T) {
	polls := map[int]int{}
	for _, events := range []int{100, 3500, 7000} {
		w := newWorld()
		w.indexed(t, 120)
		env := w.environment(t)
		env.SetCurrentHistoryLength(events)
		w.afterHours(9, env.Now)
		env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
			if info.ActivityType.Name == "PollBatches" {
				polls[events]++
			}
		})
		if _, err := w.runBuild(t, env, "1", batchYAML); err != nil {
			t.Fatal(err)
		}
	}
	if polls[3500] >= polls[100] || polls[7000] > 20 {
		t.Errorf("polls in two times nine hours, by the length of the history: %v", polls)
	}
}

func TestABatchThatIsCanceledWhileABuildWaitsForItIsMadeAnew(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	canceled := false
	w.teacher.Stands = func(id string, _ int) llm.BatchState { return llm.BatchState{Ended: id != "batch-1" || canceled} }
	submitted := 0
	w.teacher.Taken = func(string) error { submitted++; return nil }
	w.teacher.Leaves = func(llm.Request) string {
		if submitted == 1 {
			return "canceled"
		}
		return ""
	}
	env.RegisterDelayedCallback(func() { // as the build does that had made it, and that this one has joined
		batches := &llm.Batches{Store: w.answers, Now: env.Now}
		if err := batches.Cancel(t.Context(), w.teacher, "numbers/1", func(int) {}); err != nil {
			t.Error(err)
		}
		canceled = true
	}, time.Hour)
	r, err := w.runBuild(t, env, "1", batchYAML)
	if err != nil {
		t.Fatal(err)
	}
	taken, _ := w.teacher.Submitted()
	if total, most := w.teacher.Asked(); r.State != rebased.StateReleased || taken != 3 || total != 120 || most != 1 {
		t.Errorf("%+v: %d batches, %d answers, the most for one request %d", r, taken, total, most)
	}
}
