package app

import (
	"encoding/json"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/decontaminate"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func somePreview() activities.Preview {
	row := func(rank int, text string) activities.PreviewRow {
		return activities.PreviewRow{
			Candidate: rebased.Candidate{
				Row:    rebased.Row{ID: "id", Dataset: rebased.DatasetID{Name: "owner/one", Config: "default", Split: "train"}, Cells: []rebased.Cell{{Column: "q", Text: text}}},
				Scores: rebased.Scores{Total: 0.5, In: 0.75, Out: 0.5, Data: 0.25, InColumn: "q", OutColumn: "q"},
				Rank:   rank, License: "mit",
			},
			Prompt: "## Task\nAnswer.\n## Row\n" + text + "\n",
		}
	}
	second := row(1, "second")
	second.Input, second.Output = "in\nput", "out\x1b[2Jput"
	return activities.Preview{
		Task: "squad", Corpus: "hub", Revision: "r1", Encoder: "static", Mode: "diverse", Rows: 1500,
		Answer:   activities.PreviewAnswer{Type: rebased.AnswerNumber, Why: "every example's answer holds one number", Examples: []string{"2", "7/2", "8", "9"}},
		Skipped:  map[string]int{retrieve.SkippedQuota: 7, retrieve.SkippedMirror: 0, retrieve.SkippedLeaked: 1},
		Datasets: []activities.PreviewDataset{{Name: "owner/one", Rows: 1000}, {Name: "owner/two", Rows: 500}},
		Curve:    []float32{0.5, 0.4, 0.25},
		Top:      []activities.PreviewRow{row(0, "a\x1b[31mred\u202e cell"), second},
		Passed: []retrieve.Passed{
			{Row: "id2", Dataset: rebased.DatasetID{Name: "owner/two"}, Score: 0.5, Reason: retrieve.SkippedMirror, Of: "id"},
			{Row: "id3", Score: 0.5, Reason: retrieve.SkippedLeaked, Leak: &decontaminate.Leak{File: "dev.jsonl", Line: 3, Text: "the words"}},
		},
	}
}

func (w *world) previews(shown activities.Preview) {
	w.temporal.Play = func(run *clustertest.Run) {
		w.put("preview.json", shown)
		run.End(activities.PreviewResult{Key: "preview.json"}, nil)
	}
}

// draw is a line of a curve: whole blocks, then others.
func draw(whole, rest int, block string) string {
	return strings.Repeat("█", whole) + strings.Repeat(block, rest) + "\n"
}

