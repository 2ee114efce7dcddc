package llm_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

func opened(t *testing.T, objects rebased.Objects) *llm.Log {
	t.Helper()
	store := llm.NewStore(objects)
	store.NoWaits()
	l, err := store.Open(t.Context(), "scope")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAStoredAnswerIsFoundByAnotherProcess(t *testing.T) {
	objects := mem.NewObjects()
	if _, err := opened(t, objects).Put(t.Context(), "k", llm.Answer{Text: "one"}, ""); err != nil {
		t.Fatal(err)
	}
	got, found, err := opened(t, objects).Get(t.Context(), "k")
	if err != nil || !found || got.Text != "one" {
		t.Fatalf("got %+v, %v, %v", got, found, err)
	}
}

func TestALongLogIsReadStepByStepAndInOrder(t *testing.T) {
	objects := mem.NewObjects()
	first := opened(t, objects)
	const answers = 100
	for i := range answers {
		if _, err := first.Put(t.Context(), llm.Key(fmt.Sprint(i)), llm.Answer{Text: fmt.Sprint("answer ", i)}, ""); err != nil {
			t.Fatal(err)
		}
	}
	second := opened(t, objects)
	for i := range answers {
		got, found, err := second.Get(t.Context(), llm.Key(fmt.Sprint(i)))
		if err != nil || !found || got.Text != fmt.Sprint("answer ", i) {
			t.Fatalf("answer %d: %+v, %v, %v", i, got, found, err)
		}
	}
	if _, err := second.Put(t.Context(), "new", llm.Answer{Text: "new"}, ""); err != nil {
		t.Fatal(err)
	}
	if got, found, err := opened(t, objects).Get(t.Context(), "new"); err != nil || !found || got.Text != "new" {
		t.Fatalf("after the last segment: %+v, %v, %v", got, found, err)
	}
}

func TestTheFirstAnswerStoredCountsForEveryWorker(t *testing.T) {
	objects := mem.NewObjects()
	first, second := opened(t, objects), opened(t, objects) // both before anything is stored
	if _, err := first.Put(t.Context(), "k", llm.Answer{Text: "first"}, ""); err != nil {
		t.Fatal(err)
	}
	got, err := second.Put(t.Context(), "k", llm.Answer{Text: "second"}, "")
	if err != nil || got.Text != "first" {
		t.Fatalf("the second writer goes on with %q, %v", got.Text, err)
	}
	got, _, err = opened(t, objects).Get(t.Context(), "k")
	if err != nil || got.Text != "first" {
		t.Fatalf("a third reads %q, %v", got.Text, err)
	}
}

func TestWorkersThatRaceAgreeOnEveryAnswer(t *testing.T) {
	objects := mem.NewObjects()
	logs := []*llm.Log{opened(t, objects), opened(t, objects), opened(t, objects)}
	const keys = 200
	used := make([][]string, len(logs))
	var group sync.WaitGroup
	for w, l := range logs {
		used[w] = make([]string, keys)
		for k := range keys {
			group.Go(func() {
				answer, err := l.Put(t.Context(), llm.Key(fmt.Sprint(k)), llm.Answer{Text: fmt.Sprintf("%d by %d", k, w)}, "")
				if err != nil {
					t.Error(err)
				}
				used[w][k] = answer.Text
			})
		}
	}
	group.Wait()
	stored := opened(t, objects)
	for k := range keys {
		want, found, err := stored.Get(t.Context(), llm.Key(fmt.Sprint(k)))
		if err != nil || !found {
			t.Fatalf("answer %d is lost: %v", k, err)
		}
		for w := range logs {
			if used[w][k] != want.Text {
				t.Errorf("worker %d used %q, stored is %q", w, used[w][k], want.Text)
			}
		}
	}
}

func TestOneOfManyThatAskForAKeyCalls(t *testing.T) {
	l := opened(t, mem.NewObjects())
	var calls atomic.Int32
	release := make(chan struct{})
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			answer, _, err := l.Do(t.Context(), "k", func() (llm.Answer, string, error) {
				calls.Add(1)
				<-release
				return llm.Answer{Text: "paid"}, "", nil
			})
			if err != nil || answer.Text != "paid" {
				t.Errorf("got %q, %v", answer.Text, err)
			}
		})
	}
	close(release)
	group.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d calls for one key", calls.Load())
	}
}

