package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/workflows"
)

// redrive builds again what an earlier build has rejected.
func (w *world) redrive(t *testing.T, id, of, yaml string, reasons ...rebased.Reason) (rebased.BuildResult, error) {
	t.Helper()
	in := w.build(t, yaml)
	in.Redrive = &workflows.Redrive{Build: of, Reasons: reasons}
	return run[rebased.BuildResult](t, w.environment(t), workflows.BuildID("numbers", id), workflows.BuildDatasetName, in)
}

// refusing makes the teacher refuse the rows whose prompts hold some words, by content policy or as too long.
func refusing(refused, long string) func(llm.Request) error {
	return func(r llm.Request) error {
		switch {
		case refused != "" && strings.Contains(r.Prompt, refused):
			return &rebased.Error{Kind: rebased.Rejected, Err: llm.ErrRefused}
		case long != "" && strings.Contains(r.Prompt, long):
			return &rebased.Error{Kind: rebased.Rejected, Err: llm.ErrTooLong}
		}
		return nil
	}
}

func TestARedriveTriesTheChosenRejectsAgainAndKeepsAllElse(t *testing.T) {
	for _, mode := range []string{"none", "rationale"} {
		yaml := strings.Replace(budgetYAML, "mode: rationale", "mode: "+mode, 1)
		whole := newWorld()
		whole.indexed(t, 300)
		want, err := whole.runBuild(t, whole.environment(t), "1", yaml)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld()
		w.indexed(t, 300)
		w.teacher.Fail = refusing("number 1", "number 2")
		first, err := w.runBuild(t, w.environment(t), "1", yaml)
		if err != nil || first.Rejected[rebased.ReasonRefused] < 30 || first.Rejected[rebased.ReasonTooLong] < 30 {
			t.Fatalf("%+v, %v", first, err)
		}
		paid, _ := w.teacher.Asked()
		w.teacher.Fail = refusing("number 1", "")
		second, err := w.redrive(t, "2", "1", yaml, rebased.ReasonTooLong)
		if err != nil || second.State != rebased.StateReleased {
			t.Fatalf("%+v, %v", second, err)
		}
		checkSum(t, second)
		if second.Rejected[rebased.ReasonRefused] != first.Rejected[rebased.ReasonRefused] || second.Rejected[rebased.ReasonTooLong] != 0 {
			t.Errorf("%s: rejected at first %v, then %v", mode, first.Rejected, second.Rejected)
		}
		now, most := w.teacher.Asked()
		perRow := map[string]int{"none": 1, "rationale": 2}[mode]
		if most != 1 || now-paid != perRow*first.Rejected[rebased.ReasonTooLong] || second.Calls.Reused != 0 {
			t.Errorf("%s: %d calls for %d rows, one of them %d times: %+v", mode, now-paid, first.Rejected[rebased.ReasonTooLong], most, second.Calls)
		}
		w.teacher.Fail = nil
		third, err := w.redrive(t, "3", "2", yaml, rebased.ReasonRefused, rebased.ReasonBadRequest)
		if err != nil || third.Version != want.Version || third.Rows != want.Rows {
			t.Errorf("%s: in the end %+v, %v; undisturbed %+v", mode, third, err, want)
		}
		checkSum(t, third)
	}
}

func TestRowsOfManyPartsGoThroughARedrive(t *testing.T) {
	yaml := strings.Replace(taskYAML, "rows: 60", "rows: 2400, mode: paper", 1)
	whole := newWorld()
	whole.indexed(t, 2400)
	want, err := whole.runBuild(t, whole.environment(t), "1", yaml)
	if err != nil || want.Rows <= 2000 {
		t.Fatalf("%+v, %v", want, err)
	}
	w := newWorld()
	w.indexed(t, 2400)
	w.teacher.Fail = refusing("number 1", "")
	first, err := w.runBuild(t, w.environment(t), "1", yaml)
	if err != nil || first.Rejected[rebased.ReasonRefused] != 333 {
		t.Fatalf("%+v, %v", first, err)
	}
	w.teacher.Fail = nil
	second, err := w.redrive(t, "2", "1", yaml, rebased.ReasonRefused)
	if err != nil || second.Version != want.Version || second.Rows != want.Rows {
		t.Errorf("redriven %+v, %v; undisturbed %+v", second, err, want)
	}
	checkSum(t, second)
	transformed, deduped := w.files(t, "builds/numbers/2/transformed/"), w.files(t, "builds/numbers/2/deduped/")
	if shards := (first.Rejected[rebased.ReasonRefused] + 63) / 64; len(transformed) != shards+3 || len(deduped) != 3 {
		t.Errorf("%d files are %d shards and the 2,067 rows that stay, %d are the %d deduplicated rows", len(transformed), shards, len(deduped), want.Rows)
	}
}

