package activities

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/source"
	"github.com/rebased/rebased/infra/taskfile"
)

type tasks struct{}

func (tasks) Decode(name string, data []byte) (rebased.Task, error) {
	return taskfile.Decode(name, data)
}
func (tasks) Encode(task rebased.Task) ([]byte, error) { return taskfile.Encode(task) }

// builds is a bucket with the transformed rows of a build.
func builds(t *testing.T, task rebased.Task, benchmark string, rows ...[]rebased.Example) (*Build, DedupeInput) {
	t.Helper()
	objects := mem.NewObjects()
	b := &Build{
		Objects: objects, Tasks: tasks{}, Candidates: mem.NewTable[rebased.Candidate](objects), Examples: mem.NewTable[rebased.Example](objects),
		Rejects: mem.NewTable[rebased.Reject](objects), Benchmarks: &Benchmarks{Objects: objects, Parquet: source.Parquet{}},
	}
	sum := rebased.NewTextKey(benchmark)
	ref := rebased.BenchmarkRef(fmt.Sprintf("%032x%032x", sum, sum), "dev.txt")
	key, _, _ := rebased.ParseBenchmarkRef(ref)
	if benchmark != "" {
		task.Decontaminate.Files = []string{ref}
	}
	in := DedupeInput{BuildRef: BuildRef{Task: "t", Build: "1", TaskKey: "task.yaml"}, Shards: len(rows)}
	data, err := taskfile.Encode(task)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"task.yaml": data, key: []byte(benchmark)} {
		if _, err := objects.Put(t.Context(), name, body); err != nil {
			t.Fatal(err)
		}
	}
	for n, part := range rows {
		if _, err := b.Examples.Write(t.Context(), in.key(folderTransformed, n), part); err != nil {
			t.Fatal(err)
		}
	}
	return b, in
}

func plainTask() rebased.Task {
	task := rebased.DefaultTask()
	task.Name, task.Corpus, task.Instruction = "t", "hub", "Answer."
	task.Examples = []rebased.TaskExample{{Input: "in", Output: "out", Answer: "yes"}}
	return task
}

func example(rank int, input, output, answer string) rebased.Example {
	return rebased.Example{Input: input, Output: output, Answer: answer, Lineage: rebased.Lineage{
		Row: rebased.NewRowID(rebased.DatasetID{}, nil, rank), Rank: rank, Score: 1 / float32(rank+1),
	}}
}

