package app

import (
	"encoding/json"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster/clustertest"
)

func someEstimate() rebased.Estimate {
	return rebased.Estimate{
		Task: "squad", Corpus: "hub", Revision: "r1", Model: "m\x1b[2J", Candidates: 1500, Target: 1000, Skipped: map[string]int{"quota": 7}, Encoded: 12,
		Steps: []rebased.StepEstimate{
			{Step: "transform", Stored: 500, Calls: 1000, Most: 1000, Tokens: rebased.Usage{InputTokens: 300000, OutputTokens: 50000}, Bound: rebased.Usage{InputTokens: 1200000, OutputTokens: 1000000}},
			{Step: "reason", Calls: 2000, Most: 3000, Tokens: rebased.Usage{InputTokens: 400000, OutputTokens: 240000}, Bound: rebased.Usage{InputTokens: 4000000, OutputTokens: 3000000}},
		},
		Priced: true, CostUSD: 0.25, BoundUSD: 3.5, Budget: rebased.Budget{USD: 3},
	}
}

func TestAnEstimateIsPrinted(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.temporal.Play = func(run *clustertest.Run) { run.End(someEstimate(), nil) }
	status, out, stderr := w.run("estimate", "-f", w.task())
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	want := `squad: 1,500 candidates from hub, revision r1
passed over: 7 quota
encoded by retrieve.rerank, and kept: 12 texts
STEP       STORED  CALLS           TOKENS IN, OUT    AT THEIR BOUND
transform  500     1,000           300,000, 50,000   1,200,000, 1,000,000
reason     0       2,000 to 3,000  400,000, 240,000  4,000,000, 3,000,000
cost: 0.2500 USD by m�[2J, at most 3.5000 USD unless unusable answers are asked for again
all candidates are counted; the build ends when 1,000 rows are good
budget: may run out; the build then waits for rebased builds raise-budget
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	status, out, _ = w.run("estimate", "-f", w.task(), "--json")
	var e rebased.Estimate
	if err := json.Unmarshal([]byte(out), &e); status != 0 || err != nil || e.BoundUSD != 3.5 || len(e.Steps) != 2 {
		t.Errorf("status %d, %v: %s", status, err, out)
	}
}
