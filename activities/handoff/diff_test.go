package handoff

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// changedInput is input with a row removed, one added, one changed, and another corpus revision.
func changedInput() Input {
	rows := examples()
	rows[1].Output, rows[1].Answer = "another", "another"
	added := rows[0]
	added.Row, added.Name, added.Input = "row-99", "owner/new", "Where is Graz?"
	in := input()
	in.Revision, in.Retrieved = "fedcba987654", 21
	in.Steps[0].Rejected[rebased.ReasonUnusable] = 3
	in.Rows = parts(append(append(rows[:3:3], rows[4:]...), added), 5)
	return in
}

func TestADiffTellsWhichRowsCameWentAndChanged(t *testing.T) {
	v := versionsOn(mem.NewObjects())
	from, to := VersionRef{"capitals", stage(t, v, input()).Version}, VersionRef{"capitals", stage(t, v, changedInput()).Version}
	d, err := v.Diff(t.Context(), from, to, 5)
	if err != nil {
		t.Fatal(err)
	}
	moved := d.Rows.Moved // the validation split is drawn by content and size
	if want := (RowChanges{From: 12, To: 12, Added: 1, Removed: 1, Changed: 1, Moved: moved, Kept: 10 - moved}); d.Rows != want {
		t.Errorf("got %+v, want %+v", d.Rows, want)
	}
	kinds := map[string]string{}
	for _, s := range d.Samples {
		if s.Change != RowMoved {
			kinds[s.Change] += string(s.Row) + " " + s.Dataset
		}
	}
	if want := map[string]string{RowAdded: "row-99 owner/new", RowRemoved: "row-03 owner/qa_set", RowChanged: "row-01 owner/qa_set"}; !reflect.DeepEqual(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
	if want := []Change{{"owner/new", 0, 1}, {"owner/qa_set", 8, 7}}; !reflect.DeepEqual(d.Sources, want) {
		t.Errorf("got %v, want %v", d.Sources, want)
	}
	if want := []Change{{"unusable_answer", 2, 3}}; !reflect.DeepEqual(d.Reasons, want) {
		t.Errorf("got %v, want %v", d.Reasons, want)
	}
	if want := []ValueChange{{"corpus", "hub 0123456789ab", "hub fedcba987654"}}; !reflect.DeepEqual(d.Values, want) {
		t.Errorf("got %v, want %v", d.Values, want)
	}
}

func TestAVersionDoesNotDifferFromItself(t *testing.T) {
	v := versionsOn(mem.NewObjects())
	ref := VersionRef{"capitals", stage(t, v, input()).Version}
	d, err := v.Diff(t.Context(), ref, ref, 5)
	if err != nil || d.Rows != (RowChanges{From: 12, To: 12, Kept: 12}) || len(d.Samples)+len(d.Sources)+len(d.Reasons)+len(d.Values) > 0 {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := v.Diff(t.Context(), ref, VersionRef{"capitals", "000000000000"}, 5); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("a version that is not there: %v", err)
	}
}

func rollback(version string, minute int) RollbackInput {
	return RollbackInput{Task: "capitals", Version: version, By: "Bob", Reason: "wrong labels", At: decided.Add(time.Duration(minute) * time.Minute)}
}

func TestARollbackMakesTheVersionBeforeTheLatest(t *testing.T) {
	v, a, b := twoVersions(t)
	mustRelease(t, v, release(a, "b1", 0))
	mustRelease(t, v, release(b, "b2", 1))
	replaced, err := v.Rollback(t.Context(), rollback(a, 2))
	if err != nil || replaced != b {
		t.Fatalf("took the place of %s, %v", replaced, err)
	}
	if latest := latestOf(t, v); latest.Version != a || latest.Previous != b || !strings.HasPrefix(latest.Build, "rollback-") {
		t.Errorf("latest is %+v", latest)
	}
	record, err := v.Record(t.Context(), "capitals", b)
	if want := []Rollback{{To: a, By: "Bob", Reason: "wrong labels", At: decided.Add(2 * time.Minute)}}; err != nil || !reflect.DeepEqual(record.RolledBack, want) {
		t.Errorf("got %+v, %v", record.RolledBack, err)
	}
	if record, _ = v.Record(t.Context(), "capitals", a); len(record.Releases) != 2 || record.Releases[1].ApprovedBy != "Bob" || record.Releases[1].Reason != "wrong labels" {
		t.Errorf("got %+v", record.Releases)
	}
}

func TestAVersionThatWasRolledBackWaitsForAPersonUntilItIsReleasedAgain(t *testing.T) {
	v, a, _ := twoVersions(t)
	in := input()
	in.Revision = "fedcba987654"
	b := stage(t, v, in).Version
	mustRelease(t, v, release(a, "b1", 0))
	mustRelease(t, v, release(b, "b2", 1))
	if _, err := v.Rollback(t.Context(), rollback(a, 2)); err != nil {
		t.Fatal(err)
	}
	again := stage(t, v, in)
	if want := "this version was rolled back by Bob on 2026-"; again.Version != b || len(again.Closed) != 1 || !strings.HasPrefix(again.Closed[0], want) || !strings.HasSuffix(again.Closed[0], ": wrong labels") {
		t.Errorf("closed: %q", again.Closed)
	}
	mustRelease(t, v, release(b, "b3", 3))
	mustRelease(t, v, release(a, "b4", 4))
	if again := stage(t, v, in); len(again.Closed) != 0 {
		t.Errorf("a person released it after the rollback, and still: %q", again.Closed)
	}
}

func TestARollbackThatCannotBeIsRefusedAndChangesNothing(t *testing.T) {
	v, a, b := twoVersions(t)
	if _, err := v.Rollback(t.Context(), rollback(a, 1)); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("nothing is released: %v", err)
	}
	mustRelease(t, v, release(b, "b2", 1))
	if err := v.Reject(t.Context(), "capitals", a, Rejection{Build: "b1", By: "Bob", Reason: "thin", At: decided}); err != nil {
		t.Fatal(err)
	}
	before := contents(t, v.Objects, "")
	for name, c := range map[string]struct {
		version string
		kind    rebased.Kind
	}{
		"the latest":     {b, rebased.Conflict},
		"never released": {a, rebased.Conflict},
		"not there":      {"000000000000", rebased.NotFound},
	} {
		if _, err := v.Rollback(t.Context(), rollback(c.version, 2)); rebased.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := contents(t, v.Objects, ""); !reflect.DeepEqual(after, before) {
		t.Error("a refused rollback changed the bucket")
	}
}

func TestARollbackKilledAtAnyCallLeavesEitherVersionAndIsFinishedByTheNext(t *testing.T) {
	two := func() (*mem.Objects, string) {
		objects := mem.NewObjects()
		v := versionsOn(objects)
		changed := input()
		changed.Revision = "fedcba987654"
		a, b := stage(t, v, input()).Version, stage(t, v, changed).Version
		mustRelease(t, v, release(a, "b1", 0))
		mustRelease(t, v, release(b, "b2", 1))
		return objects, a
	}
	objects, _ := two()
	counter := &faulty{Objects: objects, last: 1 << 30}
	replaced := ""
	back := func(objects rebased.Objects, to string) (err error) {
		replaced, err = versionsOn(objects).Rollback(t.Context(), rollback(to, 2))
		return err
	}
	_, to := two()
	if err := back(counter, to); err != nil {
		t.Fatal(err)
	}
	for last := 1; last <= counter.calls; last++ {
		for _, effect := range []bool{false, true} {
			objects, to := two()
			before := contents(t, objects, "")
			if err := back(&faulty{Objects: objects, last: last, effect: effect}, to); rebased.KindOf(err) != rebased.Unavailable {
				t.Fatalf("call %d, effect %v: %v", last, effect, err)
			}
			checkWhole(t, objects)
			if replaced == "" && !reflect.DeepEqual(contents(t, objects, ""), before) {
				t.Errorf("call %d, effect %v: the bucket was changed, and that is not told", last, effect)
			}
			v := versionsOn(objects)
			if latestOf(t, v).Version != to {
				if err := back(objects, to); err != nil {
					t.Fatalf("call %d, effect %v: then %v", last, effect, err)
				}
			}
			changed := input()
			changed.Revision = "fedcba987654"
			if again := stage(t, v, changed); latestOf(t, v).Version != to || len(again.Closed) != 1 {
				t.Fatalf("call %d, effect %v: latest is %s, closed %q", last, effect, latestOf(t, v).Version, again.Closed)
			}
		}
	}
}
