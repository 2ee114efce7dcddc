package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"
)

func TestADeduplicationSplitOverTwoWorkersMakesTheSameVersion(t *testing.T) {
	t.Parallel()
	split := []string{"REBASED_DEDUPE_SHARD_ROWS=1"}
	s, task := demoStack(t, stacktest.Options{Env: split}, 300, map[string]any{"dedupe": map[string]any{"minhash": 0.5, "against": []any{"held.jsonl"}}})
	held := `{"prompt":"Question: Where is the Eiffel Tower? Context: The Eiffel Tower stands in Paris.","completion":"Paris"}` + "\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(task), "held.jsonl"), []byte(held), 0o600); err != nil {
		t.Fatal(err)
	}
	s.StartSecondWorker()
	first := result(t, must(t, s, "build", "-f", task, "--json"))
	history := historyOf(t, s, workflows.BuildID("demo", first.Build))
	record(t, "build-dedupe-sharded.json", history)
	for _, activity := range []string{"DedupePrints", "DedupeGroups", "DedupeRows", "DedupeClean"} {
		if !strings.Contains(string(history), `"`+activity+`"`) {
			t.Errorf("%s did not run", activity)
		}
	}
	s.KillSecondWorker()
	s.KillWorker()
	s.SetEnv("REBASED_DEDUPE_SHARD_ROWS=0", "REBASED_DEDUPE_MEMORY_MIB=1")
	s.StartWorker()
	whole := result(t, must(t, s, "build", "-f", task, "--json"))
	if whole.Version != first.Version || whole.State != rebased.StateUnchanged || len(whole.Rejected) == 0 {
		t.Errorf("split %+v\nwhole %+v", first, whole)
	}
}
