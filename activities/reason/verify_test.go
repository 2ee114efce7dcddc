package reason

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

func verifiedTask(samples, agree int, majority bool) rebased.Task {
	task := sumTask()
	task.Reason = rebased.ReasonStep{Mode: rebased.ReasonVerified, Samples: samples, Agree: agree, Majority: majority}
	return task
}

// sampled answers each sample of the only row with the next of some texts, and counts what is asked.
type sampled struct {
	texts []string
	mu    sync.Mutex
	asked []llm.Request
}

func (*sampled) Endpoint() string { return "http://teacher.invalid/v1" }

func (s *sampled) Ask(_ context.Context, r llm.Request) (llm.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	return llm.Answer{Text: s.texts[r.Sample], Finish: llm.FinishStop, Model: "m", Usage: rebased.Usage{InputTokens: 10, OutputTokens: 1}}, nil
}

func judge(t *testing.T, task rebased.Task, answer string, texts ...string) (llm.Shard, *sampled) {
	t.Helper()
	teacher := &sampled{texts: texts}
	example := transformed(1)[0]
	example.Output, example.Answer = answer, answer
	got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: llm.NewStore(mem.NewObjects())}, task, []rebased.Example{example}, sideBySide(4), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return got, teacher
}

func says(answer string) string { return "Let us see. The answer is " + answer + "." }

func TestTheTeacherDoesNotSeeTheAnswerThatItVerifies(t *testing.T) {
	_, teacher := judge(t, verifiedTask(3, 2, false), "hush", says("hush"), says("hush"), says("hush"))
	for i, r := range teacher.asked {
		if strings.Contains(r.Prompt+r.System, "hush") || r.Sample != i || !strings.Contains(r.Prompt, `"0 + 1"`) {
			t.Errorf("sample %d is asked %q", r.Sample, r.Prompt)
		}
	}
	if len(teacher.asked) != 2 {
		t.Errorf("%d answers were asked for, 2 decide", len(teacher.asked))
	}
}

func TestAVerifiedRowHasTheShortestThoughtThatLeadsToItsAnswer(t *testing.T) {
	got, _ := judge(t, verifiedTask(4, 3, false), "7", "A long way round. "+says("7"), says("8"), says("seven"), "Here we go. "+says("7.0"))
	e := got.Examples[0]
	if e.Output != says("seven") || e.Answer != "7" || len(e.Responses) != 5 || e.Usage != (rebased.Usage{InputTokens: 140, OutputTokens: 14}) {
		t.Errorf("%+v", e)
	}
	if got.Tokens != (rebased.Usage{InputTokens: 40, OutputTokens: 4}) {
		t.Errorf("tokens of the step: %+v", got.Tokens)
	}
}

func TestARowThatTooFewAnswersAgreeWithIsRejected(t *testing.T) {
	got, teacher := judge(t, verifiedTask(3, 2, false), "7", says("8"), says("9"), "")
	if len(got.Rejects) != 1 || len(teacher.asked) != 2 {
		t.Fatalf("%+v after %d answers", got, len(teacher.asked))
	}
	r := got.Rejects[0]
	if want := `0 of 2 answers are "7", as transformed; 2 are wanted; another is "8"`; r.Reason != rebased.ReasonDisagreed || r.Detail != want || r.Attempts != 3 {
		t.Errorf("%+v", r)
	}
}

func TestTheMajorityReplacesAnAnswerWhenTheTaskSaysSo(t *testing.T) {
	texts := []string{says("8"), says("7"), says("8")}
	got, _ := judge(t, verifiedTask(3, 2, true), "7", texts...)
	if len(got.Examples) != 1 || got.Examples[0].Answer != "8" || got.Examples[0].Output != says("8") {
		t.Errorf("%+v", got)
	}
	if got, _ := judge(t, verifiedTask(3, 2, false), "7", texts...); len(got.Rejects) != 1 {
		t.Errorf("without: %+v", got)
	}
}

func TestARowWithoutAUsableAnswerIsRejectedForThat(t *testing.T) {
	got, teacher := judge(t, verifiedTask(3, 2, true), "7", "hm", "well", "no")
	if len(got.Rejects) != 1 || got.Rejects[0].Reason != rebased.ReasonUnusable || len(teacher.asked) != 6 {
		t.Errorf("%+v after %d answers", got.Rejects, len(teacher.asked))
	}
}

