package workflows_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/workflows"
)

func sha(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func (w *world) runBuild(t *testing.T, env *testsuite.TestWorkflowEnvironment, id, yaml string) (rebased.BuildResult, error) {
	t.Helper()
	return run[rebased.BuildResult](t, env, workflows.BuildID("numbers", id), workflows.BuildDatasetName, w.build(t, yaml))
}

// files gives the objects under a prefix with their SHA-256.
func (w *world) files(t *testing.T, prefix string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for o, err := range w.objects.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := w.objects.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		out[o.Key] = sha(body)
	}
	return out
}

func checkSum(t *testing.T, r rebased.BuildResult) {
	t.Helper()
	sum := r.Rows
	for _, n := range r.Rejected {
		sum += n
	}
	if sum != r.Retrieved || r.Retrieved == 0 {
		t.Errorf("retrieved %d, rows and rejects add up to %d: %+v", r.Retrieved, sum, r)
	}
}

func TestABuildReleasesAVersionWhoseCountsAddUp(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	r, err := w.runBuild(t, w.environment(t), "1", taskYAML)
	if err != nil {
		t.Fatal(err)
	}
	if r.State != rebased.StateReleased || r.Retrieved != 60 || r.Version == "" || r.URI != "s3://bucket/datasets/numbers/"+r.Version+"/" {
		t.Errorf("got %+v", r)
	}
	checkSum(t, r)
	body, _, err := w.objects.Get(t.Context(), rebased.LatestKey("numbers"))
	if err != nil || !strings.Contains(string(body), r.Version) {
		t.Errorf("latest.json is %s, %v", body, err)
	}
	var recorded rebased.BuildResult
	body, _, err = w.objects.Get(t.Context(), rebased.BuildKey("numbers", "1", "result.json"))
	if err != nil || json.Unmarshal(body, &recorded) != nil || recorded.Version != r.Version {
		t.Errorf("result.json is %s, %v", body, err)
	}
}

func TestANightInWhichNothingChangedMakesNoVersionAndNoCall(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	first, err := w.runBuild(t, w.environment(t), "1", taskYAML)
	if err != nil {
		t.Fatal(err)
	}
	before, paid := w.files(t, "datasets/"), first.Calls.Made
	second, err := w.runBuild(t, w.environment(t), "2", taskYAML)
	if err != nil {
		t.Fatal(err)
	}
	if second.State != rebased.StateUnchanged || second.Version != first.Version || second.Calls.Made != 0 || second.Calls.Reused != paid {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if !maps.Equal(before, w.files(t, "datasets/")) {
		t.Error("files of the dataset changed")
	}
	if asked, _ := w.teacher.Asked(); asked != paid {
		t.Errorf("%d calls for %d answers", asked, paid)
	}
}

func TestEqualInputsAndAnswersGiveEqualBytes(t *testing.T) {
	var versions []map[string]string
	for range 2 {
		w := newWorld()
		w.indexed(t, 120)
		r, err := w.runBuild(t, w.environment(t), "1", taskYAML)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, w.files(t, rebased.VersionKey("numbers", r.Version)))
	}
	if !maps.Equal(versions[0], versions[1]) {
		t.Errorf("two versions of equal inputs differ: %v and %v", versions[0], versions[1])
	}
}

func TestReasoningBecomesTheOutputAndTheAnswerStays(t *testing.T) {
	for reason, calls := range map[string]int{"{mode: rationale}": 60, "{mode: verified}": 120, "{mode: verified, samples: 5, agree: 3}": 180} {
		w := newWorld()
		w.indexed(t, 120)
		r, err := w.runBuild(t, w.environment(t), "1", taskYAML+"reason: "+reason+"\n")
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, r)
		if r.Rows != 60 || r.Calls.Made != 60+calls {
			t.Errorf("%s: 60 rows and calls to transform them, and %d: %+v", reason, calls, r)
		}
		body, _, err := w.objects.Get(t.Context(), rebased.VersionKey("numbers", r.Version, "train.messages.jsonl"))
		if err != nil || !strings.Contains(string(body), "It follows from the input. The answer is ") {
			t.Errorf("%s: %.300s, %v", reason, body, err)
		}
	}
}

