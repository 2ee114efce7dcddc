package llm_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// office is a process that works with batches: it can crash, and another one go on over the same bucket and provider.
type office struct {
	teacher *mem.Batcher
	bucket  *mem.Objects
	clock   time.Time
	charge  llm.Charge
	tickets []llm.Ticket // of all batches that were begun, as a workflow remembers them

	batches *llm.Batches
	store   *llm.Store
}

func newOffice() *office {
	o := &office{bucket: mem.NewObjects(), clock: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)}
	o.teacher = &mem.Batcher{Now: func() time.Time { return o.clock }}
	o.charge = llm.Charge{Build: "task/build", Account: "task/build/transform/0", Price: price}
	o.restart(o.bucket)
	return o
}

// restart is a new process that sees the bucket so.
func (o *office) restart(objects rebased.Objects) {
	o.store = llm.NewStore(objects)
	o.store.NoWaits()
	o.batches = &llm.Batches{Store: o.store, Now: func() time.Time { return o.clock }}
}

func nobody(int) {}

func questions(n int) []llm.Request {
	q := func(i int) llm.Question[string] {
		return llm.Question[string]{Prompt: fmt.Sprintf("\n## Row\n{%d}", i)}
	}
	return llm.Requests("http://mem.invalid/v1", llm.Params{Model: "m", MaxTokens: 10, System: "s"}, n, q)
}

// begin and wait bring requests to their end; an hour passes between two looks. It gives up after two days.
func (o *office) bring(ctx context.Context, requests []llm.Request) error {
	begun, err := o.batches.Begin(ctx, o.teacher, requests, o.charge)
	if err != nil {
		return err
	}
	o.tickets = append(o.tickets, begun.Tickets...)
	for range 48 {
		open := 0
		for _, t := range o.tickets {
			ended, err := o.batches.Advance(ctx, o.teacher, t)
			if err != nil {
				return err
			}
			if !ended {
				open++
			}
		}
		if open == 0 {
			return nil
		}
		o.clock = o.clock.Add(time.Hour)
	}
	return errors.New("the batches do not end")
}

func (o *office) must(t *testing.T, requests []llm.Request) {
	t.Helper()
	if err := o.bring(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
}

// stored counts the requests that have a stored answer, as another process sees it.
func (o *office) stored(t *testing.T, requests []llm.Request) (n int) {
	t.Helper()
	log, err := llm.NewStore(o.bucket).Open(t.Context(), requests[0].Scope())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		answer, found, err := log.Get(t.Context(), r.Key())
		if err != nil {
			t.Fatal(err)
		}
		if found && answer.Batch {
			n++
		}
	}
	return n
}

// left are the records of batches under way in the bucket, and their requests.
func (o *office) left(t *testing.T) (keys []string) {
	t.Helper()
	for object, err := range o.bucket.List(t.Context(), rebased.ResponsesPrefix+"batches/") {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := o.bucket.Get(t.Context(), object.Key)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), `"ended":true`) {
			keys = append(keys, object.Key)
		}
	}
	return keys
}

