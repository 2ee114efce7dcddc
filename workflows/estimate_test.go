package workflows_test

import (
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/workflows"
)

func (w *world) estimate(t *testing.T, id, yaml string) (rebased.Estimate, error) {
	t.Helper()
	in := workflows.EstimateInput{Task: "numbers", TaskKey: w.build(t, yaml).TaskKey}
	return run[rebased.Estimate](t, w.environment(t), workflows.EstimateID("numbers", id), workflows.EstimateName, in)
}

const verifiedYAML = taskYAML + "reason: {mode: verified, samples: 5, agree: 2}\n"

func TestAnEstimateCountsWhatABuildWouldAskAndAsksNothing(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	e, err := w.estimate(t, "1", verifiedYAML)
	if err != nil {
		t.Fatal(err)
	}
	if asked, _ := w.teacher.Asked(); asked > 0 {
		t.Errorf("the teacher was asked %d times", asked)
	}
	if e.Candidates != 60 || e.Model != mem.Model || !e.Priced || len(e.Steps) != 2 {
		t.Fatalf("got %+v", e)
	}
	first, second := e.Steps[0], e.Steps[1]
	if first.Calls != 60 || first.Most != 60 || first.Stored != 0 || second.Calls != 120 || second.Most != 300 {
		t.Errorf("got %+v", e.Steps)
	}
	const maxTokens = 1000
	if first.Bound.OutputTokens != 60*maxTokens || second.Bound.OutputTokens != 300*maxTokens || first.Bound.InputTokens <= 4*first.Tokens.InputTokens-60 {
		t.Errorf("got %+v", e.Steps)
	}
	if want := float64(e.Bound.InputTokens+2*e.Bound.OutputTokens) / 1e12; e.BoundUSD != want || e.CostUSD >= want || e.CostUSD <= 0 {
		t.Errorf("costs %g, at most %g of %g USD", e.CostUSD, e.BoundUSD, want)
	}
	if versions := w.files(t, "datasets/"); len(versions) > 0 {
		t.Errorf("a version was made: %v", versions)
	}
}

func TestWhatIsStoredIsNotInAnEstimate(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	r, err := w.runBuild(t, w.environment(t), "1", verifiedYAML)
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.estimate(t, "2", verifiedYAML)
	if err != nil {
		t.Fatal(err)
	}
	if e.Steps[0].Calls != 0 || e.Steps[1].Calls != 0 || e.CostUSD != 0 || e.BoundUSD != 0 || e.Steps[0].Stored+e.Steps[1].Stored != r.Calls.Made {
		t.Errorf("got %+v after %+v", e, r.Calls)
	}

	more, err := w.estimate(t, "3", taskYAML+"reason: {mode: rationale}\n") // the transforms are there, the rationales are not
	if err != nil {
		t.Fatal(err)
	}
	if more.Steps[0].Calls != 0 || more.Steps[1].Calls != 60-r.Rejected[rebased.ReasonUnusable] || more.Steps[1].Stored != 0 {
		t.Errorf("got %+v after %+v", more.Steps, r.Rejected)
	}
}

func TestAnEstimateCountsTheJudge(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	yaml := verifiedYAML + judgeYAML
	e, err := w.estimate(t, "1", yaml)
	if err != nil || len(e.Steps) != 3 || e.Steps[2].Step != "judge" || e.Steps[2].Calls != 60 || e.Steps[2].Tokens.InputTokens == 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	r, err := w.runBuild(t, w.environment(t), "1", yaml)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.estimate(t, "2", yaml)
	if err != nil || again.Steps[2].Calls != 0 || again.Steps[0].Stored+again.Steps[1].Stored+again.Steps[2].Stored != r.Calls.Made {
		t.Errorf("%+v after %+v, %v", again.Steps, r.Calls, err)
	}
}

func TestABudgetCoversAnEstimateOrNot(t *testing.T) {
	e := rebased.Estimate{BoundUSD: 2, Bound: rebased.Usage{InputTokens: 60, OutputTokens: 40}}
	for _, c := range []struct {
		budget rebased.Budget
		want   bool
	}{
		{rebased.Budget{}, true},
		{rebased.Budget{USD: 2, Tokens: 100}, true},
		{rebased.Budget{USD: 1.9}, false},
		{rebased.Budget{USD: 2, Tokens: 99}, false},
	} {
		e.Budget = c.budget
		if e.Covered() != c.want {
			t.Errorf("%+v: covered is %v", c.budget, e.Covered())
		}
	}
}
