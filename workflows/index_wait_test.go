package workflows_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/rebased/rebased"
)

// changeIndex changes the record of the only index.
func (w *world) changeIndex(t *testing.T, change func(*rebased.Index)) {
	t.Helper()
	for object, err := range w.objects.List(t.Context(), rebased.CorpusIndexPrefix("hub")) {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := w.objects.Get(t.Context(), object.Key)
		if err != nil {
			t.Fatal(err)
		}
		var record rebased.Index
		if err := json.Unmarshal(body, &record); err != nil {
			t.Fatal(err)
		}
		change(&record)
		if body, err = json.Marshal(record); err != nil {
			t.Fatal(err)
		}
		if _, err := w.objects.Put(t.Context(), object.Key, body); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABuildWaitsForTheUpdateOfItsIndexHoweverLong(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.changeIndex(t, func(r *rebased.Index) { r.Updating = "r2" })
	env := w.environment(t)
	env.RegisterDelayedCallback(func() {
		if p := progressOf(t, env); p.State != rebased.StateRunning || p.Phase != "plan" || !strings.Contains(p.Detail, "is being updated") {
			t.Errorf("while it waits: %+v", p)
		}
		w.changeIndex(t, func(r *rebased.Index) { r.Updating = "" })
	}, 3*time.Hour)
	r, err := w.runBuild(t, env, "1", taskYAML)
	if err != nil || r.State != rebased.StateReleased || r.Detail != "" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestABuildWhoseIndexMovesOnIsPlannedAgain(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	want, err := w.runBuild(t, w.environment(t), "1", taskYAML)
	if err != nil {
		t.Fatal(err)
	}
	env := w.environment(t)
	var held string
	ranks := 0
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		switch {
		case info.ActivityType.Name == "Rank" && ranks == 0:
			ranks++
			w.changeIndex(t, func(r *rebased.Index) { held, r.Revision = r.Revision, "another" })
		case info.ActivityType.Name == "Check" && held != "":
			w.changeIndex(t, func(r *rebased.Index) { r.Revision = held })
		}
	})
	r, err := w.runBuild(t, env, "2", taskYAML)
	if err != nil || r.State != rebased.StateUnchanged || r.Version != want.Version || held == "" {
		t.Errorf("got %+v, %v; before %+v", r, err, want)
	}
}

func TestAnEstimateDoesNotWaitForAnIndex(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.changeIndex(t, func(r *rebased.Index) { r.Updating = "r2" })
	if _, err := w.estimate(t, "1", taskYAML); err == nil || !strings.Contains(err.Error(), "is being updated") {
		t.Errorf("got %v", err)
	}
}