func TestAPreviewIsDrawn(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.previews(somePreview())
	status, out, stderr := w.run("preview", "-f", w.task())
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	want := `squad: 1,500 rows of 2 datasets from hub, revision r1, by static, mode diverse
answers are compared as number: every example's answer holds one number; those of the examples are "2", "7/2", "8"
passed over: 7 quota, 1 leaked

score by rank
0.500 ` + draw(31, 0, "") + `      ` + draw(31, 0, "") + `      ` + draw(31, 31, "▅") + `      ` + draw(62, 0, "") + `      ` + draw(62, 0, "") + `0.250 ` + draw(62, 31, "▁") + `      1` + strings.Repeat(" ", 87) + `1,500

rows by dataset
owner/one   1,000  66.7% ` + strings.Repeat("█", 73) + `
owner/two     500  33.3% ` + strings.Repeat("█", 36) + `▌

passed over among the rows below
0.5000  owner/two// id2: mirror of id
0.5000  // id3: leaked, as dev.jsonl:3 says: the words

#1  0.5000  owner/one/default/train
    row id, license mit
    S_in   +0.750  q: a�[31mred� cell
    S_out  +0.500  q: a�[31mred� cell
    S_data +0.250  instruction and description
    prompt
    | ## Task
    | Answer.
    | ## Row
    | a�[31mred� cell

#2  0.5000  owner/one/default/train
    row id, license mit
    S_in   +0.750  q: second
    S_out  +0.500  q: second
    S_data +0.250  instruction and description
    prompt, as the first one but for
    | second
    input
    > in
    > put
    output
    > out�[2Jput
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestAPreviewAsJSONIsDataAlone(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.previews(somePreview())
	status, out, stderr := w.run("preview", "-f", w.task(), "--json", "-n", "2", "--transform")
	var got activities.Preview
	if err := json.Unmarshal([]byte(out), &got); status != 0 || stderr != "" || err != nil || got.Rows != 1500 || strings.Contains(out, "█") {
		t.Errorf("status %d, %v\n%s%s", status, err, out, stderr)
	}
	in := inputOf[workflows.PreviewInput](t, w.temporal.Runs()[0])
	if in.Rows != 2 || !in.Answers || in.Task != "squad" {
		t.Errorf("started with %+v", in)
	}
}

func TestAPreviewThatIsRefusedEndsWithStatus2(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.temporal.Play = func(run *clustertest.Run) {
		run.End(nil, temporal.NewNonRetryableApplicationError("corpus hub is not indexed", activities.Refused, nil))
	}
	w.want([]string{"preview", "-f", w.task()}, 2, "", "rebased: corpus hub is not indexed\n")
}

func TestBenchmarksAreUploadedWithTheTask(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.file("bench/dev.jsonl", "{}\n")
	file := w.file("task.yaml", "name: squad\ncorpus: hub\ninstruction: Answer.\nexamples: [{input: a, output: b}]\ndecontaminate: {files: [bench/dev.jsonl, \"hf://owner/bench/main/test\"]}\n")
	w.previews(somePreview())
	if status, _, stderr := w.run("preview", "-f", file); status != 0 {
		t.Fatal(stderr)
	}
	body, _, err := w.bucket.Get(t.Context(), inputOf[workflows.PreviewInput](t, w.temporal.Runs()[0]).TaskKey)
	if err != nil {
		t.Fatal(err)
	}
	task, err := taskfile.Decode("uploaded", body)
	if err != nil {
		t.Fatal(err)
	}
	key, name, ok := rebased.ParseBenchmarkRef(task.Decontaminate.Files[0])
	if bench, _, err := w.bucket.Get(t.Context(), key); !ok || name != "bench/dev.jsonl" || err != nil || string(bench) != "{}\n" {
		t.Errorf("%q, %q, %v", task.Decontaminate.Files, bench, err)
	}
	if task.Decontaminate.Files[1] != "hf://owner/bench/main/test" { // workers read it
		t.Errorf("%q", task.Decontaminate.Files)
	}
	gone := w.file("gone.yaml", "name: squad\ncorpus: hub\ninstruction: Answer.\nexamples: [{input: a, output: b}]\ndecontaminate:\n  files: [none.jsonl]\n")
	w.want([]string{"build", "-f", gone}, 2, "", "rebased: "+gone+":6: decontaminate.files[0]: read "+w.dir+"/none.jsonl: no such file or directory\n")
}

func TestFilesThatRowsMustNotRepeatAreUploadedAndVersionsStayAsTheyAreNamed(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.file("held/out.jsonl", "{}\n")
	const task = "name: squad\ncorpus: hub\ninstruction: Answer.\nexamples: [{input: a, output: b}]\ndedupe:\n  against: [other, "
	file := w.file("task.yaml", task+"held/out.jsonl, other@0123456789ab]\n")
	w.previews(somePreview())
	if status, _, stderr := w.run("preview", "-f", file); status != 0 {
		t.Fatal(stderr)
	}
	body, _, err := w.bucket.Get(t.Context(), inputOf[workflows.PreviewInput](t, w.temporal.Runs()[0]).TaskKey)
	if err != nil {
		t.Fatal(err)
	}
	uploaded, err := taskfile.Decode("uploaded", body)
	if err != nil {
		t.Fatal(err)
	}
	against := uploaded.Dedupe.Against
	key, name, ok := rebased.ParseBenchmarkRef(against[1])
	if held, _, err := w.bucket.Get(t.Context(), key); !ok || name != "held/out.jsonl" || err != nil || string(held) != "{}\n" || against[0] != "other" || against[2] != "other@0123456789ab" {
		t.Errorf("%q, %q, %v", against, held, err)
	}
	gone := w.file("gone.yaml", task+"none.csv]\n")
	w.want([]string{"build", "-f", gone}, 2, "", "rebased: "+gone+":6: dedupe.against[1]: read "+w.dir+"/none.csv: no such file or directory\n")
}
