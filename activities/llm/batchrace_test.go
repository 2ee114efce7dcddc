package llm_test

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// Two processes that are busy with one batch, and what is rare.

func TestABatchSubmittedDaysAfterItWasMadeIsWaitedFor(t *testing.T) {
	o, requests := newOffice(), questions(3)
	o.teacher.Fail = func(llm.Request) error { return rebased.E(rebased.Exhausted, "quota") }
	if _, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge); rebased.KindOf(err) != rebased.Exhausted {
		t.Fatal(err)
	}
	o.clock = o.clock.Add(48 * time.Hour) // until a person resumes the build
	o.teacher.Fail = nil
	stands := false
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{Ended: stands} }
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if ended, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil || ended {
			t.Fatal(ended, err)
		}
		o.clock = o.clock.Add(time.Hour)
	}
	stands = true
	o.must(t, requests)
	if taken, canceled := o.teacher.Submitted(); taken != 1 || canceled != 0 || o.stored(t, requests) != 3 {
		t.Errorf("%d batches, %d canceled, %d answers", taken, canceled, o.stored(t, requests))
	}
}

// between is a teacher during one of whose calls something else happens, once.
type between struct {
	*mem.Batcher
	results, cancel func()
}

func once(do *func()) {
	if f := *do; f != nil {
		*do = nil
		f()
	}
}

func (b *between) Results(ctx context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	once(&b.results)
	return b.Batcher.Results(ctx, id)
}

func (b *between) CancelBatch(ctx context.Context, id string) error {
	once(&b.cancel)
	return b.Batcher.CancelBatch(ctx, id)
}

func TestWhoIsSlowToEndABatchLeavesTheNextOneAlone(t *testing.T) {
	o := newOffice()
	begun, err := o.batches.Begin(t.Context(), o.teacher, questions(2), o.charge)
	if err != nil {
		t.Fatal(err)
	}
	other := *o
	other.restart(o.bucket)
	var next llm.Begun
	slow := &between{Batcher: o.teacher, results: func() {
		if ended, err := other.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); !ended || err != nil {
			t.Fatal(ended, err)
		}
		o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{} }
		if next, err = other.batches.Begin(t.Context(), o.teacher, questions(6), o.charge); err != nil {
			t.Fatal(err)
		}
	}}
	_, _ = o.batches.Advance(t.Context(), slow, begun.Tickets[0])
	if ended, err := other.batches.Advance(t.Context(), o.teacher, next.Tickets[0]); ended || err != nil {
		t.Errorf("the next batch is said to have ended: %v, %v", ended, err)
	}
	if _, err := other.batches.Begin(t.Context(), o.teacher, questions(6), o.charge); err != nil {
		t.Fatal(err)
	}
	if taken, _ := o.teacher.Submitted(); taken != 2 {
		t.Errorf("%d batches were submitted", taken)
	}
}

func TestACancelBesideAResubmissionLosesNoBatch(t *testing.T) {
	o := newOffice()
	o.charge.Grant = &rebased.Amount{Pico: rebased.Uncapped, Tokens: 100_000}
	full := true
	o.teacher.Stands = func(id string, _ int) llm.BatchState {
		return llm.BatchState{Ended: id == "batch-1" && full, Full: id == "batch-1" && full}
	}
	begun, err := o.batches.Begin(t.Context(), o.teacher, questions(5), o.charge)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil { // the queue is full
		t.Fatal(err)
	}
	full, o.clock = false, o.clock.Add(10*time.Minute)
	other := *o
	bucket := &elsewhere{Objects: o.bucket}
	other.restart(o.bucket)
	o.restart(bucket)
	bucket.do = func() { // a poll submits it again while the cancel looks around
		if _, err := other.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.batches.Cancel(t.Context(), o.teacher, o.charge.Build, nobody); err != nil {
		t.Fatal(err)
	}
	taken, canceled := o.teacher.Submitted()
	if spent := o.spent(t, questions(1)[0].Scope()); taken != 2 || canceled != 1 || spent.Tokens == 0 || len(o.left(t)) == 0 {
		t.Errorf("%d batches, %d canceled, %+v in the books, left %v", taken, canceled, spent, o.left(t))
	}
}

func TestACancelThatFailsIsTriedAgain(t *testing.T) {
	o := newOffice()
	o.teacher.Taken = func(string) error { return rebased.E(rebased.Unavailable, "cut") }
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{} }
	if _, err := o.batches.Begin(t.Context(), o.teacher, questions(3), o.charge); err != nil {
		t.Fatal(err)
	}
	looks := 0
	o.teacher.Looked = func() error {
		if looks++; looks == 1 {
			return rebased.E(rebased.Throttled, "slow down")
		}
		return nil
	}
	if err := o.batches.Cancel(t.Context(), o.teacher, o.charge.Build, nobody); rebased.KindOf(err) != rebased.Throttled {
		t.Errorf("the first cancel: %v", err)
	}
	if err := o.batches.Cancel(t.Context(), o.teacher, o.charge.Build, nobody); err != nil {
		t.Errorf("the second cancel: %v", err)
	}
	if _, canceled := o.teacher.Submitted(); canceled != 1 {
		t.Errorf("%d batches were canceled", canceled)
	}
}

