package transform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// saying is a teacher that answers by a function.
type saying func(r llm.Request) (llm.Answer, error)

func (saying) Endpoint() string { return "http://teacher.invalid/v1" }

func (s saying) Ask(_ context.Context, r llm.Request) (llm.Answer, error) { return s(r) }

// candidates are n ranked rows; the words of row i are "row i".
func candidates(n int) []rebased.Candidate {
	var out []rebased.Candidate
	for i := range n {
		cells := []rebased.Cell{{Column: "q", Text: fmt.Sprint("row ", i)}}
		dataset := rebased.DatasetID{Name: "owner/qa", Config: "default", Split: "train"}
		out = append(out, rebased.Candidate{
			Row:    rebased.Row{ID: rebased.NewRowID(dataset, cells, 0), Dataset: dataset, Cells: cells},
			Scores: rebased.Scores{Total: 0.5, In: 0.75, Out: 0.25, Data: 0.5, InColumn: "q", OutColumn: "q"},
			Rank:   i, License: "cc-by-4.0", Revision: "5d0ff6c7",
		})
	}
	return out
}

// keyOf is the address of the answer to the first ask about a candidate.
func keyOf(t llm.Teacher, task rebased.Task, c rebased.Candidate) llm.Key {
	teacher := task.Transform.Teacher
	return llm.Request{
		Endpoint: t.Endpoint(), Model: teacher.Model, Temperature: teacher.Temperature, MaxTokens: teacher.MaxTokens, System: system, Schema: schema, Prompt: Prompt(task, c),
	}.Key()
}

// sideBySide lets so many calls be under way.
func sideBySide(calls int) llm.Charge {
	return llm.Charge{Share: llm.Share{InFlight: calls, Capped: true}}
}

func TestEachCandidateBecomesAnExampleOrARejectInOrder(t *testing.T) {
	rows := candidates(40)
	teacher := &mem.Teacher{Fail: func(r llm.Request) error {
		if strings.HasSuffix(r.Prompt, `7"}`) {
			return &rebased.Error{Kind: rebased.Rejected, Err: llm.ErrRefused}
		}
		return nil
	}}
	var done atomic.Int64
	got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: llm.NewStore(mem.NewObjects())}, riverTask(), rows, sideBySide(8), func(int) { done.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	var ranks, rejected []int
	for _, e := range got.Examples {
		ranks = append(ranks, e.Rank)
	}
	for _, r := range got.Rejects {
		rejected = append(rejected, r.Rank)
		if r.Step != "transform" || r.Reason != rebased.ReasonRefused || r.Detail == "" {
			t.Errorf("rank %d: %+v", r.Rank, r)
		}
	}
	if !slices.Equal(rejected, []int{7, 17, 27, 37}) || len(ranks) != 36 || !slices.IsSorted(ranks) {
		t.Errorf("examples of the ranks %v, rejects of %v", ranks, rejected)
	}
	if got.Calls != (rebased.Calls{Made: 36, Failed: 4}) || done.Load() != 40 {
		t.Errorf("%+v calls, %d rows said to be done", got.Calls, done.Load())
	}
}

func TestAnExampleSaysWhereItComesFrom(t *testing.T) {
	row, task := candidates(1)[0], riverTask()
	teacher := saying(func(llm.Request) (llm.Answer, error) {
		return llm.Answer{
			Text: `{"input": " 1 + 1? ", "output": "One more than one. The answer is 2."}`, Model: "teacher-1-0613", Usage: rebased.Usage{InputTokens: 90, OutputTokens: 9},
		}, nil
	})
	got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: llm.NewStore(mem.NewObjects())}, task, []rebased.Candidate{row}, sideBySide(1), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	lineage := rebased.LineageOf(row)
	lineage.Responses, lineage.Teacher = []string{string(keyOf(teacher, task, row))}, "teacher-1-0613"
	usage := rebased.Usage{InputTokens: 90, OutputTokens: 9}
	want := llm.Shard{
		Examples: []rebased.Example{
			{Input: "1 + 1?", Output: "One more than one. The answer is 2.", Answer: "2", Lineage: lineage, Usage: usage},
		},
		Bill: llm.Bill{Calls: rebased.Calls{Made: 1}, Spent: rebased.Amount{Tokens: 99}}, Tokens: usage,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARejectSaysWhatWasPaidForIt(t *testing.T) {
	rows, task := candidates(2), riverTask()
	teacher := saying(func(r llm.Request) (llm.Answer, error) {
		text := `{"input": "in", "output": "out"}`
		if strings.Contains(r.Prompt, "row 1") {
			text = "no"
		}
		return llm.Answer{Text: text, Model: "m", Usage: rebased.Usage{InputTokens: 10, OutputTokens: 1}}, nil
	})
	got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: llm.NewStore(mem.NewObjects())}, task, rows, sideBySide(2), func(int) {})
	if err != nil || len(got.Examples) != 1 || len(got.Rejects) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	reject := got.Rejects[0]
	if reject.Row != rows[1].ID || reject.Reason != rebased.ReasonUnusable || reject.Attempts != 3 || reject.Usage != (rebased.Usage{InputTokens: 30, OutputTokens: 3}) {
		t.Errorf("got %+v", reject)
	}
	if len(reject.Responses) != 3 || reject.Responses[0] != string(keyOf(teacher, task, rows[1])) || reject.Teacher != "m" {
		t.Errorf("lineage %+v", reject.Lineage)
	}
	if got.Tokens != (rebased.Usage{InputTokens: 40, OutputTokens: 4}) {
		t.Errorf("%+v tokens in all", got.Tokens)
	}
}

func TestASecondTimeGivesTheSameAndPaysNothing(t *testing.T) {
	objects, rows := mem.NewObjects(), candidates(20)
	transform := func() llm.Shard {
		got, err := Shard(t.Context(), &llm.Runner{Teacher: &mem.Teacher{}, Store: llm.NewStore(objects)}, riverTask(), rows, sideBySide(8), func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first, again := transform(), transform()
	if first.Calls != (rebased.Calls{Made: 20}) || again.Calls != (rebased.Calls{Reused: 20}) {
		t.Errorf("calls: %+v, then %+v", first.Calls, again.Calls)
	}
	again.Bill = first.Bill
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
}

func TestNoCandidatesGiveNothing(t *testing.T) {
	got, err := Shard(t.Context(), &llm.Runner{Teacher: &mem.Teacher{}, Store: llm.NewStore(mem.NewObjects())}, riverTask(), nil, sideBySide(8), func(int) {})
	if diff := cmp.Diff(llm.Shard{}, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestAnErrorOfTheProviderEndsTheShardAndCountsItsCalls(t *testing.T) {
	refused := rebased.E(rebased.Unauthorized, "wrong key")
	got, err := Shard(
		t.Context(), &llm.Runner{Teacher: &mem.Teacher{Fail: func(llm.Request) error { return refused }}, Store: llm.NewStore(mem.NewObjects())},
		riverTask(), candidates(5), sideBySide(1), func(int) {},
	)
	if diff := cmp.Diff(llm.Shard{Bill: llm.Bill{Calls: rebased.Calls{Failed: 1}}}, got); !errors.Is(err, refused) || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}
