package gc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/activities/handoff"
)

// twoVersions has an old version, a latest one, and an answer that neither has used.
func twoVersions(t *testing.T) (w *world, old string) {
	w = newWorld(t)
	w.ago(50 * day)
	w.answer("scope", "", "old")
	old = w.stage("squad", "", nil, []string{"x"})
	w.release("squad", old, "b1")
	w.ago(40 * day)
	w.release("squad", w.stage("squad", "", nil, []string{"y"}), "b2")
	return w, old
}

// A build begins before each call of a collection in turn. If it need not wait, it uses an old answer that nothing has used, and names an old version, as
// builds do: both must be there afterwards.
func TestABuildThatBeginsAnywhereInACollectionKeepsWhatItUses(t *testing.T) {
	waited, went := 0, 0
	past, first := twoVersions(t)
	for at, more := 0, true; more; at++ {
		w, used := past.copy(), false
		w.ago(0)
		begin := func() {
			ctx := context.Background()
			_, err := w.store().Manifest(ctx, "squad", first) // dedupe.against is found to be there
			frozen := w.put(rebased.BuildKey("other", "b1", "task.yaml"), "against: [squad@"+first+"]")
			waits, failed := gc.Waits(ctx, w.objects, frozen)
			if failed != nil {
				t.Fatal(failed)
			}
			if waits != "" {
				waited++
				return
			}
			used = err == nil && w.stored("scope", "old")
		}
		call := 0
		bucket := &hooked{Objects: w.objects}
		bucket.before = func(string, string) {
			if call == at {
				bucket.before = nil
				begin()
			}
			call++
		}
		if _, err := w.collectFrom(bucket, strict(), false); err != nil {
			t.Fatal(err)
		}
		more = call > at
		stored, there := w.stored("scope", "old"), contains(w.wholeVersions(), first)
		if used && (!stored || !there) {
			t.Errorf("a build that began before call %d: its answer is there = %v, its version = %v", at, stored, there)
		}
		if !stored && !there {
			went++
		}
	}
	if waited == 0 || went == 0 {
		t.Errorf("%d builds waited, %d collections came to their end: this proves nothing", waited, went)
	}
}

func TestWhoReadsAVersionWhileItGoesFindsItWholeOrNot(t *testing.T) {
	w, first := twoVersions(t)
	w.ago(0)
	bucket := &hooked{Objects: w.objects, before: func(string, string) { w.wholeVersions() }}
	if _, err := w.collectFrom(bucket, strict(), false); err != nil {
		t.Fatal(err)
	}
	if contains(w.wholeVersions(), first) {
		t.Error("it did not go")
	}
}

// A rollback begins before each call of a collection in turn, goes on until before each of its own calls in turn, and from there once the collection has
// ended.
func TestARollbackAnywhereInACollectionLeadsToAWholeVersionOrIsRefused(t *testing.T) {
	rolled, refused := 0, 0
	past, first := twoVersions(t)
	for at, more := 0, true; more; at++ {
		for until, deeper := 0, true; deeper; until++ {
			w := past.copy()
			w.ago(0)
			var err error
			more, deeper, err = w.rollBackAmid(first, at, until)
			if err == nil {
				rolled++
			} else {
				refused++
			}
			w.wholeVersions()
			latest, _, failed := w.store().Latest(context.Background(), "squad")
			if failed != nil || err == nil && latest.Version != first {
				t.Errorf("rolled back: %v; the latest is %s, %v", err, latest.Version, failed)
			}
			if record, err := w.store().Record(context.Background(), "squad", latest.Version); err != nil || record.Collected != nil {
				t.Errorf("before calls %d and %d: the latest is recorded as %+v, %v", at, until, record, err)
			}
		}
	}
	if rolled == 0 || refused == 0 {
		t.Errorf("%d rollbacks came through, %d were refused: this proves nothing", rolled, refused)
	}
}