func TestWhatACanceledBatchLeavesGoesIntoTheNextBatch(t *testing.T) {
	o, requests := newOffice(), questions(6)
	ended := false
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{Ended: ended} }
	o.teacher.Leaves = func(llm.Request) string {
		if o.charge.Build == "task/next" {
			return "canceled"
		}
		return ""
	}
	if _, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge); err != nil {
		t.Fatal(err)
	}
	if err := o.batches.Cancel(t.Context(), o.teacher, o.charge.Build, nobody); err != nil {
		t.Fatal(err)
	}
	o.charge.Build, o.charge.Account = "task/next", "task/next/transform/0"
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if err != nil || len(begun.Tickets) != 1 || begun.Rest != 6 || begun.Short {
		t.Fatalf("%+v, %v: it should begin again once the canceled batch has ended", begun, err)
	}
	ended = true
	if done, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil || !done {
		t.Fatal(done, err)
	}
	o.charge.Build = "task/later"
	o.must(t, requests)
	if taken, _ := o.teacher.Submitted(); taken != 2 || o.stored(t, requests) != 6 {
		t.Errorf("%d batches, %d answers", taken, o.stored(t, requests))
	}
}

// unheard writes a record and says that it does not know.
type unheard struct {
	rebased.Objects
	done bool
}

func (u *unheard) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	etag, err := u.Objects.PutIfAbsent(ctx, key, body)
	if strings.Contains(key, "/batches/") && !u.done {
		u.done = true
		return "", rebased.E(rebased.Unavailable, "no reply")
	}
	return etag, err
}

func TestARecordOfWhoseWritingNothingWasHeardIsCarriedOn(t *testing.T) {
	o, requests := newOffice(), questions(3)
	o.restart(&unheard{Objects: o.bucket})
	if _, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge); rebased.KindOf(err) != rebased.Unavailable {
		t.Fatal(err)
	}
	o.must(t, requests)
	if taken, _ := o.teacher.Submitted(); taken != 1 || o.stored(t, requests) != 3 {
		t.Errorf("%d batches, %d answers", taken, o.stored(t, requests))
	}
}

// blind is a provider that makes batches and does not list them.
type blind struct{ *mem.Batcher }

func (blind) Find(context.Context, string, int, time.Time) ([]llm.Found, error) { return nil, nil }

func TestABatchThatIsNeverListedIsNotSubmittedWithoutEnd(t *testing.T) {
	o := newOffice()
	o.teacher.Taken = func(string) error { return rebased.E(rebased.Unavailable, "cut") }
	begun, err := o.batches.Begin(t.Context(), blind{o.teacher}, questions(3), o.charge)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; err == nil && i < 200; i++ {
		o.clock = o.clock.Add(15 * time.Minute)
		_, err = o.batches.Advance(t.Context(), blind{o.teacher}, begun.Tickets[0])
	}
	if taken, _ := o.teacher.Submitted(); taken > 3 || rebased.KindOf(err) != rebased.Exhausted {
		t.Errorf("%d batches, %v: the build should wait for a person", taken, err)
	}
}

func TestABatchThatExpiresAsAWholeIsNotSubmittedAgain(t *testing.T) {
	o, requests := newOffice(), questions(3)
	o.teacher.Leaves = func(llm.Request) string { return "expired" }
	o.must(t, requests)
	if taken, _ := o.teacher.Submitted(); taken != 1 || len(o.left(t)) != 0 {
		t.Errorf("%d batches, left %v", taken, o.left(t))
	}
}

