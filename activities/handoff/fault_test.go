package handoff

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// faulty is a bucket whose n-th call is the last that comes back, as for a process that is killed: the call itself takes effect or not.
type faulty struct {
	rebased.Objects
	calls, last int
	effect      bool
}

// fault reports whether this call is lost, and whether it is made all the same.
func (f *faulty) fault() (lost, made bool) {
	f.calls++
	return f.calls >= f.last, f.calls < f.last || f.calls == f.last && f.effect
}

func (f *faulty) do(call func() (string, error)) (string, error) {
	lost, made := f.fault()
	var etag string
	var err error
	if made {
		etag, err = call()
	}
	if lost {
		return "", rebased.E(rebased.Unavailable, "the process ended here")
	}
	return etag, err
}

func (f *faulty) Get(ctx context.Context, key string) (body []byte, etag string, err error) {
	etag, err = f.do(func() (string, error) {
		body, etag, err = f.Objects.Get(ctx, key)
		return etag, err
	})
	return body, etag, err
}

func (f *faulty) Open(ctx context.Context, key string) (body io.ReadCloser, err error) {
	_, err = f.do(func() (string, error) {
		body, err = f.Objects.Open(ctx, key)
		return "", err
	})
	return body, err
}

// CreateIfAbsent can end in the middle of what is written, too.
func (f *faulty) CreateIfAbsent(ctx context.Context, key string, write func(io.Writer) error) error {
	_, err := f.do(func() (string, error) { return "", f.Objects.CreateIfAbsent(ctx, key, write) })
	if err == nil || f.effect {
		return err
	}
	return errors.Join(err, f.Objects.CreateIfAbsent(ctx, key, func(w io.Writer) error {
		_, _ = io.WriteString(w, "the first lines")
		return err
	}))
}

func (f *faulty) Put(ctx context.Context, key string, body []byte) (string, error) {
	return f.do(func() (string, error) { return f.Objects.Put(ctx, key, body) })
}

func (f *faulty) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	return f.do(func() (string, error) { return f.Objects.PutIfAbsent(ctx, key, body) })
}

func (f *faulty) PutIfMatch(ctx context.Context, key, etag string, body []byte) (string, error) {
	return f.do(func() (string, error) { return f.Objects.PutIfMatch(ctx, key, etag, body) })
}

// hand stages and releases, as a build does at its end, a version of several Parquet files.
func hand(v Versions) (rebased.State, error) {
	ctx := context.Background()
	v.limits = limits{rows: 4, text: 1 << 20}
	staged, err := v.Stage(ctx, input())
	if err != nil {
		return "", err
	}
	in := release(staged.Version, "b2", 1)
	out, err := v.Release(ctx, in)
	if err != nil {
		return "", err
	}
	in.Handoff = "started"
	_, err = v.Release(ctx, in)
	return out.State, err
}

// before makes a bucket in which another version is released.
func before(t *testing.T) *mem.Objects {
	objects := mem.NewObjects()
	old := input()
	old.Revision = "fedcba987654"
	mustRelease(t, versionsOn(objects), release(stage(t, versionsOn(objects), old).Version, "b1", 0))
	return objects
}

func TestAHandoffKilledAtAnyCallLeavesTheOldVersionOrTheNewAndIsFinishedByTheNext(t *testing.T) {
	undisturbed := before(t)
	counter := &faulty{Objects: undisturbed, last: 1 << 30}
	if state, err := hand(versionsOn(counter)); err != nil || state != rebased.StateReleased {
		t.Fatal(state, err)
	}
	want := contents(t, undisturbed, "")
	for last := 1; last <= counter.calls; last++ {
		for _, effect := range []bool{false, true} {
			objects := before(t)
			if _, err := hand(versionsOn(&faulty{Objects: objects, last: last, effect: effect})); rebased.KindOf(err) != rebased.Unavailable {
				t.Fatalf("call %d, effect %v: %v", last, effect, err)
			}
			checkWhole(t, objects)
			if state, err := hand(versionsOn(objects)); err != nil || state != rebased.StateReleased {
				t.Fatalf("call %d, effect %v: then %s, %v", last, effect, state, err)
			}
			if got := contents(t, objects, ""); !maps.Equal(got, want) {
				t.Fatalf("call %d, effect %v: another end:\n%v\nwant\n%v", last, effect, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		}
	}
}

// checkWhole checks that what is latest is complete and recorded, and that no version is broken.
func checkWhole(t *testing.T, objects rebased.Objects) {
	t.Helper()
	ctx := context.Background()
	v := versionsOn(objects)
	versions, err := v.List(ctx, "capitals")
	if err != nil {
		t.Fatal(err)
	}
	if latest := latestOf(t, v); !slices.Contains(versions, latest.Version) {
		t.Errorf("latest %s has no manifest", latest.Version)
	} else if _, err := v.Record(ctx, "capitals", latest.Version); err != nil {
		t.Error(err)
	}
	checkFiles(t, objects)
}

// checkFiles checks that every version with a manifest has all that it lists.
func checkFiles(t *testing.T, objects rebased.Objects) {
	t.Helper()
	ctx := context.Background()
	v := versionsOn(objects)
	versions, err := v.List(ctx, "capitals")
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions {
		m, err := v.Manifest(ctx, "capitals", version)
		if err != nil {
			t.Fatal(err)
		}
		there := contents(t, objects, rebased.VersionKey("capitals", version)+"/")
		for _, f := range m.Files {
			body, found := there[rebased.VersionKey("capitals", version, f.Name)]
			if !found || int64(len(body)) != f.Size || f.SHA256 != sha(body) {
				t.Errorf("version %s lists %s, which is not there whole", version, f.Name)
			}
		}
	}
}
