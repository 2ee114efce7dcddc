package activities

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// known are builds by name; what is not there is not known.
type known map[string]rebased.State

func (k known) Open(context.Context, string) (open []string, err error) {
	for build, state := range k {
		if !state.Final() {
			open = append(open, build)
		}
	}
	return open, nil
}

func (k known) State(_ context.Context, _, build string) (rebased.State, error) {
	if state, ok := k[build]; ok {
		return state, nil
	}
	return "", rebased.E(rebased.NotFound, "no build %s", build)
}

func (known) Supersede(context.Context, string, string, Supersede) (rebased.Progress, error) {
	return rebased.Progress{}, nil
}

func (known) PauseSchedule(context.Context, string, string) error { return nil }

// overtaken is a bucket where another writes first, once.
type overtaken struct {
	rebased.Objects
	other func()
}

func (o *overtaken) overtake() {
	if other := o.other; other != nil {
		o.other = nil
		other()
	}
}

func (o *overtaken) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	o.overtake()
	return o.Objects.PutIfAbsent(ctx, key, body)
}

func (o *overtaken) PutIfMatch(ctx context.Context, key, etag string, body []byte) (string, error) {
	o.overtake()
	return o.Objects.PutIfMatch(ctx, key, etag, body)
}

func (o *overtaken) Put(ctx context.Context, key string, body []byte) (string, error) {
	o.overtake()
	return o.Objects.Put(ctx, key, body)
}

// Of two nights that look at the same moment one has the night, whichever writes first.
func TestTheNightIsTakenByOne(t *testing.T) {
	for _, before := range []string{"", "nightly-0"} {
		builds := known{"nightly-0": rebased.StateReleased, "nightly-1": rebased.StateRunning, "nightly-2": rebased.StateRunning}
		objects := &overtaken{Objects: mem.NewObjects()}
		first, second := &Nights{Objects: objects, Builds: builds}, &Nights{Objects: objects, Builds: builds}
		if before != "" {
			if _, err := first.enter(t.Context(), BuildRef{Task: "squad", Build: before}); err != nil {
				t.Fatal(err)
			}
		}
		objects.other = func() {
			if out, err := second.enter(t.Context(), BuildRef{Task: "squad", Build: "nightly-2"}); err != nil || out.Runs != "" {
				t.Errorf("%+v, %v", out, err)
			}
		}
		out, err := first.enter(t.Context(), BuildRef{Task: "squad", Build: "nightly-1"})
		if err != nil || out.Runs != "nightly-2" {
			t.Errorf("after %q: %+v, %v", before, out, err)
		}
		for range 2 { // a retry of the one that has it
			if out, err := second.enter(t.Context(), BuildRef{Task: "squad", Build: "nightly-2"}); err != nil || out.Runs != "" {
				t.Errorf("%+v, %v", out, err)
			}
		}
	}
}

func TestANightFindsAllThatWaitAndNoneThatIsGone(t *testing.T) {
	objects := mem.NewObjects()
	builds := known{
		"nightly-1": rebased.StatePaused, "nightly-2": rebased.StateAwaitingApproval, "20261126-010203": rebased.StateBudgetExhausted, "nightly-9": rebased.StateRunning,
	}
	body, err := json.Marshal(night{Task: "squad", Build: "nightly-2", Open: []string{"nightly-0", "nightly-1"}}) // nightly-0 is forgotten
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Put(t.Context(), rebased.NightKey("squad"), body); err != nil {
		t.Fatal(err)
	}
	nights := &Nights{Objects: objects, Builds: builds}
	out, err := nights.enter(t.Context(), BuildRef{Task: "squad", Build: "nightly-3"})
	want := []Waiter{{"nightly-1", rebased.StatePaused}, {"nightly-2", rebased.StateAwaitingApproval}, {"20261126-010203", rebased.StateBudgetExhausted}}
	if err != nil || out.Runs != "" || len(out.Waiting) != 3 || out.Waiting[0] != want[0] || out.Waiting[1] != want[1] || out.Waiting[2] != want[2] {
		t.Errorf("%+v, %v", out, err)
	}
	builds["nightly-3"], builds["nightly-1"] = rebased.StateFailed, rebased.StateRunning // a person let it go on
	if out, err := nights.enter(t.Context(), BuildRef{Task: "squad", Build: "nightly-4"}); err != nil || out.Runs != "nightly-1" {
		t.Errorf("%+v, %v", out, err)
	}
	builds["nightly-1"], builds["20261126-010203"] = rebased.StateReleased, rebased.StateRunning
	if out, err := nights.enter(t.Context(), BuildRef{Task: "squad", Build: "nightly-5"}); err != nil || out.Runs != "20261126-010203" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestADamagedNightSaysWhichObjectToRemove(t *testing.T) {
	objects := mem.NewObjects()
	if _, err := objects.Put(t.Context(), rebased.NightKey("squad"), []byte("{")); err != nil {
		t.Fatal(err)
	}
	_, err := (&Nights{Objects: objects, Builds: known{}}).enter(t.Context(), BuildRef{Task: "squad", Build: "nightly-1"})
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "nights/squad.json") {
		t.Errorf("%v", err)
	}
}

func TestANightHearsSinceWhenTheVersionsHaveWaitedWhosePlaceItTakes(t *testing.T) {
	at := time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)
	var out TakeOverResult
	for _, p := range []rebased.Progress{{Version: "a", Since: at}, {Version: "a", Since: at.Add(-time.Hour)}, {Version: "a", Since: at.Add(time.Hour)}, {Version: "b"}} {
		out.waited(p)
	}
	if len(out.Since) != 1 || !out.Since["a"].Equal(at.Add(-time.Hour)) {
		t.Errorf("%v", out.Since)
	}
}

// A night that an older program started, or whose record was removed, is found by its plan: it never enters.
func TestANightThatHasPlannedRunsWhateverTheRecordSays(t *testing.T) {
	builds := known{"nightly-1": rebased.StateRunning, "nightly-2": rebased.StateRunning}
	objects := mem.NewObjects()
	for _, c := range []struct{ night, runs string }{{"nightly-2", ""}, {"nightly-2", "nightly-1"}} {
		n := &Nights{Objects: objects, Builds: builds}
		if out, err := n.enter(t.Context(), BuildRef{Task: "squad", Build: c.night}); err != nil || out.Runs != c.runs {
			t.Errorf("%+v, %v; want %q", out, err, c.runs)
		}
		if _, err := objects.Put(t.Context(), rebased.BuildKey("squad", "nightly-1", "task.yaml"), nil); err != nil {
			t.Fatal(err)
		}
	}
}