func (o *office) spent(t *testing.T, scope string) rebased.Amount {
	t.Helper()
	log, err := llm.NewStore(o.bucket).Open(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	return log.Account(o.charge.Account).Amount(price)
}

func TestABatchFillsTheStore(t *testing.T) {
	o, requests := newOffice(), questions(7)
	o.must(t, requests)
	if n := o.stored(t, requests); n != 7 {
		t.Errorf("%d answers are stored", n)
	}
	if left := o.left(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	o.must(t, requests) // everything is there
	if taken, _ := o.teacher.Submitted(); taken != 1 {
		t.Errorf("%d batches were submitted", taken)
	}
}

func TestRequestsWithAnAnswerOrInAnotherBatchAreNotSubmittedAgain(t *testing.T) {
	o := newOffice()
	ended := false
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{Ended: ended} }
	first, err := o.batches.Begin(t.Context(), o.teacher, questions(3), o.charge)
	if err != nil || len(first.Tickets) != 1 {
		t.Fatal(first, err)
	}
	o.restart(o.bucket) // another worker, with more requests
	second, err := o.batches.Begin(t.Context(), o.teacher, questions(5), o.charge)
	if err != nil || len(second.Tickets) != 2 || second.Tickets[0] != first.Tickets[0] {
		t.Fatal(second, err)
	}
	ended = true
	o.must(t, questions(5))
	if total, most := o.teacher.Asked(); total != 5 || most != 1 {
		t.Errorf("%d answers, the most for one request %d", total, most)
	}
}

func TestABatchWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	for _, unnamed := range []bool{false, true} {
		o, requests := newOffice(), questions(4)
		o.teacher.Unnamed = unnamed
		others := 0
		o.teacher.Taken = func(string) error {
			if others++; others > 1 {
				return nil
			}
			// Somebody else's batch of the same size, at the same time.
			if _, err := o.teacher.Submit(t.Context(), "x", llm.Requests("", llm.Params{}, 4, func(i int) llm.Question[string] {
				return llm.Question[string]{Prompt: strings.Repeat("x", i)}
			})); err != nil {
				t.Fatal(err)
			}
			return rebased.E(rebased.Unavailable, "cut")
		}
		o.must(t, requests)
		if taken, _ := o.teacher.Submitted(); taken != 2 || o.stored(t, requests) != 4 {
			t.Errorf("unnamed %v: %d batches, %d answers", unnamed, taken, o.stored(t, requests))
		}
	}
}

func TestASubmissionThatDidNotArriveIsMadeAgain(t *testing.T) {
	for _, mark := range []error{llm.ErrNotBilled, errors.New("cut")} {
		o, requests := newOffice(), questions(2)
		failures := 0
		o.teacher.Fail = func(llm.Request) error {
			if failures++; failures > 1 {
				return nil
			}
			return &rebased.Error{Kind: rebased.Unavailable, Err: mark}
		}
		err := o.bring(t.Context(), requests)
		if errors.Is(mark, llm.ErrNotBilled) && rebased.KindOf(err) == rebased.Unavailable {
			err = o.bring(t.Context(), requests) // the next attempt
		}
		if err != nil || o.stored(t, requests) != 2 {
			t.Errorf("%v: %d answers, %v", mark, o.stored(t, requests), err)
		}
	}
}

func TestOnlyWhatABatchLeavesIsMissing(t *testing.T) {
	o, requests := newOffice(), questions(10)
	o.teacher.Leaves = func(r llm.Request) string {
		if strings.HasSuffix(r.Prompt, "{3}") {
			return "expired"
		}
		return ""
	}
	o.must(t, requests)
	if n := o.stored(t, requests); n != 9 || len(o.left(t)) != 0 {
		t.Errorf("%d answers, left %v", n, o.left(t))
	}
}

func TestABatchOfWhichAllIsRefusedGoesOnceMore(t *testing.T) {
	o, requests := newOffice(), questions(3)
	refusals := 0
	o.teacher.Leaves = func(llm.Request) string {
		if refusals++; refusals <= 3 {
			return "response_format is not supported"
		}
		return ""
	}
	o.must(t, requests)
	if taken, _ := o.teacher.Submitted(); taken != 2 || o.stored(t, requests) != 3 {
		t.Errorf("%d batches, %d answers", taken, o.stored(t, requests))
	}
	o = newOffice()
	o.teacher.Leaves = func(llm.Request) string { return "no" }
	o.must(t, requests)
	if taken, _ := o.teacher.Submitted(); taken != 2 || len(o.left(t)) != 0 {
		t.Errorf("never answered: %d batches, left %v", taken, o.left(t))
	}
}