func TestWhatIsWrongBeforeTheFirstRowIsRefusedAndSpendsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		breakIt func(w *world)
		yaml    string
		says    string
	}{
		"bucket":      {func(w *world) { w.down["bucket"] = rebased.E(rebased.Unauthorized, "denied") }, taskYAML, "bucket"},
		"index down":  {func(w *world) { w.down["index"] = rebased.E(rebased.Unavailable, "refused") }, taskYAML, "vector index"},
		"not indexed": {func(*world) {}, strings.Replace(taskYAML, "corpus: hub", "corpus: other", 1), "corpus"},
		"key": {func(w *world) {
			w.teacher.Fail = func(llm.Request) error { return rebased.E(rebased.Unauthorized, "no key: set OPENAI_API_KEY") }
		}, taskYAML, "OPENAI_API_KEY"},
		"task file": {func(*world) {}, taskYAML + "reason: {mode: guess}\n", "reason.mode"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.indexed(t, 12)
			c.breakIt(w)
			_, err := w.runBuild(t, w.environment(t), "1", c.yaml)
			var refused *temporal.ApplicationError
			if !errors.As(err, &refused) || refused.Type() != activities.Refused || !strings.Contains(refused.Message(), c.says) {
				t.Errorf("got %v", err)
			}
			if asked, _ := w.teacher.Asked(); asked != 0 || len(w.files(t, "builds/")) != 0 {
				t.Errorf("%d calls, files %v", asked, w.files(t, "builds/"))
			}
		})
	}
}

func progressOf(t *testing.T, env *testsuite.TestWorkflowEnvironment) rebased.Progress {
	t.Helper()
	value, err := env.QueryWorkflow(workflows.QueryProgress)
	if err != nil {
		t.Fatal(err)
	}
	var p rebased.Progress
	if err := value.Get(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// update sends an update and gives whether it was accepted, which is known when the workflow has gone on.
func update(env *testsuite.TestWorkflowEnvironment, name string, d workflows.Decision) (accepted *bool) {
	accepted = new(bool)
	env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
		OnAccept: func() { *accepted = true }, OnReject: func(error) {}, OnComplete: func(any, error) {},
	}, d)
	return accepted
}

func TestABuildWaitsForApprovalAndReleasesOnIt(t *testing.T) {
	for _, word := range []string{workflows.UpdateApprove, workflows.UpdateReject} {
		t.Run(word, func(t *testing.T) {
			w := newWorld()
			w.indexed(t, 120)
			env := w.environment(t)
			var resumed, decided *bool
			env.RegisterDelayedCallback(func() {
				if p := progressOf(t, env); p.State != rebased.StateAwaitingApproval || p.Version == "" || p.Asked != p.ToAsk || p.ToAsk != 60 {
					t.Errorf("waiting: %+v", p)
				}
				if len(w.files(t, rebased.LatestKey("numbers"))) != 0 {
					t.Error("released before it was approved")
				}
				resumed = update(env, workflows.UpdateResume, workflows.Decision{})
				decided = update(env, word, workflows.Decision{By: "ann", Reason: "looked at it"})
			}, 100*time.Hour)
			r, err := w.runBuild(t, env, "1", taskYAML+"handoff: {approval: true}\n")
			if err != nil {
				t.Fatal(err)
			}
			if *resumed || !*decided {
				t.Errorf("resume of a build that is not paused: accepted %v; the decision: accepted %v", *resumed, *decided)
			}
			records := w.files(t, "datasets/numbers/releases/")
			if word == workflows.UpdateReject {
				if r.State != rebased.StateRejected || r.Detail != "looked at it" || r.DecidedBy != "ann" || len(records) != 1 || len(w.files(t, rebased.LatestKey("numbers"))) != 0 {
					t.Errorf("got %+v, records %v", r, records)
				}
				body, _, err := w.objects.Get(t.Context(), rebased.ReleaseKey("numbers", r.Version))
				if err != nil || !strings.Contains(string(body), `"releases": []`) || !strings.Contains(string(body), `"by": "ann"`) || !strings.Contains(string(body), "looked at it") {
					t.Errorf("the record is %s, %v", body, err)
				}
				return
			}
			body, _, err := w.objects.Get(t.Context(), rebased.ReleaseKey("numbers", r.Version))
			if r.State != rebased.StateReleased || r.DecidedBy != "ann" || err != nil || !strings.Contains(string(body), "ann") {
				t.Errorf("got %+v, record %s, %v", r, body, err)
			}
		})
	}
}

