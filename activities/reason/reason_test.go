package reason

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

func sumTask() rebased.Task {
	task := rebased.DefaultTask()
	task.Instruction = "Add the numbers."
	task.Examples = []rebased.TaskExample{{Input: "1 + 1", Output: "2"}}
	task.Reason.Mode = rebased.ReasonRationale
	task.Transform.Teacher.Model = "teacher-1"
	return task
}

// transformed are n examples "i + 1" with one stored answer each.
func transformed(n int) []rebased.Example {
	var out []rebased.Example
	for i := range n {
		answer := fmt.Sprint(i + 1)
		out = append(out, rebased.Example{
			Input: fmt.Sprint(i, " + 1"), Output: answer, Answer: answer, Usage: rebased.Usage{InputTokens: 100, OutputTokens: 10},
			Lineage: rebased.Lineage{Row: rebased.RowID(fmt.Sprint("row-", i)), Rank: i, Responses: []string{fmt.Sprint("transform-", i)}, Teacher: "teacher-1-0613"},
		})
	}
	return out
}

func keyOf(t llm.Teacher, task rebased.Task, e rebased.Example) string {
	teacher := task.Transform.Teacher
	return string(llm.Request{
		Endpoint: t.Endpoint(), Model: teacher.Model, Temperature: teacher.Temperature, MaxTokens: teacher.MaxTokens, System: system, Prompt: Prompt(task, e),
	}.Key())
}

func run(t *testing.T, teacher llm.Teacher, examples []rebased.Example) llm.Shard {
	t.Helper()
	got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: llm.NewStore(mem.NewObjects())}, sumTask(), examples, sideBySide(4), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// sideBySide lets so many calls be under way.
func sideBySide(calls int) llm.Charge {
	return llm.Charge{Share: llm.Share{InFlight: calls, Capped: true}}
}

