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

// TestRowsOfOneMeaningAreFoundByASentenceTransformer needs the folder of one in REBASED_TRANSFORMER, and ORT_DYLIB_PATH.
func TestRowsOfOneMeaningAreFoundByASentenceTransformer(t *testing.T) {
	model := os.Getenv("REBASED_TRANSFORMER")
	if model == "" || os.Getenv("ORT_DYLIB_PATH") == "" {
		t.Skip("REBASED_TRANSFORMER or ORT_DYLIB_PATH is not set: no sentence transformer to encode with")
	}
	s, task := demoStack(t, stacktest.Options{}, 100, map[string]any{
		"dedupe": map[string]any{"semantic": map[string]any{"encoder": "transformer:" + model, "threshold": 0.9}},
	})
	first := result(t, must(t, s, "build", "-f", task, "--json"))
	if first.Rejected[rebased.ReasonSemanticDuplicate] == 0 {
		t.Errorf("nothing was found: %+v", first)
	}
	t.Logf("%v, %s", first.Rejected, first.Detail)
	files := bucketOf(t, s).files(rebased.BuildKey("demo", first.Build, "clusters"))
	for name, body := range files {
		t.Logf("%s\n%.2000s", name, body)
	}
	again := result(t, must(t, s, "build", "-f", task, "--json"))
	if again.State != rebased.StateUnchanged || again.Version != first.Version {
		t.Errorf("%+v, then %+v", first, again)
	}
}
