package workflows_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

const judgeYAML = "judge: {rubric: Only what is true., min_score: 4}\n"

func (w *world) versions() handoff.Versions {
	return handoff.Versions{Objects: w.objects, Examples: mem.NewTable[rebased.Example](w.objects)}
}

func TestAJudgeScoresTheRowsOfAnyReasonMode(t *testing.T) {
	for mode, calls := range map[string]int{"none": 2, "rationale": 3, "verified": 4} {
		w := newWorld()
		w.indexed(t, 120)
		yaml := taskYAML + "reason: {mode: " + mode + "}\n" + judgeYAML
		r, err := w.runBuild(t, w.environment(t), "1", yaml)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, r)
		judged := r.Rejected[rebased.ReasonJudged]
		if r.State != rebased.StateReleased || judged == 0 || r.Rows == 0 || r.Calls.Made != calls*60 {
			t.Errorf("%s: %+v", mode, r)
		}
		var scored int
		quality := w.manifest(t, "numbers", r.Version).Quality.Judge
		for below, n := range quality.Scores {
			if scored += n; n > 0 && below+1 < 4 {
				t.Errorf("%s: rows of score %d were kept: %+v", mode, below+1, quality)
			}
		}
		if scored != r.Rows || quality.Mean < 4 || quality.Mean > 10 {
			t.Errorf("%s: %d rows, scores %+v", mode, r.Rows, quality)
		}
		rejects, err := mem.NewTable[rebased.Reject](w.objects).Read(t.Context(), rebased.BuildKey("numbers", "1", "rejects", "judge-"+rebased.PartName(0)))
		if err != nil || len(rejects) != judged {
			t.Fatalf("%s: %d rejects, %v", mode, len(rejects), err)
		}
		again, err := w.runBuild(t, w.environment(t), "2", yaml)
		if err != nil || again.State != rebased.StateUnchanged || again.Calls.Made != 0 || again.Calls.Reused != r.Calls.Made {
			t.Errorf("%s: a second night: %+v, %v", mode, again, err)
		}
	}
}

func TestAJudgeIsAskedInBatches(t *testing.T) {
	alone := newWorld()
	alone.indexed(t, 120)
	want, err := alone.runBuild(t, alone.environment(t), "1", taskYAML+"transform: {batch: false}\n"+judgeYAML)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.indexed(t, 120)
	got, err := w.runBuild(t, w.environment(t), "1", taskYAML+"transform: {batch: true}\n"+judgeYAML)
	if err != nil {
		t.Fatal(err)
	}
	if taken, _ := w.teacher.Submitted(); taken < 2 || got.Rows != want.Rows || got.Rejected[rebased.ReasonJudged] != want.Rejected[rebased.ReasonJudged] {
		t.Errorf("%d batches; %+v, want %+v", taken, got, want)
	}
	online := 0
	for line := range strings.SplitSeq(w.responses(t), "\n") {
		if strings.Contains(line, `"text"`) && !strings.Contains(line, `"batch":true`) {
			online++
		}
	}
	if online != 0 {
		t.Errorf("%d answers were asked for one by one", online)
	}
}

// responses gives all that the store of answers holds.
func (w *world) responses(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	for o, err := range w.objects.List(t.Context(), rebased.ResponsesPrefix) {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := w.objects.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(body)
	}
	return all.String()
}

func TestABudgetCoversTheJudgeAtItsOwnPrice(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	tokens := w.billed(t)
	yaml := taskYAML + "transform: {teacher: {max_tokens: 50}}\nbudget: {tokens: 1000000}\n" + judgeYAML
	env := w.environment(t)
	r, err := w.runBuild(t, env, "1", yaml)
	if err != nil || r.State != rebased.StateReleased {
		t.Fatalf("%+v, %v", r, err)
	}
	if p := progressOf(t, env); p.Spent.Tokens != tokens.Load() || p.Asked != 120 || p.ToAsk != 120 {
		t.Errorf("%d tokens are billed; %+v", tokens.Load(), p)
	}
	if r.Tokens.InputTokens+r.Tokens.OutputTokens != tokens.Load() {
		t.Errorf("%d tokens are billed, the result says %+v", tokens.Load(), r.Tokens)
	}
	rejects, err := mem.NewTable[rebased.Reject](w.objects).Read(t.Context(), rebased.BuildKey("numbers", "1", "rejects", "judge-"+rebased.PartName(0)))
	if err != nil || len(rejects) == 0 {
		t.Fatal(err)
	}
	for _, reject := range rejects { // both at a picodollar a token of input, two a token of output
		u := reject.Usage.Add(reject.Judged.Usage)
		if pico := reject.CostUSD * 1e12; reject.Judged.Usage.InputTokens == 0 || pico < float64(u.InputTokens+2*u.OutputTokens)-0.5 || pico > float64(u.InputTokens+2*u.OutputTokens)+0.5 {
			t.Errorf("%v picodollars for %+v and %+v", pico, reject.Usage, reject.Judged.Usage)
		}
	}
	money := strings.Replace(yaml, "budget: {tokens: 1000000}", "budget: {usd: 1}", 1)
	if again, err := w.runBuild(t, w.environment(t), "2", money); err != nil || again.Calls.Made != 0 {
		t.Errorf("%+v, %v", again, err)
	}
	_, err = w.runBuild(t, w.environment(t), "3", strings.Replace(money, "min_score: 4}", "min_score: 4, teacher: {model: dear}}", 1))
	if err == nil || !strings.Contains(err.Error(), `no price is known of model "dear"`) {
		t.Errorf("a judge without a price under a budget in money: %v", err)
	}
}