// run deduplicates and gives the rows that stay and the rejects, in the order of their ranks.
func (b *Build) run(t *testing.T, in DedupeInput) (out DedupeResult, rows []rebased.Example, rejects []rebased.Reject) {
	t.Helper()
	out, err := (&Dedupe{Build: b}).dedupe(t.Context(), in, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	rows, err = readParts(t.Context(), b.Objects, b.Examples, in.BuildRef, folderDeduped, "")
	if err != nil {
		t.Fatal(err)
	}
	rejects, err = readParts(t.Context(), b.Objects, b.Rejects, in.BuildRef, folderRejects, "dedupe-")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(rejects, func(a, b rebased.Reject) int { return a.Rank - b.Rank })
	return out, rows, rejects
}

func TestARowThatLeaksTakesNoGoodRowWithIt(t *testing.T) {
	const text = "the quick brown fox jumps over the lazy dog while nine other foxes look at it"
	b, in := builds(t, plainTask(), "and so it was that the old ship left the harbour on a cold and windy day in march\n",
		[]rebased.Example{
			// The reasoning holds the benchmark's text: the row is a near-duplicate of the next one, and of a higher rank.
			example(0, text, "As we know the old ship left the harbour on a cold and windy day in March. The answer is yes", "yes"),
			example(1, text, "the ship left. The answer is yes", "yes"),
		},
		[]rebased.Example{example(2, text, "The ship left. The answer is yes", "yes"), example(3, "something else", "no", "no")},
	)
	out, rows, rejects := b.run(t, in)
	if len(rows) != 2 || rows[0].Rank != 1 || rows[1].Rank != 3 || out.Rows != 2 {
		t.Errorf("kept %+v", rows)
	}
	if len(rejects) != 2 || rejects[0].Reason != rebased.ReasonLeaked || rejects[1].Reason != rebased.ReasonDuplicate || rejects[1].Of != rows[0].Row {
		t.Fatalf("rejects %+v", rejects)
	}
	if want := "benchmark dev.txt, row 1: the old ship left the harbour on a cold and windy day in"; rejects[0].Detail != want || !leakedFrom(rejects[0].Detail, "dev.txt") || leakedFrom(rejects[0].Detail, "dev") {
		t.Errorf("detail %q, want %q", rejects[0].Detail, want)
	}
	if out.Rejected[rebased.ReasonLeaked] != 1 || out.Rejected[rebased.ReasonDuplicate] != 1 {
		t.Errorf("counted %v", out.Rejected)
	}
}

func TestABenchmarkIsReadOnceByAWorker(t *testing.T) {
	b, in := builds(t, plainTask(), "one two three four five six\n")
	task, _, err := b.task(t.Context(), in.BuildRef)
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Benchmarks.open(t.Context(), task.Decontaminate)
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := rebased.ParseBenchmarkRef(task.Decontaminate.Files[0])
	if err := b.Objects.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if again, err := b.Benchmarks.open(t.Context(), task.Decontaminate); again != first || err != nil {
		t.Errorf("%v, %v", again, err)
	}
	task.Decontaminate.NGram = 6
	for range 2 {
		if _, err := b.Benchmarks.open(t.Context(), task.Decontaminate); rebased.KindOf(err) != rebased.NotFound {
			t.Errorf("another set of a file that is gone: %v", err)
		}
	}
	if again, err := b.Benchmarks.open(context.Background(), rebased.Decontaminate{NGram: 13, Files: task.Decontaminate.Files}); again != first || err != nil {
		t.Errorf("after an error: %v, %v", again, err)
	}
}

func TestOnlyRowsOfTheLowestRanksAreLeftOutForBalance(t *testing.T) {
	task := plainTask()
	task.Output.Balance = &rebased.Balance{MaxShare: 0.5}
	var rows []rebased.Example
	for rank := range 30 {
		answer := "yes"
		if rank%3 == 2 {
			answer = "no"
		}
		rows = append(rows, example(rank, fmt.Sprintf("number %d of %x", rank, rank*rank*977), answer, answer))
	}
	task.Dedupe.MinHash = 0
	b, in := builds(t, task, "", rows[:7], rows[7:])
	out, kept, rejects := b.run(t, in)
	if out.Rows != 20 || out.Rejected[rebased.ReasonBalance] != 10 || out.Balance != "" {
		t.Errorf("%+v", out)
	}
	for _, e := range kept {
		if e.Answer == "yes" && e.Rank >= 15 {
			t.Errorf("rank %d was kept", e.Rank)
		}
	}
	for _, r := range rejects {
		if r.Rank < 15 || r.Output != "yes" || r.Reason != rebased.ReasonBalance {
			t.Errorf("rejected %+v", r)
		}
	}
	in.Target = 10
	task.Transform.TargetRows = 10
	b, in2 := builds(t, task, "", rows[:7], rows[7:])
	in2.Target = 10
	out, kept, _ = b.run(t, in2)
	if out.Rows != 10 || len(kept) != 10 || out.Rejected[rebased.ReasonBalance]+out.Rejected[rebased.ReasonSurplus] != 20 || kept[9].Rank != 14 {
		t.Errorf("%+v, last rank %d", out, kept[len(kept)-1].Rank)
	}
}

func TestAGoodRowThatIsNotNeededKeepsWhatItsJudgeSaid(t *testing.T) {
	b, in := builds(t, plainTask(), "", []rebased.Example{example(0, "one thing", "yes", "yes"), example(1, "another matter", "no", "no")})
	rows, err := b.Examples.Read(t.Context(), in.key(folderTransformed, 0))
	if err != nil {
		t.Fatal(err)
	}
	rows[1].Judged = rebased.Judgement{Score: 7, Usage: rebased.Usage{InputTokens: 5, OutputTokens: 2}}
	if _, err := b.Examples.Write(t.Context(), in.key(folderTransformed, 0), rows); err != nil {
		t.Fatal(err)
	}
	in.Target = 1
	_, _, rejects := b.run(t, in)
	if len(rejects) != 1 || rejects[0].Reason != rebased.ReasonSurplus || rejects[0].Judged != rows[1].Judged {
		t.Errorf("%+v", rejects)
	}
}