func TestThePromptShowsTaskExamplesInputAndOutput(t *testing.T) {
	got := Prompt(sumTask(), rebased.Example{Input: "a < b\n## Output\n&?", Output: `"yes"`})
	const want = `## Task
Add the numbers.

## Examples
{"input": "1 + 1", "output": "2"}

## Input
"a < b\n## Output\n&?"

## Output
"\"yes\""
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheOutputBecomesAThoughtThatEndsInTheAnswer(t *testing.T) {
	before := transformed(1)[0]
	before.Responses = append(make([]string, 0, 8), before.Responses...) // with room behind, which is not the step's to write to
	teacher := saying(func(llm.Request) (llm.Answer, error) {
		return llm.Answer{Text: "\nZero and one make one. The answer is 1.\n", Model: "m", Usage: rebased.Usage{InputTokens: 20, OutputTokens: 2}}, nil
	})
	got := run(t, teacher, []rebased.Example{before})
	after := before
	after.Output = "Zero and one make one. The answer is 1."
	after.Responses = []string{"transform-0", keyOf(teacher, sumTask(), before)}
	after.Usage = rebased.Usage{InputTokens: 120, OutputTokens: 12}
	want := llm.Shard{Examples: []rebased.Example{after}, Bill: llm.Bill{Calls: rebased.Calls{Made: 1}, Spent: rebased.Amount{Tokens: 22}}, Tokens: rebased.Usage{InputTokens: 20, OutputTokens: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(before.Responses) != 1 || before.Responses[:2][1] != "" {
		t.Errorf("the example that went in was changed: %q", before.Responses[:2])
	}
}

func TestAThoughtThatEndsInAnotherAnswerIsRejectedWithBothAnswers(t *testing.T) {
	before := transformed(1)[0]
	teacher := saying(func(llm.Request) (llm.Answer, error) {
		return llm.Answer{Text: "The answer is " + strings.Repeat("7", 100) + ".", Model: "m", Usage: rebased.Usage{InputTokens: 20, OutputTokens: 2}}, nil
	})
	got := run(t, teacher, []rebased.Example{before})
	lineage := before.Lineage
	lineage.Responses = []string{"transform-0", keyOf(teacher, sumTask(), before)}
	want := llm.Shard{
		Rejects: []rebased.Reject{{
			Lineage: lineage, Step: "reason", Reason: rebased.ReasonDisagreed, Attempts: 2, Input: "0 + 1", Output: "1",
			Detail: `the reasoning ends in "` + strings.Repeat("7", 80) + `", the transformed answer is "1"`, Usage: rebased.Usage{InputTokens: 120, OutputTokens: 12},
		}},
		Bill: llm.Bill{Calls: rebased.Calls{Made: 1}, Spent: rebased.Amount{Tokens: 22}}, Tokens: rebased.Usage{InputTokens: 20, OutputTokens: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnswersAreComparedByWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		answer, thought string
		agrees          bool
	}{
		{"Yes", "The answer is yes.", true},
		{"(A).", "So the answer is: **(a)**", true},
		{"new york", "The answer is 'New  York'!", true},
		{"Vistula", "The answer is Oder. No, the answer is Vistula.", true},
		{"Vistula", "The answer is Vistula. No, the answer is Oder.", false},
		{"5", "The answer is .5", false},
	} {
		before := transformed(1)[0]
		before.Answer = c.answer
		got := run(t, saying(func(llm.Request) (llm.Answer, error) { return llm.Answer{Text: c.thought}, nil }), []rebased.Example{before})
		if agrees := len(got.Examples) == 1; agrees != c.agrees {
			t.Errorf("%q after %q: kept %v, want %v", c.thought, c.answer, agrees, c.agrees)
		}
		if c.agrees && got.Examples[0].Answer != c.answer {
			t.Errorf("the answer %q became %q", c.answer, got.Examples[0].Answer)
		}
	}
}

func TestAThoughtWithoutAnAnswerIsAskedAgainAndThenRejected(t *testing.T) {
	teacher := saying(func(r llm.Request) (llm.Answer, error) {
		text := "It is one."
		if r.Ask == 1 && strings.Contains(r.Prompt, "3 + 1") {
			text = "The answer is 4."
		}
		return llm.Answer{Text: text}, nil
	})
	got := run(t, teacher, transformed(4))
	if len(got.Examples) != 1 || got.Examples[0].Rank != 3 || len(got.Examples[0].Responses) != 3 {
		t.Errorf("examples %+v", got.Examples)
	}
	for _, r := range got.Rejects {
		if r.Reason != rebased.ReasonUnusable || !strings.Contains(r.Detail, "The answer is X.") || r.Attempts != 4 || r.Output == "" {
			t.Errorf("got %+v", r)
		}
	}
}

func TestEachExampleComesOutOrIsRejectedInOrder(t *testing.T) {
	before := transformed(40)
	for i := 7; i < len(before); i += 10 {
		before[i].Answer = "another" // than its output, which the teacher of the fake repeats
	}
	teacher := &mem.Teacher{}
	got := run(t, teacher, before)
	var ranks, rejected []int
	for _, e := range got.Examples {
		ranks = append(ranks, e.Rank)
	}
	for _, r := range got.Rejects {
		rejected = append(rejected, r.Rank)
	}
	if !slices.Equal(rejected, []int{7, 17, 27, 37}) || len(ranks) != 36 || !slices.IsSorted(ranks) || got.Calls != (rebased.Calls{Made: 40}) {
		t.Errorf("examples of the ranks %v, rejects of %v, %+v", ranks, rejected, got.Calls)
	}
}

func TestAnErrorOfTheProviderEndsTheShardAndCountsItsCalls(t *testing.T) {
	spent := rebased.E(rebased.Exhausted, "no quota left")
	teacher := &mem.Teacher{Fail: func(llm.Request) error { return spent }}
	got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: llm.NewStore(mem.NewObjects())}, sumTask(), transformed(5), sideBySide(1), func(int) {})
	if diff := cmp.Diff(llm.Shard{Bill: llm.Bill{Calls: rebased.Calls{Failed: 1}}}, got); !errors.Is(err, spent) || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

// Whatever a teacher says is a thought with an answer or one problem.
func FuzzThoughts(f *testing.F) {
	for _, seed := range []string{"", "The answer is 7.", "the answer is: **(A)** The answer is ", "THE ANSWER IS\n\xff", "#### 5", "The answer is .", strings.Repeat("the answer is ", 100)} {
		f.Add(seed)
	}
	patterned := sumTask()
	patterned.Answer.Pattern = `####\s*(.*)`
	steps := []step{newStep(sumTask()), newStep(patterned)}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range steps {
			got, problem := s.parse(llm.Answer{Text: text})
			if (problem == nil) != (got.answer != "" && got.text == strings.TrimSpace(text)) || (problem != nil) != (got == thought{}) {
				t.Fatalf("%q: got %+v, %+v", text, got, problem)
			}
		}
	})
}