// rollBackAmid tells whether the collection has such a call, and whether the rollback has.
func (w *world) rollBackAmid(version string, at, until int) (more, deeper bool, rolledBack error) {
	w.t.Helper()
	there, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	rollback := func() {
		call := 0
		bucket := &hooked{Objects: w.objects, before: func(string, string) {
			if call++; call-1 == until {
				deeper = true
				close(there)
				<-goOn
			}
		}}
		_, err := handoff.Versions{Objects: bucket, Examples: w.store().Examples}.Rollback(context.Background(), handoff.RollbackInput{Task: "squad", Version: version, By: "ada", At: now})
		if !deeper {
			close(there)
		}
		ended <- err
	}
	call := 0
	bucket := &hooked{Objects: w.objects, before: func(string, string) {
		if call++; call-1 == at {
			more = true
			go rollback()
			<-there
		}
	}}
	if _, err := w.collector(bucket, strict(), false).Collect(context.Background(), gc.KindVersions, nil); err != nil {
		w.t.Fatal(err)
	}
	if !more {
		return false, false, rebased.E(rebased.Invalid, "the collection has fewer calls")
	}
	close(goOn)
	return more, deeper, <-ended
}

func TestAMarkThatNobodyRenewsKeepsNoBuild(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ago(time.Hour)
	w.put(rebased.CollectingKey, "{}")
	w.ago(time.Hour - gc.Lapse/2)
	frozen := w.put(rebased.BuildKey("squad", "b1", "task.yaml"), "")
	if waits, err := gc.Waits(ctx, w.objects, frozen); waits == "" || err != nil {
		t.Errorf("%q, %v", waits, err)
	}
	w.ago(time.Hour - gc.Lapse - time.Second)
	w.put(frozen, "")
	if waits, err := gc.Waits(ctx, w.objects, frozen); waits != "" || err != nil {
		t.Errorf("%q, %v", waits, err)
	}
}

func TestACollectionWhoseMarkAnotherHasTakenRemovesNothingMore(t *testing.T) {
	w := newWorld(t)
	w.ago(50 * day)
	for n := range 2 {
		w.ago(time.Duration(50-n) * day)
		w.release("squad", w.stage("squad", "", nil, []string{fmt.Sprint(n)}), "b")
	}
	collector := w.collector(w.objects, strict(), false)
	collector.Running = func(ctx context.Context) (gc.Running, error) { // the other attempt takes over here
		w.put(rebased.CollectingKey, `{"token":"another"}`)
		collector.Lapsed()
		return gc.Running{}, nil
	}
	_, err := collector.Collect(context.Background(), gc.KindVersions, nil)
	if rebased.KindOf(err) != rebased.Unavailable || len(w.wholeVersions()) != 2 {
		t.Errorf("%v, %v", err, w.wholeVersions())
	}
	if !w.has(rebased.CollectingKey) {
		t.Error("it took the other's mark away")
	}
}

func TestACanceledCollectionStopsAtOnceAndLetsBuildsGoOn(t *testing.T) {
	w, _ := twoVersions(t)
	for n := range 500 {
		w.put(rebased.BuildKey("squad", "old", "transformed", rebased.PartName(n)), "x")
	}
	before := len(w.keys(""))
	for _, kind := range []string{gc.KindVersions, gc.KindBuilds} {
		ctx, cancel := context.WithCancel(context.Background())
		removed := 0
		bucket := &hooked{Objects: w.objects, before: func(op, key string) {
			if op == "delete" && key != rebased.CollectingKey {
				cancel()
			}
		}}
		collector := w.collector(bucket, strict(), false)
		collector.Progress = func(rows []gc.Row) { removed = rows[0].Objects }
		if _, err := collector.Collect(ctx, kind, nil); err == nil || ctx.Err() == nil {
			t.Errorf("%s: %v", kind, err)
		}
		cancel()
		if now := len(w.keys("")); before-now > 20 || before-now != removed && removed > 0 {
			t.Errorf("%s: %d objects went, %d were told of", kind, before-now, removed)
		}
		before = len(w.keys(""))
		if w.has(rebased.CollectingKey) {
			t.Errorf("%s: builds still wait", kind)
		}
	}
}