func TestARedriveTakesScoresOverAndNeedsTheSameRubric(t *testing.T) {
	whole := newWorld()
	whole.indexed(t, 120)
	want, err := whole.runBuild(t, whole.environment(t), "1", taskYAML+judgeYAML)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.indexed(t, 120)
	w.teacher.Fail = refusing("number 1", "")
	first, err := w.runBuild(t, w.environment(t), "1", taskYAML+judgeYAML)
	if err != nil || first.Rejected[rebased.ReasonRefused] == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	w.teacher.Fail = nil
	if _, err := w.redrive(t, "2", "1", taskYAML+strings.Replace(judgeYAML, "4", "5", 1), rebased.ReasonRefused); err == nil || !strings.Contains(err.Error(), "judge.min_score is 5, build 1 had 4") {
		t.Errorf("another least score: %v", err)
	}
	second, err := w.redrive(t, "3", "1", taskYAML+judgeYAML, rebased.ReasonRefused)
	if err != nil || second.Version != want.Version || second.Tokens != want.Tokens {
		t.Errorf("got %+v, %v; undisturbed %+v", second, err, want)
	}
	checkSum(t, second)
}

func TestPreferencePairsAreMadeOfAnswersThatDiffer(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.teacher.Says = func(r llm.Request) string { // the first answer to every third input is another one
		_, quoted, solves := strings.Cut(r.Prompt, "\n## Input\n")
		if !solves || r.Sample > 0 || len(quoted)%3 != 0 {
			return ""
		}
		return "It seems so. The answer is nothing at all."
	}
	yaml := taskYAML + "reason: {mode: verified, samples: 3, agree: 2}\noutput: {formats: [messages, preference], validation: 0.2}\n"
	r, err := w.runBuild(t, w.environment(t), "1", yaml)
	if err != nil || r.State != rebased.StateReleased {
		t.Fatalf("%+v, %v", r, err)
	}
	m := w.manifest(t, "numbers", r.Version)
	pairs := m.Counts.Preference
	if pairs["train"] == 0 || pairs["validation"] == 0 || pairs["train"]+pairs["validation"] >= r.Rows {
		t.Fatalf("%+v of %d rows", pairs, r.Rows)
	}
	for _, split := range []string{"train", "validation"} {
		body, _, err := w.objects.Get(t.Context(), rebased.VersionKey("numbers", r.Version, split+".preference.jsonl"))
		lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
		if err != nil || len(lines) != pairs[split] {
			t.Fatalf("%s: %d lines, %v; want %d", split, len(lines), err, pairs[split])
		}
		for _, line := range lines {
			var pair map[string][]struct{ Role, Content string }
			if err := json.Unmarshal([]byte(line), &pair); err != nil || len(pair) != 3 || len(pair["prompt"]) != 2 || pair["prompt"][1].Role != "user" ||
				pair["chosen"][0].Role != "assistant" || pair["rejected"][0].Role != "assistant" ||
				pair["rejected"][0].Content != "It seems so. The answer is nothing at all." || strings.Contains(pair["chosen"][0].Content, "nothing") {
				t.Errorf("%s: %s, %v", split, line, err)
			}
		}
		var exported bytes.Buffer
		in := handoff.ExportInput{Task: "numbers", Version: r.Version, Split: split, Format: rebased.FormatPreference}
		if err := w.versions().Export(t.Context(), in, &exported); err != nil || exported.String() != string(body) {
			t.Errorf("%s: exported %.200s, %v", split, &exported, err)
		}
	}
}