func TestABatchWaitsForRoomInTheProvidersQueue(t *testing.T) {
	o, requests := newOffice(), questions(3)
	o.teacher.Stands = func(id string, _ int) llm.BatchState { return llm.BatchState{Ended: true, Full: id != "batch-4"} }
	o.must(t, requests)
	if taken, _ := o.teacher.Submitted(); taken != 4 || o.stored(t, requests) != 3 {
		t.Errorf("%d batches, %d answers", taken, o.stored(t, requests))
	}
}

func TestABatchThatDoesNotEndIsCanceledAfterADay(t *testing.T) {
	o, requests := newOffice(), questions(3)
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{} }
	began := o.clock
	o.must(t, requests)
	if _, canceled := o.teacher.Submitted(); canceled != 1 || o.clock.Sub(began) < 25*time.Hour || len(o.left(t)) != 0 {
		t.Errorf("%d canceled after %s, left %v", canceled, o.clock.Sub(began), o.left(t))
	}
}

func TestACanceledBatchIsTakenInByTheNextBuild(t *testing.T) {
	o, requests := newOffice(), questions(6)
	canceled := false
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{Ended: canceled} }
	o.teacher.Leaves = func(r llm.Request) string {
		if canceled && strings.HasSuffix(r.Prompt, "{5}") {
			return "canceled"
		}
		return ""
	}
	if _, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge); err != nil {
		t.Fatal(err)
	}
	if err := o.batches.Cancel(t.Context(), o.teacher, "task/another", nobody); err != nil {
		t.Fatal(err)
	}
	if _, n := o.teacher.Submitted(); n != 0 {
		t.Error("another build's batch was canceled")
	}
	if err := o.batches.Cancel(t.Context(), o.teacher, o.charge.Build, nobody); err != nil {
		t.Fatal(err)
	}
	if _, n := o.teacher.Submitted(); n != 1 {
		t.Errorf("%d canceled", n)
	}
	canceled = true
	o.restart(o.bucket)
	o.charge.Build, o.charge.Account = "task/next", "task/next/transform/0"
	o.must(t, requests)
	if n := o.stored(t, requests); n != 5 {
		t.Errorf("%d answers of the canceled batch were kept", n)
	}
	if total, most := o.teacher.Asked(); total != 5 || most != 1 {
		t.Errorf("%d answers, the most for one request %d", total, most)
	}
}

func TestABudgetHoldsForBatches(t *testing.T) {
	one := rebased.Amount{Tokens: 128 + 1 + 11 + 10} // bytes of system and prompt, max_tokens
	grant := rebased.Amount{Pico: rebased.Uncapped, Tokens: 3*one.Tokens + 5}
	o, requests := newOffice(), questions(10)
	o.charge.Grant = &grant
	open := true
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{Ended: !open} }
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if err != nil || begun.Rest != 7 || begun.Spent.Tokens != 3*one.Tokens {
		t.Fatalf("%+v, %v", begun, err)
	}
	if more, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge); err != nil || more.Short || more.Rest != 7 || len(more.Tickets) != 1 {
		t.Fatalf("a second batch beside the first: %+v, %v", more, err)
	}
	open = false
	o.restart(o.bucket)
	if _, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil {
		t.Fatal(err)
	}
	if short, err := o.batches.Begin(t.Context(), o.teacher, requests[:3], o.charge); err != nil || short.Rest != 0 {
		t.Errorf("what is answered is asked again: %+v, %v", short, err)
	}
	if spent := o.spent(t, requests[0].Scope()); spent.Tokens >= 3*one.Tokens || spent.Tokens == 0 || o.stored(t, requests) != 3 {
		t.Errorf("spent %+v once %d answers are there", spent, o.stored(t, requests))
	}
}

