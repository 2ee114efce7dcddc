package handoff

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// twoVersions stages two versions of one task.
func twoVersions(t testing.TB) (v Versions, a, b string) {
	t.Helper()
	v = versionsOn(mem.NewObjects())
	changed := input()
	changed.Revision = "fedcba987654"
	return v, stage(t, v, input()).Version, stage(t, v, changed).Version
}

func mustRelease(t testing.TB, v Versions, in ReleaseInput) rebased.State {
	t.Helper()
	out, err := v.Release(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.State
}

func latestOf(t testing.TB, v Versions) Latest {
	t.Helper()
	latest, found, err := v.Latest(context.Background(), "capitals")
	if err != nil || !found {
		t.Fatalf("no latest version: %v", err)
	}
	return latest
}

func TestReleaseMakesAVersionTheLatestAndRecordsWhoSaidSo(t *testing.T) {
	ctx := context.Background()
	v, a, b := twoVersions(t)
	if _, found, err := v.Latest(ctx, "capitals"); found || err != nil {
		t.Fatalf("a version is latest before one was released: %v", err)
	}
	for minute, version := range []string{a, b} {
		if state := mustRelease(t, v, release(version, "build-"+version, minute)); state != rebased.StateReleased {
			t.Fatal(state)
		}
	}
	_, sum, err := v.manifest(ctx, "capitals", b)
	if err != nil {
		t.Fatal(err)
	}
	want := Latest{
		Task: "capitals", Version: b, Manifest: "datasets/capitals/" + b + "/manifest.json", ManifestSHA256: sum, Build: "build-" + b,
		ReleasedAt: release(b, "", 1).At, Previous: a,
	}
	if got := latestOf(t, v); got != want {
		t.Errorf("latest is %+v\nwant %+v", got, want)
	}
	record, err := v.Record(ctx, "capitals", a)
	if err != nil || len(record.Releases) != 1 {
		t.Fatalf("%+v, %v", record, err)
	}
	if got, want := record.Releases[0], (Release{Build: "build-" + a, ApprovedBy: "Ada", Reason: "looks right", ReleasedAt: decided}); !reflect.DeepEqual(got, want) {
		t.Errorf("record is %+v\nwant %+v", got, want)
	}
}

func TestReleasingTheLatestVersionAgainChangesNothing(t *testing.T) {
	v, a, _ := twoVersions(t)
	mustRelease(t, v, release(a, "b1", 0))
	before := contents(t, v.Objects, "")
	if state := mustRelease(t, v, release(a, "b2", 60)); state != rebased.StateUnchanged {
		t.Errorf("another build: %s", state)
	}
	if state := mustRelease(t, v, release(a, "b1", 0)); state != rebased.StateReleased {
		t.Errorf("a second attempt of the same build: %s", state)
	}
	if !maps.Equal(before, contents(t, v.Objects, "")) {
		t.Error("something was written")
	}
	if staged := stage(t, v, input()); !staged.Released || staged.Version != a {
		t.Errorf("staging it again gives %s, released %v", staged.Version, staged.Released)
	}
}

func TestTheHandoffsResultIsAddedToTheRecord(t *testing.T) {
	ctx := context.Background()
	v, a, _ := twoVersions(t)
	in := release(a, "b1", 0)
	mustRelease(t, v, in)
	latest := latestOf(t, v)
	in.Handoff = "handoff/capitals/" + a + " run 1"
	mustRelease(t, v, in)
	in.Handoff = ""
	mustRelease(t, v, in) // a late retry of the first call does not take it away
	record, err := v.Record(ctx, "capitals", a)
	if err != nil || len(record.Releases) != 1 || record.Releases[0].Handoff != "handoff/capitals/"+a+" run 1" || record.Releases[0].ApprovedBy != "Ada" {
		t.Errorf("%+v, %v", record, err)
	}
	if latestOf(t, v) != latest {
		t.Error("the latest version changed")
	}
}

func TestAnEarlierVersionCanBeReleasedAgain(t *testing.T) {
	v, a, b := twoVersions(t)
	mustRelease(t, v, release(a, "b1", 0))
	mustRelease(t, v, release(b, "b2", 1))
	mustRelease(t, v, release(a, "b3", 2))
	if latest := latestOf(t, v); latest.Version != a || latest.Previous != b || latest.Build != "b3" {
		t.Errorf("%+v", latest)
	}
	record, err := v.Record(context.Background(), "capitals", a)
	if err != nil || len(record.Releases) != 2 || record.Releases[0].Build != "b1" || record.Releases[1].Build != "b3" {
		t.Errorf("%+v, %v", record, err)
	}
}

func TestALateRetryDoesNotBringAnOldReleaseBack(t *testing.T) {
	v, a, b := twoVersions(t)
	mustRelease(t, v, release(a, "b1", 0))
	mustRelease(t, v, release(b, "b2", 1))
	if state := mustRelease(t, v, release(a, "b1", 0)); state != rebased.StateReleased {
		t.Error(state)
	}
	if latest := latestOf(t, v); latest.Version != b {
		t.Errorf("latest is %+v", latest)
	}
}

func TestReleaseRefusesWhatIsNotThere(t *testing.T) {
	v, a, _ := twoVersions(t)
	for name, c := range map[string]struct {
		in   ReleaseInput
		kind rebased.Kind
	}{
		"no such version": {release("000000000000", "b1", 0), rebased.NotFound},
		"no build":        {release(a, "", 0), rebased.Invalid},
		"no time":         {ReleaseInput{Task: "capitals", Version: a, Build: "b1"}, rebased.Invalid},
	} {
		if _, err := v.Release(context.Background(), c.in); rebased.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := contents(t, v.Objects, rebased.LatestKey("capitals")); len(left) != 0 {
		t.Errorf("wrote %v", left)
	}
}

// gate holds one release at its first read of latest.json until all others have come as far, so that all swap against the same state.
type gate struct {
	rebased.Objects
	all  *sync.WaitGroup
	once sync.Once
}

func (g *gate) Get(ctx context.Context, key string) ([]byte, string, error) {
	body, etag, err := g.Objects.Get(ctx, key)
	if key == rebased.LatestKey("capitals") {
		g.once.Do(func() {
			g.all.Done()
			g.all.Wait()
		})
	}
	return body, etag, err
}

func TestOfConcurrentReleasesTheOneDecidedLastStays(t *testing.T) {
	const releases = 8
	for round := range 10 {
		v := versionsOn(mem.NewObjects())
		versions := make([]string, releases)
		for n := range versions {
			in := input()
			in.Revision = fmt.Sprintf("%012d", n)
			versions[n] = stage(t, v, in).Version
		}
		var all, group sync.WaitGroup
		all.Add(releases)
		for n, version := range versions {
			group.Go(func() {
				held := versionsOn(&gate{Objects: v.Objects, all: &all})
				out, err := held.Release(context.Background(), release(version, "b", n))
				overtaken := n < releases-1 && out.State == rebased.StateSuperseded
				if err != nil || out.State != rebased.StateReleased && !overtaken {
					t.Errorf("round %d, release %d: %s, %v", round, n, out.State, err)
				}
			})
		}
		group.Wait()
		if latest := latestOf(t, v); latest.Version != versions[releases-1] {
			t.Fatalf("round %d: latest is %+v", round, latest)
		}
		for _, version := range versions {
			if record, err := v.Record(context.Background(), "capitals", version); err != nil || len(record.Releases) != 1 {
				t.Errorf("round %d: %+v, %v", round, record, err)
			}
		}
	}
}

func TestTheLoserOfASwapReadsAgain(t *testing.T) {
	for _, c := range []struct {
		name     string
		first    bool // whether another version was the latest before both
		winner   int  // minute of its decision; the loser's is 5
		replaced bool // by the loser, which names it
	}{
		{"decided later, nothing released before", false, 4, true},
		{"decided later", true, 4, true},
		{"decided earlier, nothing released before", false, 6, false},
		{"decided earlier", true, 6, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, a, b := twoVersions(t)
			if c.first {
				in := input()
				in.Revision = "aaaaaaaaaaaa"
				mustRelease(t, v, release(stage(t, v, in).Version, "b0", 0))
			}
			between := func() { mustRelease(t, v, release(a, "b1", c.winner)) }
			mustRelease(t, versionsOn(&interrupter{Objects: v.Objects, between: between}), release(b, "b2", 5))
			latest := latestOf(t, v)
			if c.replaced && (latest.Version != b || latest.Previous != a) || !c.replaced && latest.Version != a {
				t.Errorf("%+v", latest)
			}
		})
	}
}

// interrupter lets something happen between the reading of latest.json and its first write.
type interrupter struct {
	rebased.Objects
	between func()
	once    sync.Once
}

func (i *interrupter) interrupt(key string) {
	if key == rebased.LatestKey("capitals") {
		i.once.Do(i.between)
	}
}

func (i *interrupter) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	i.interrupt(key)
	return i.Objects.PutIfAbsent(ctx, key, body)
}

func (i *interrupter) PutIfMatch(ctx context.Context, key, etag string, body []byte) (string, error) {
	i.interrupt(key)
	return i.Objects.PutIfMatch(ctx, key, etag, body)
}

func (i *interrupter) Put(ctx context.Context, key string, body []byte) (string, error) {
	i.interrupt(key)
	return i.Objects.Put(ctx, key, body)
}

func TestAReleaseThatComesAfterOneDecidedLaterIsSupersededAndRecorded(t *testing.T) {
	v, a, b := twoVersions(t)
	mustRelease(t, v, release(b, "b2", 5))
	if state := mustRelease(t, v, release(a, "b1", 1)); state != rebased.StateSuperseded {
		t.Errorf("the release that lost is %s", state)
	}
	if latest := latestOf(t, v); latest.Version != b {
		t.Errorf("latest is %+v", latest)
	}
	if record, err := v.Record(t.Context(), "capitals", a); err != nil || len(record.Releases) != 1 {
		t.Errorf("%+v, %v", record, err)
	}
}
