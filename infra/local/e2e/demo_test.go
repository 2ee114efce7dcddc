package e2e

import (
	"maps"
	"testing"

	"github.com/rebased/rebased/infra/local/demo"
)

// demoCorpus writes the demo corpus and gives its folder.
func demoCorpus(t *testing.T) string {
	t.Helper()
	corpus, _, err := demo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return corpus
}

// demoTask writes a small task over corpus hub that retrieves n rows, with changes.
func demoTask(t *testing.T, n int, change map[string]any) string {
	t.Helper()
	task := map[string]any{
		"name": "demo", "corpus": "hub", "instruction": "Answer the question from the context.",
		"examples": []any{map[string]any{
			"input": "Question: Where is the Eiffel Tower? Context: The Eiffel Tower stands in Paris.", "output": "Paris",
		}},
		"retrieve": map[string]any{"rows": n},
	}
	maps.Copy(task, change)
	return writeTask(t, task)
}