func TestARedriveOfNothingOrOfAnotherKindOfBuildIsRefused(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	w.teacher.Fail = refusing("number 1", "")
	if _, err := w.runBuild(t, w.environment(t), "1", budgetYAML); err != nil {
		t.Fatal(err)
	}
	asked, _ := w.teacher.Asked()
	for name, c := range map[string]struct {
		of     string
		yaml   string
		reason rebased.Reason
		says   string
	}{
		"no such build":  {"9", budgetYAML, rebased.ReasonRefused, "build 9 of task numbers does not exist"},
		"no such reject": {"1", budgetYAML, rebased.ReasonTooLong, "no row that was rejected as too_long"},
		"another mode":   {"1", strings.Replace(budgetYAML, "rationale", "none", 1), rebased.ReasonRefused, `reason.mode is "none", build 1 had "rationale": only `},
		"fewer rows": {"1", strings.Replace(budgetYAML, "rows: 300", "rows: 200", 1), rebased.ReasonRefused, "retrieve.rows is 200, build 1 had 300: only instruction, examples, " +
			"transform.teacher, budget, dedupe, gates, output, handoff and the like may change in a redrive: build anew"},
		"other sources": {"1", strings.Replace(budgetYAML, "rows: 300", "rows: 300, exclude: [set1]", 1), rebased.ReasonRefused, `retrieve.exclude is ["set1"], build 1 had []`},
		"constraints": {"1", strings.Replace(budgetYAML, "{max_tokens: 50}", "{max_tokens: 50}, constraints: {max_chars: 900}", 1), rebased.ReasonRefused,
			"transform.constraints.max_chars is 900, build 1 had 0"},
		"answer":  {"1", budgetYAML + "answer: {pattern: it is (.*)}\n", rebased.ReasonRefused, `answer.pattern is "it is (.*)", build 1 had none`},
		"overlap": {"1", budgetYAML + "decontaminate: {ngram: 12}\n", rebased.ReasonRefused, "decontaminate.ngram is 12, build 1 had 13"},
	} {
		_, err := w.redrive(t, "r-"+strings.ReplaceAll(name, " ", "-"), c.of, c.yaml, c.reason)
		var refused *temporal.ApplicationError
		if !errors.As(err, &refused) || refused.Type() != activities.Refused || !strings.Contains(refused.Message(), c.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if now, _ := w.teacher.Asked(); now != asked {
		t.Errorf("%d calls were made", now-asked)
	}
}

func TestARedriveMayAskInOtherWords(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	w.teacher.Fail = refusing("number 1", "")
	first, err := w.runBuild(t, w.environment(t), "1", budgetYAML)
	if err != nil {
		t.Fatal(err)
	}
	w.teacher.Fail = nil
	changed := strings.NewReplacer("Answer the question", "Answer every question", "{max_tokens: 50}}", "{max_tokens: 60}, cell_chars: 300}", "it is 49", "it is 49 now").Replace(budgetYAML)
	changed += "dedupe: {minhash: 0.9}\ngates: {min_parsed: 0.1}\noutput: {validation: 0.1}\nbudget: {tokens: 90000000}\n"
	second, err := w.redrive(t, "2", "1", changed, rebased.ReasonRefused)
	if err != nil || second.Rows <= first.Rows || second.Rejected[rebased.ReasonRefused] != 0 {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestARedriveTellsWhatItsRowsWereRetrievedFromAndNeedsNoIndex(t *testing.T) {
	yaml := strings.Replace(budgetYAML, "rows: 300", "rows: 100, max_per_dataset: 30", 1)
	w := newWorld()
	w.indexed(t, 300)
	w.teacher.Fail = refusing("number 1", "")
	first, err := w.runBuild(t, w.environment(t), "1", yaml)
	if err != nil || first.Skipped["quota"] == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	was := w.manifest(t, "numbers", first.Version)
	w.teacher.Fail = nil
	second, err := w.redrive(t, "2", "1", yaml, rebased.ReasonRefused)
	if err != nil {
		t.Fatal(err)
	}

	w.indexed(t, 330) // the next night
	w.down["index"] = rebased.E(rebased.Unavailable, "it is being updated")
	if err := w.objects.Delete(t.Context(), rebased.BuildKey("numbers", "1", "result.json")); err != nil { // as while the build waits for approval
		t.Fatal(err)
	}
	for _, of := range [][2]string{{"3", "1"}, {"4", "3"}} {
		in := w.build(t, yaml)
		in.Redrive = &workflows.Redrive{Build: of[1], Reasons: []rebased.Reason{rebased.ReasonRefused}}
		if of[1] == "3" {
			in.Redrive = &workflows.Redrive{Build: of[1], Without: "set1"}
		}
		later, err := run[rebased.BuildResult](t, w.environment(t), workflows.BuildID("numbers", of[0]), workflows.BuildDatasetName, in)
		if err != nil {
			t.Fatal(err)
		}
		now := w.manifest(t, "numbers", later.Version)
		if now.Corpus != was.Corpus || now.Encoder != was.Encoder || later.Skipped["quota"] != first.Skipped["quota"] {
			t.Errorf("%s of %s: from %+v by %s, skipped %v; the rows are from %+v by %s, %v were skipped", of[0], of[1], now.Corpus, now.Encoder, later.Skipped, was.Corpus, was.Encoder, first.Skipped)
		}
		if of[0] == "3" && later.Version != second.Version {
			t.Errorf("the same redrive makes %s, and a night later %s", second.Version, later.Version)
		}
	}
}

func TestABuildOfBeforeThereWereRecordsIsRedrivenByTheIndexOfNow(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	w.teacher.Fail = refusing("number 1", "")
	first, err := w.runBuild(t, w.environment(t), "1", budgetYAML)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.objects.Delete(t.Context(), rebased.BuildKey("numbers", "1", "retrieved.json")); err != nil {
		t.Fatal(err)
	}
	w.teacher.Fail = nil
	second, err := w.redrive(t, "2", "1", budgetYAML, rebased.ReasonRefused)
	if err != nil || second.Rows <= first.Rows || w.manifest(t, "numbers", second.Version).Corpus != w.manifest(t, "numbers", first.Version).Corpus {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestABuildThatWasCutShortCannotBeRedriven(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	env := w.environment(t)
	w.teacher.Fail = func(r llm.Request) error {
		if strings.Contains(r.Prompt, "number 1") {
			return rebased.E(rebased.Exhausted, "quota spent")
		}
		return refusing("number 2", "")(r)
	}
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	if _, err := w.runBuild(t, env, "1", budgetYAML); err == nil {
		t.Fatal("the build was not canceled")
	}
	_, err := w.redrive(t, "2", "1", budgetYAML, rebased.ReasonRefused)
	if err == nil || !strings.Contains(err.Error(), "only a build that has gone through all") {
		t.Errorf("got %v", err)
	}
}

func TestARecalledSourceIsLeftOutAndNothingIsPaid(t *testing.T) {
	for _, mode := range []string{"none", "rationale"} {
		for _, target := range []string{"}", ", target_rows: 30}"} {
			yaml := strings.Replace(budgetYAML, "mode: rationale", "mode: "+mode, 1)
			yaml = strings.Replace(yaml, "50}}", "50}"+target, 1)
			w := newWorld()
			w.indexed(t, 300)
			first, err := w.runBuild(t, w.environment(t), "1", yaml)
			if err != nil {
				t.Fatal(err)
			}
			paid, _ := w.teacher.Asked()
			in := w.build(t, yaml)
			in.Redrive = &workflows.Redrive{Build: "1", Without: "SET1"}
			second, err := run[rebased.BuildResult](t, w.environment(t), workflows.BuildID("numbers", "2"), workflows.BuildDatasetName, in)
			if err != nil || second.State != rebased.StateReleased {
				t.Fatalf("%s %q: %+v, %v", mode, target, second, err)
			}
			checkSum(t, second)
			if now, _ := w.teacher.Asked(); now != paid {
				t.Errorf("%s %q: %d calls were made", mode, target, now-paid)
			}
			if second.Skipped[activities.SkippedRecalled] == 0 || second.Rows >= first.Rows || second.Rows == 0 {
				t.Errorf("%s %q: skipped %v, %d rows after %d", mode, target, second.Skipped, second.Rows, first.Rows)
			}
			manifest, _, err := w.objects.Get(t.Context(), rebased.VersionKey("numbers", second.Version, "manifest.json"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(manifest), `"dataset": "set`) || strings.Contains(string(manifest), `"set1"`) {
				t.Errorf("%s %q: the version comes from %s", mode, target, manifest)
			}
		}
	}
}

func TestARecallOfASourceThatABuildDoesNotHaveIsRefused(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	if _, err := w.runBuild(t, w.environment(t), "1", budgetYAML); err != nil {
		t.Fatal(err)
	}
	in := w.build(t, budgetYAML)
	in.Redrive = &workflows.Redrive{Build: "1", Without: "other/set"}
	_, err := run[rebased.BuildResult](t, w.environment(t), workflows.BuildID("numbers", "2"), workflows.BuildDatasetName, in)
	if err == nil || !strings.Contains(err.Error(), "build 1 has no row of other/set") {
		t.Errorf("got %v", err)
	}
}
