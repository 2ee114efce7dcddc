package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/workflows"
)

func (w *world) preview(t *testing.T, id, yaml string, rows int, answers bool) (activities.Preview, error) {
	t.Helper()
	in := workflows.PreviewInput{Task: "numbers", TaskKey: w.build(t, yaml).TaskKey, Rows: rows, Answers: answers}
	out, err := run[activities.PreviewResult](t, w.environment(t), workflows.PreviewID("numbers", id), workflows.PreviewName, in)
	if err != nil {
		return activities.Preview{}, err
	}
	body, _, err := w.objects.Get(t.Context(), out.Key)
	if err != nil {
		t.Fatal(err)
	}
	var shown activities.Preview
	if err := json.Unmarshal(body, &shown); err != nil {
		t.Fatal(err)
	}
	return shown, nil
}

func TestAPreviewShowsWhatABuildTakesAndMakesNoVersion(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	shown, err := w.preview(t, "1", taskYAML, 5, false)
	if err != nil {
		t.Fatal(err)
	}
	if shown.Rows != 60 || len(shown.Top) != 5 || len(shown.Datasets) != 2 || len(shown.Curve) != 60 || shown.Curve[0] != shown.Top[0].Total {
		t.Errorf("got %+v", shown)
	}
	if a := shown.Answer; a.Type != rebased.AnswerNumber || a.Why == "" || len(a.Examples) != 1 || a.Examples[0] != "49" {
		t.Errorf("answers: %+v", a)
	}
	for i, row := range shown.Top {
		if row.Rank != i || !strings.Contains(row.Prompt, row.Cells[0].Text) || row.Output != "" {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	if asked, _ := w.teacher.Asked(); asked > 0 {
		t.Errorf("the teacher was asked %d times", asked)
	}
	if versions := w.files(t, "datasets/"); len(versions) > 0 {
		t.Errorf("a version was made: %v", versions)
	}
}

func TestABuildReusesTheAnswersOfAPreview(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	shown, err := w.preview(t, "1", taskYAML, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range shown.Top {
		if row.Output == "" && row.Rejected == "" {
			t.Errorf("row %d has no answer: %+v", i, row)
		}
	}
	r, err := w.runBuild(t, w.environment(t), "1", taskYAML)
	if err != nil || r.Calls.Reused < 5 {
		t.Errorf("the build reused %d answers, %v", r.Calls.Reused, err)
	}
}

func TestAPreviewThatCannotBeMadeIsRefused(t *testing.T) {
	w := newWorld()
	w.importRows(t, 120)
	_, err := w.preview(t, "1", taskYAML, 5, false)
	if err == nil || !strings.Contains(err.Error(), "is not indexed") || !strings.Contains(err.Error(), activities.Refused) {
		t.Errorf("got %v, want a refusal that says the corpus is not indexed", err)
	}
}

func TestAPreviewKeepsToTheBudget(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	_, err := w.preview(t, "1", taskYAML+"budget: {tokens: 1}\n", 5, true)
	if err == nil || !strings.Contains(err.Error(), "budget") {
		t.Errorf("got %v", err)
	}
}

func TestRowsOfABenchmarkAreLeftOutOfABuild(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	bench := []byte("what is number 7 of 1\nit is 49 and no more\n")
	ref := rebased.BenchmarkRef(sha(bench), "dev.txt")
	if _, err := w.objects.Put(t.Context(), rebased.UploadKey(sha(bench)), bench); err != nil {
		t.Fatal(err)
	}
	shown, err := w.preview(t, "1", taskYAML+"decontaminate: {files: [\""+ref+"\"]}\n", 60, false)
	if err != nil {
		t.Fatal(err)
	}
	if shown.Skipped["leaked"] != 1 || len(shown.Passed) != 1 || shown.Passed[0].Leak.File != "dev.txt" || shown.Passed[0].Leak.Line != 1 {
		t.Errorf("skipped %v, passed %+v", shown.Skipped, shown.Passed)
	}
	for _, row := range shown.Top {
		if row.Cells[0].Text == "what is number 7 of 1" {
			t.Error("the benchmark's row was taken")
		}
	}
	_, err = w.runBuild(t, w.environment(t), "1", taskYAML+"decontaminate: {files: [dev.txt]}\n")
	if err == nil || !strings.Contains(err.Error(), "was not uploaded") {
		t.Errorf("a path that no starter has uploaded: %v", err)
	}
	malformed := []byte("{\"a\": 1}\n{")
	if _, err := w.objects.Put(t.Context(), rebased.UploadKey(sha(malformed)), malformed); err != nil {
		t.Fatal(err)
	}
	ref = rebased.BenchmarkRef(sha(malformed), "dev.jsonl")
	_, err = w.runBuild(t, w.environment(t), "2", taskYAML+"decontaminate: {files: [\""+ref+"\"]}\n")
	if err == nil || !strings.Contains(err.Error(), "dev.jsonl:2") {
		t.Errorf("a benchmark that cannot be read: %v", err)
	}
}
