package rebased_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
)

func TestResultOfABuildKeepsItsJSONForm(t *testing.T) {
	counts := rebased.Counts{
		Retrieved: 10, Rows: 7, Rejected: map[rebased.Reason]int{rebased.ReasonDuplicate: 2, rebased.ReasonUnusable: 1}, Skipped: map[string]int{"quota": 4},
		Calls: rebased.Calls{Made: 8, Reused: 2, Failed: 1}, Tokens: rebased.Usage{InputTokens: 100, OutputTokens: 20},
	}
	result := rebased.BuildResult{
		Build: "b1", Task: "squad", Version: "0a1b", State: rebased.StateReleased, CostUSD: 0.25, URI: "s3://b/datasets/squad/0a1b", Seconds: 1.5, Counts: counts,
	}
	const shared = `"retrieved": 10, "rows": 7, "rejected": {"duplicate": 2, "unusable_answer": 1}, "skipped": {"quota": 4},
		"calls": {"made": 8, "reused": 2, "failed": 1}, "tokens": {"input": 100, "output": 20}`
	wantJSON(t, result, `{"build": "b1", "task": "squad", "version": "0a1b", "state": "released", `+shared+`,
		"cost_usd": 0.25, "uri": "s3://b/datasets/squad/0a1b", "seconds": 1.5}`)

	result.Detail = "refused"
	wantJSON(t, result, `{"build": "b1", "task": "squad", "version": "0a1b", "state": "released", `+shared+`,
		"cost_usd": 0.25, "uri": "s3://b/datasets/squad/0a1b", "seconds": 1.5, "detail": "refused"}`)

	wantJSON(t, rebased.Progress{State: rebased.StateRunning, Phase: "transform", ShardsDone: 1, Shards: 6, Counts: counts},
		`{"state": "running", "phase": "transform", "shards_done": 1, "shards": 6, "asked": 0, "to_ask": 0,
		"spent": {"usd": 0, "tokens": 0}, "cap": {"usd": 0, "tokens": 0}, `+shared+`}`)
}

func wantJSON(t *testing.T, value any, want string) {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var got, wanted any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAStateRunsWaitsOrIsFinal(t *testing.T) {
	const runs, waits, final = "runs", "waits", "final"
	for state, want := range map[rebased.State]string{
		rebased.StateRunning: runs, rebased.StateAwaitingApproval: waits, rebased.StatePaused: waits, rebased.StateBudgetExhausted: waits, rebased.StateReleased: final,
		rebased.StateUnchanged: final, rebased.StateRejected: final, rebased.StateFailed: final, rebased.StateCanceled: final,
	} {
		if state.Waits() != (want == waits) || state.Final() != (want == final) {
			t.Errorf("%s: waits %v, final %v; want that it %s", state, state.Waits(), state.Final(), want)
		}
	}
}

func TestCountsAddUp(t *testing.T) {
	if got := (rebased.Usage{InputTokens: 1, OutputTokens: 2}).Add(rebased.Usage{InputTokens: 10, OutputTokens: 20}); got != (rebased.Usage{InputTokens: 11, OutputTokens: 22}) {
		t.Errorf("tokens: %+v", got)
	}
	if got := (rebased.Calls{Made: 1, Reused: 2, Failed: 3}).Add(rebased.Calls{Made: 10, Reused: 20, Failed: 30}); got != (rebased.Calls{Made: 11, Reused: 22, Failed: 33}) {
		t.Errorf("calls: %+v", got)
	}
}
