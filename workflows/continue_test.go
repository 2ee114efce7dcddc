package workflows_test

import (
	"errors"
	"testing"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
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