// TestAnEarlyStopDecidesAsAllAnswersWould compares with a jury that hears everybody: of its answers the first that enough give counts.
func TestAnEarlyStopDecidesAsAllAnswersWould(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	early := 0
	for range 5000 {
		samples := 1 + random.IntN(6)
		task := rebased.ReasonStep{Samples: samples, Agree: 1 + random.IntN(samples), Majority: random.IntN(2) == 0}
		votes := make([]vote, samples)
		for i := range votes {
			votes[i].normal = []string{"", "own", "b", "c"}[random.IntN(4)]
		}
		want, counts := "", map[string]int{}
		for _, v := range votes {
			if counts[v.normal]++; v.normal != "" && counts[v.normal] == task.Agree && want == "" && (task.Majority || v.normal == "own") {
				want = v.normal
			}
		}
		j := jury{task: task, normal: "own", counts: map[string]int{}}
		var got verdict
		heard := 0
		for ; !got.decided; heard++ {
			got = j.cast(votes[heard])
		}
		if heard < samples {
			early++
		}
		if got.answer != want {
			t.Fatalf("%+v: %+v decide %q after %d, all of them %q", task, votes, got.answer, heard, want)
		}
		if least := len(newStep(rebased.Task{Reason: rebased.ReasonStep{Mode: rebased.ReasonVerified, Samples: samples, Agree: task.Agree}}).questions(rebased.Example{})); heard < least {
			t.Fatalf("%+v: decided after %d, %d are asked for ahead", task, heard, least)
		}
	}
	if early == 0 {
		t.Error("nothing was decided early")
	}
}

func TestAnswersOfAVerifiedRowAreReadInTheOrderOfTheirSamples(t *testing.T) {
	store := llm.NewStore(mem.NewObjects())
	for range 2 { // the second time from the store
		teacher := &sampled{texts: []string{says("8"), says("0"), says("0")}}
		var examples []rebased.Example
		for i, e := range transformed(30) {
			e.Answer, e.Output = fmt.Sprint(i%2*8), fmt.Sprint(i%2*8)
			examples = append(examples, e)
		}
		got, err := Shard(t.Context(), &llm.Runner{Teacher: teacher, Store: store}, verifiedTask(3, 2, true), examples, sideBySide(8), func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		var ranks []int
		for _, e := range got.Examples {
			if ranks = append(ranks, e.Rank); e.Answer != "0" || len(e.Responses) != 4 {
				t.Errorf("%+v", e)
			}
		}
		if len(ranks) != 30 || !slices.IsSorted(ranks) || got.Calls.Made+got.Calls.Reused != 90 {
			t.Errorf("%v, %+v", ranks, got.Calls)
		}
	}
}

func TestWrongAnswersOfAKeptRowAreKeptForPreferencePairs(t *testing.T) {
	task := verifiedTask(8, 2, false)
	texts := []string{says("8"), "", says("9"), "Once more. " + says("8.0"), says("1"), says("2"), says("7"), "Long. " + says("7")}
	if got, _ := judge(t, task, "7", texts...); len(got.Examples) != 1 || got.Examples[0].Rejected != nil {
		t.Fatalf("a task that makes no pairs: %+v", got)
	}
	task.Output.Formats = []string{rebased.FormatPreference}
	got, _ := judge(t, task, "7", texts...)
	want := []string{says("8"), says("9"), says("1"), says("2")} // one of each answer, in the order of the samples
	if len(got.Examples) != 1 || got.Examples[0].Output != says("7") || !slices.Equal(got.Examples[0].Rejected, want) {
		t.Errorf("got %+v, want rejected %q", got, want)
	}
	got, _ = judge(t, task, "7", says("7"), says("7"))
	if e := got.Examples[0]; e.Rejected == nil || len(e.Rejected) != 0 {
		t.Errorf("all answers agree: rejected %#v", e.Rejected)
	}
	task.Reason.Majority = true
	got, _ = judge(t, task, "7", says("7"), says("8"), says("8"))
	if e := got.Examples[0]; e.Answer != "8" || !slices.Equal(e.Rejected, []string{says("7")}) {
		t.Errorf("the majority is right: %+v", e)
	}
}

func TestNoMoreThanSoManyWrongAnswersAreKept(t *testing.T) {
	task := verifiedTask(10, 1, false)
	task.Output.Formats = []string{rebased.FormatPreference}
	texts := make([]string, 10)
	for i := range texts {
		texts[i] = says(fmt.Sprint(i))
	}
	got, _ := judge(t, task, "9", texts...)
	if !slices.Equal(got.Examples[0].Rejected, texts[:maxWrong]) {
		t.Errorf("rejected %q", got.Examples[0].Rejected)
	}
}
