package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// TestABudgetHoldsThroughAKilledWorker gives a build a budget that is too small and kills its worker in the middle: at no time has the teacher billed
// more than the budget. Raised, the build goes on where it was and pays for nothing again but what the kill lost.
func TestABudgetHoldsThroughAKilledWorker(t *testing.T) {
	t.Parallel()
	const budget, inFlight = 60_000, 16
	s, task := demoStack(t, stacktest.Options{Latency: 100 * time.Millisecond}, 500, map[string]any{
		"retrieve":  map[string]any{"rows": 500, "mode": "paper"},
		"transform": map[string]any{"teacher": map[string]any{"max_tokens": 200, "limits": map[string]any{"in_flight": inFlight}}},
		"reason":    map[string]any{"mode": "rationale"},
		"budget":    map[string]any{"tokens": budget},
	})
	started := result(t, must(t, s, "build", "-f", task, "--detach", "--json"))
	waitUntil(t, "a fifth of the budget is spent", func() bool { return statsOf(t, s).number(t, "tokens") > budget/5 })
	s.KillWorker()
	s.StartWorker()
	out, errs, code := s.Run("builds", "watch", started.Build, "--json")
	waiting := result(t, out)
	billed := statsOf(t, s).number(t, "tokens")
	t.Logf("%d tokens billed of %d: %+v", billed, budget, waiting)
	if code != 3 || waiting.State != rebased.StateBudgetExhausted || waiting.CostUSD == 0 {
		t.Errorf("exit status %d, %+v%s", code, waiting, errs)
	}
	if billed > budget || billed < budget/4 { // what the kill lost counts at its bound, some ten times of what it used
		t.Errorf("%d tokens were billed under a budget of %d", billed, budget)
	}
	must(t, s, "builds", "raise-budget", started.Build, "--tokens", strconv.Itoa(100*budget))
	released := result(t, must(t, s, "builds", "watch", started.Build, "--json"))
	checkSum(t, released)
	if released.State != rebased.StateReleased {
		t.Errorf("got %+v", released)
	}
	if again := statsOf(t, s).number(t, "repeated"); again > inFlight {
		t.Errorf("%d calls were paid twice, at most %d were under way at the kill", again, inFlight)
	}
}