func TestAProviderThatRefusesToSayHowABatchStandsIsAskedAgain(t *testing.T) {
	for _, kind := range []rebased.Kind{rebased.Invalid, rebased.Rejected, rebased.NotFound} {
		o, requests := newOffice(), questions(3)
		begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
		if err != nil {
			t.Fatal(err)
		}
		o.teacher.Looked = func() error { return rebased.E(kind, "a proxy says no") }
		ended, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0])
		if ended || err != nil && rebased.KindOf(err) != rebased.Unavailable {
			t.Errorf("%s: ended %v, %v", kind, ended, err)
		}
		o.teacher.Looked = nil
		o.must(t, requests)
		if taken, _ := o.teacher.Submitted(); taken != 1 || o.stored(t, requests) != 3 {
			t.Errorf("%s: %d batches, %d answers", kind, taken, o.stored(t, requests))
		}
	}
}

func TestABatchThatIsGoneForGoodIsLeftAndStaysInTheBooks(t *testing.T) {
	o, requests := newOffice(), questions(3)
	o.charge.Grant = &rebased.Amount{Pico: rebased.Uncapped, Tokens: 100_000}
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if err != nil {
		t.Fatal(err)
	}
	before := o.spent(t, requests[0].Scope())
	o.teacher.Looked = func() error { return rebased.E(rebased.NotFound, "no such batch") }
	ended := false
	for range 3 {
		if ended, err = o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil {
			t.Fatal(err)
		}
		o.clock = o.clock.Add(time.Hour)
	}
	if after := o.spent(t, requests[0].Scope()); !ended || after != before || before.Tokens == 0 {
		t.Errorf("ended %v, in the books %+v, before %+v", ended, after, before)
	}
}

// strange lists a batch that somebody else has removed by the time it is asked about.
type strange struct{ *mem.Batcher }

func (s strange) Find(ctx context.Context, name string, n int, since time.Time) ([]llm.Found, error) {
	found, err := s.Batcher.Find(ctx, name, n, since)
	return append([]llm.Found{{ID: "removed"}}, found...), err
}

func TestAStrangersBatchThatIsGoneIsNobodysBusiness(t *testing.T) {
	o := newOffice()
	o.teacher.Unnamed = true
	o.teacher.Taken = func(string) error { return rebased.E(rebased.Unavailable, "cut") }
	begun, err := o.batches.Begin(t.Context(), o.teacher, questions(3), o.charge)
	if err != nil {
		t.Fatal(err)
	}
	if ended, err := o.batches.Advance(t.Context(), strange{o.teacher}, begun.Tickets[0]); err != nil || !ended || o.stored(t, questions(3)) != 3 {
		t.Errorf("ended %v, %v", ended, err)
	}
}

func TestOfTwoBatchesOfOneNameTheSecondIsCanceled(t *testing.T) {
	o, requests := newOffice(), questions(3)
	o.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{} }
	o.teacher.Taken = func(string) error { return rebased.E(rebased.Unavailable, "cut") }
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.teacher.Submit(t.Context(), begun.Tickets[0].Name, requests); err == nil {
		t.Fatal("it was heard of")
	}
	if _, err := o.batches.Advance(t.Context(), o.teacher, begun.Tickets[0]); err != nil {
		t.Fatal(err)
	}
	if taken, canceled := o.teacher.Submitted(); taken != 2 || canceled != 1 {
		t.Errorf("%d batches, %d canceled", taken, canceled)
	}
}

// midway does not give all of its results.
type midway struct{ *mem.Batcher }

func (m midway) Results(ctx context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return func(yield func(llm.BatchResult, error) bool) {
		for r, err := range m.Batcher.Results(ctx, id) {
			if !yield(r, err) {
				return
			}
		}
		yield(llm.BatchResult{}, rebased.E(rebased.NotFound, "no file of errors"))
	}
}

func TestAnswersThatWereReadAreStoredBeforeABatchEnds(t *testing.T) {
	o, requests := newOffice(), questions(3)
	begun, err := o.batches.Begin(t.Context(), o.teacher, requests, o.charge)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := o.batches.Advance(t.Context(), midway{o.teacher}, begun.Tickets[0])
	if err != nil || !ended || o.stored(t, requests) != 3 {
		t.Errorf("ended %v, %v, %d answers are stored", ended, err, o.stored(t, requests))
	}
}
