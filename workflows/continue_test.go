package workflows_test

import (
	"context"
	"errors"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/workflows"
)

func TestABuildWhoseHistoryGrewLongGoesOnAsNewWhereItWas(t *testing.T) {
	whole := newWorld()
	whole.indexed(t, 120)
	want, err := whole.runBuild(t, whole.environment(t), "1", taskYAML)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.indexed(t, 120)
	long := w.environment(t)
	long.SetContinueAsNewSuggested(true)
	_, err = w.runBuild(t, long, "1", taskYAML)
	var next *workflow.ContinueAsNewError
	if !errors.As(err, &next) {
		t.Fatalf("got %v", err)
	}
	var in workflows.BuildInput
	if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &in); err != nil {
		t.Fatal(err)
	}
	retrieved := w.files(t, rebased.BuildKey("numbers", "1", "retrieved"))
	got, err := run[rebased.BuildResult](t, w.environment(t), workflows.BuildID("numbers", "1"), workflows.BuildDatasetName, in)
	if err != nil || got.State != rebased.StateReleased || got.Version != want.Version || got.Retrieved != want.Retrieved || len(retrieved) == 0 {
		t.Errorf("continued: %+v, whole: %+v, %v", got, want, err)
	}
	checkSum(t, got)
}

func TestAnIndexRunWhoseHistoryGrewLongGoesOnAsNew(t *testing.T) {
	w := newWorld()
	w.importRows(t, 120)
	in := workflows.IndexInput{Corpus: "hub", Encoder: "static"}
	long := w.environment(t)
	long.SetContinueAsNewSuggested(true)
	_, err := run[workflows.IndexResult](t, long, workflows.IndexID("hub"), workflows.IndexCorpusName, in)
	var next *workflow.ContinueAsNewError
	if !errors.As(err, &next) {
		t.Fatalf("got %v", err)
	}
	if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &in); err != nil {
		t.Fatal(err)
	}
	got, err := run[workflows.IndexResult](t, w.environment(t), workflows.IndexID("hub"), workflows.IndexCorpusName, in)
	if err != nil || got.Rows != 120 || got.Parts != 3 || got.Cells != 240 {
		t.Errorf("got %+v, %v", got, err)
	}
	again := workflows.IndexInput{Corpus: "hub", Encoder: "static"}
	if got, err = run[workflows.IndexResult](t, w.environment(t), workflows.IndexID("hub"), workflows.IndexCorpusName, again); err != nil || got.Cells != 0 || got.Reused != 3 {
		t.Errorf("a run over an unchanged corpus encoded: %+v, %v", got, err)
	}
}

func TestASmallUpdateOfAnIndexIsOneStepUnlessItFails(t *testing.T) {
	for name, c := range map[string]struct {
		down  error
		steps int
	}{"nothing fails": {nil, 1}, "a write fails": {rebased.E(rebased.Unavailable, "down"), 3}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.indexed(t, 120)
			w.importRows(t, 126)
			w.down["write"] = c.down
			env, steps := w.environment(t), 0
			env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) { steps++ })
			in := workflows.IndexInput{Corpus: "hub", Encoder: "static"}
			got, err := run[workflows.IndexResult](t, env, workflows.IndexID("hub"), workflows.IndexCorpusName, in)
			if err != nil || got.Fresh != 6 || got.Gone != 0 || got.Cells != 12 || got.Rows != 126 || got.Reused != 0 || steps != c.steps {
				t.Errorf("got %+v in %d steps, %v; want 6 rows and 12 cells in %d", got, steps, err, c.steps)
			}
			names, err := w.index.Count(t.Context(), index.Alias("hub", "hash:test:24"))
			if err != nil || names != 126 {
				t.Errorf("the index has %d rows, %v; want 126", names, err)
			}
		})
	}
}