func TestWhatABatchDidNotAnswerIsNotSpent(t *testing.T) {
	o, requests := newOffice(), questions(4)
	o.charge.Grant = &rebased.Amount{Pico: rebased.Uncapped, Tokens: 100_000}
	o.teacher.Leaves = func(llm.Request) string { return "expired" }
	o.must(t, requests)
	if spent := o.spent(t, requests[0].Scope()); spent != (rebased.Amount{}) {
		t.Errorf("spent %+v", spent)
	}
}

func TestACrashBeforeTheBooksDoesNotDoubleWhatABatchMayCost(t *testing.T) {
	o, requests := newOffice(), questions(10)
	o.charge.Grant = &rebased.Amount{Pico: rebased.Uncapped, Tokens: 460} // three requests at their bounds
	o.batches.Alive = func() bool { return false }                        // the record is written, and nothing after it
	if _, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge); rebased.KindOf(err) != rebased.Unavailable {
		t.Fatal(err)
	}
	o.restart(o.bucket)
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{} }
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if err != nil || len(begun.Tickets) != 1 || begun.Rest != 7 {
		t.Fatalf("%+v, %v", begun, err)
	}
	if _, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil {
		t.Fatal(err)
	}
	if spent := o.spent(t, requests[0].Scope()); spent.Tokens != 450 {
		t.Errorf("%d tokens may be spent of 460", spent.Tokens)
	}
}

func TestTheNumberOfABatchIsNotGivenAgain(t *testing.T) {
	o := newOffice()
	begun, err := o.batches.Begin(t.Context(), o.teacher, questions(2), o.charge)
	if err != nil {
		t.Fatal(err)
	}
	old := begun.Tickets[0]
	if ended, err := o.batches.Advance(t.Context(), o.teacher, old); err != nil || !ended {
		t.Fatal(ended, err)
	}
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{} }
	next, err := o.batches.Begin(t.Context(), o.teacher, questions(4), o.charge)
	if err != nil || next.Tickets[0].N == old.N {
		t.Fatal(next, err)
	}
	if ended, err := o.batches.Advance(t.Context(), o.teacher, old); err != nil || !ended {
		t.Errorf("who waited for the first batch waits for the second: %v", err)
	}
}

func TestASubmissionOfWhichNothingIsKnownIsGivenTimeToArrive(t *testing.T) {
	o := newOffice()
	o.teacher.Fail = func(llm.Request) error { return rebased.E(rebased.Unavailable, "cut") }
	begun, err := o.batches.Begin(t.Context(), o.teacher, questions(2), o.charge)
	if err != nil {
		t.Fatal(err)
	}
	o.teacher.Fail = nil
	for minute, want := range []int{0, 0, 0, 1} {
		if _, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil {
			t.Fatal(err)
		}
		if taken, _ := o.teacher.Submitted(); taken != want {
			t.Errorf("after %d minutes %d batches were submitted, want %d", 2*minute, taken, want)
		}
		o.clock = o.clock.Add(2 * time.Minute)
		if minute == 0 {
			o.clock = o.clock.Add(-time.Minute)
		}
	}
}

// elsewhere does something else once, when batches are listed for the first time.
type elsewhere struct {
	rebased.Objects
	do func()
}

func (e *elsewhere) List(ctx context.Context, prefix string) iter.Seq2[rebased.Object, error] {
	if do := e.do; do != nil && strings.Contains(prefix, "/batches/") {
		e.do = nil
		do()
	}
	return e.Objects.List(ctx, prefix)
}

func TestWhatIsAnsweredWhileABatchIsMadeIsNotSubmitted(t *testing.T) {
	o, requests := newOffice(), questions(3)
	bucket := &elsewhere{Objects: o.bucket}
	other := *o
	other.restart(o.bucket)
	bucket.do = func() { other.must(t, requests) } // another worker begins, and ends
	o.restart(bucket)
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if taken, _ := o.teacher.Submitted(); err != nil || len(begun.Tickets) != 0 || taken != 1 {
		t.Errorf("%+v, %v: %d batches", begun, err, taken)
	}
}