// slow holds every put until it is told to go on, and can fail.
type slow struct {
	rebased.Objects
	entered chan struct{}
	proceed chan error
}

func (s *slow) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	s.entered <- struct{}{}
	if err := <-s.proceed; err != nil {
		return "", err
	}
	return s.Objects.PutIfAbsent(ctx, key, body)
}

func TestAPaidAnswerIsStoredThoughTheOneWhoWaitsIsCanceledAndTheBucketFails(t *testing.T) {
	objects := mem.NewObjects()
	bucket := &slow{Objects: objects, entered: make(chan struct{}), proceed: make(chan error)}
	l := opened(t, bucket)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := l.Put(ctx, "k", llm.Answer{Text: "paid"}, "")
		ended <- err
	}()
	<-bucket.entered
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("the wait goes on after its context has ended")
	}
	bucket.proceed <- rebased.E(rebased.Unavailable, "down")
	<-bucket.entered
	bucket.proceed <- nil
	for l.Pending() > 0 {
		runtime.Gosched()
	}
	if _, found, err := opened(t, objects).Get(t.Context(), "k"); err != nil || !found {
		t.Fatalf("the answer is lost: %v", err)
	}
}

func TestAnswersThatFinishDuringAPutShareTheNextSegment(t *testing.T) {
	objects := mem.NewObjects()
	bucket := &slow{Objects: objects, entered: make(chan struct{}), proceed: make(chan error)}
	l := opened(t, bucket)
	var group sync.WaitGroup
	put := func(key llm.Key) {
		group.Go(func() {
			if _, err := l.Put(t.Context(), key, llm.Answer{}, ""); err != nil {
				t.Error(err)
			}
		})
	}
	put("first")
	<-bucket.entered
	for i := range 50 {
		put(llm.Key(fmt.Sprint(i)))
	}
	for l.Pending() < 51 { // the first is pending until its put ends
		runtime.Gosched()
	}
	bucket.proceed <- nil
	<-bucket.entered
	bucket.proceed <- nil
	group.Wait()
	segments := 0
	for range objects.List(t.Context(), rebased.ResponsesPrefix) {
		segments++
	}
	if segments != 2 {
		t.Errorf("51 answers stand in %d segments, want 2", segments)
	}
}

func TestADamagedSegmentIsAnErrorThatNamesIt(t *testing.T) {
	objects := mem.NewObjects()
	if _, err := objects.Put(t.Context(), rebased.ResponsesPrefix+"scope/0000000001.jsonl", []byte(`{"key":"k","ans`)); err != nil {
		t.Fatal(err)
	}
	_, err := llm.NewStore(objects).Open(t.Context(), "scope")
	if err == nil || !strings.Contains(err.Error(), "0000000001.jsonl") {
		t.Fatalf("got %v", err)
	}
}

func TestALogThatNobodyUsesIsForgottenAndReadAgainWhenItIsOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := llm.NewStore(mem.NewObjects())
		open := func() *llm.Log {
			log, err := store.Open(t.Context(), "scope")
			if err != nil {
				t.Fatal(err)
			}
			return log
		}
		one, two := open(), open()
		if one != two {
			t.Error("two who open a scope have two logs: they would ask the same twice")
		}
		if _, err := one.Put(t.Context(), "k", llm.Answer{Text: "a"}, ""); err != nil {
			t.Fatal(err)
		}
		one.Close()
		time.Sleep(time.Minute)
		if store.Logs() != 1 {
			t.Error("a log in use was forgotten")
		}
		two.Close()
		next := open() // by the next shard, which takes its time
		time.Sleep(time.Minute)
		if store.Logs() != 1 {
			t.Error("a log was forgotten that was opened again")
		}
		next.Close()
		time.Sleep(time.Minute)
		if store.Logs() != 0 {
			t.Error("a log that nobody uses is held")
		}
		if answer, found, err := open().Get(t.Context(), "k"); err != nil || !found || answer.Text != "a" {
			t.Errorf("read again: %+v, %v, %v", answer, found, err)
		}
	})
}