func TestASpentQuotaPausesTheBuildUntilItIsResumedAndNothingIsPaidTwice(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	var spent atomic.Bool
	var answered atomic.Int32
	w.teacher.Fail = func(r llm.Request) error {
		if r.Prompt != "" && (spent.Load() || answered.Add(1) > 20) {
			spent.Store(true)
			return rebased.E(rebased.Exhausted, "quota spent: add credit")
		}
		return nil
	}
	env.RegisterDelayedCallback(func() {
		if p := progressOf(t, env); p.State != rebased.StatePaused || !strings.Contains(p.Detail, "quota spent") {
			t.Errorf("paused: %+v", p)
		}
		w.teacher.Fail = nil
		update(env, workflows.UpdateResume, workflows.Decision{})
	}, time.Hour)
	r, err := w.runBuild(t, env, "1", taskYAML)
	if err != nil || r.State != rebased.StateReleased {
		t.Fatalf("%+v, %v", r, err)
	}
	checkSum(t, r)
	if total, most := w.teacher.Asked(); total != 60 || most != 1 {
		t.Errorf("%d calls for 60 rows, one of them %d times", total, most)
	}
}

func TestACanceledBuildReleasesNothingAndSaysSo(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	env := w.environment(t)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	_, err := w.runBuild(t, env, "1", taskYAML+"handoff: {approval: true}\n")
	if _, ok := errors.AsType[*temporal.CanceledError](err); !ok {
		t.Fatalf("got %v", err)
	}
	if len(w.files(t, rebased.LatestKey("numbers"))) != 0 {
		t.Error("a canceled build released a version")
	}
	body, _, err := w.objects.Get(t.Context(), rebased.BuildKey("numbers", "1", "result.json"))
	if err != nil || !strings.Contains(string(body), `"canceled"`) {
		t.Errorf("result.json is %s, %v", body, err)
	}
}

func TestExcludedDatasetsNeverAppear(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	r, err := w.runBuild(t, w.environment(t), "1", strings.Replace(taskYAML, "rows: 60", `rows: 60, exclude: ["SET1*"]`, 1))
	if err != nil {
		t.Fatal(err)
	}
	keys := slices.Collect(maps.Keys(w.files(t, rebased.BuildKey("numbers", "1", "retrieved"))))
	if r.Retrieved != 60 || len(keys) == 0 {
		t.Fatalf("got %+v", r)
	}
	for _, key := range keys {
		if body, _, err := w.objects.Get(t.Context(), key); err != nil || strings.Contains(string(body), `"set1"`) {
			t.Errorf("%s holds rows of set1, %v", key, err)
		}
	}
}

func TestTheFoldersOfABuildHoldFilesOfRowsAlone(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	yaml := strings.Replace(taskYAML, "{rows: 60}", "{rows: 60, max_per_dataset: 15}", 1)
	if r, err := w.runBuild(t, w.environment(t), "1", yaml); err != nil || r.Skipped["quota"] == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	said := false
	for key := range w.files(t, "builds/numbers/1/") {
		folder, name, nested := strings.Cut(strings.TrimPrefix(key, "builds/numbers/1/"), "/")
		if said = said || key == "builds/numbers/1/passed.json"; nested && folder != "staged" && !strings.Contains(name, "part-") {
			t.Errorf("%s is none", key)
		}
	}
	if !said {
		t.Error("nothing says which rows were passed over")
	}
}
