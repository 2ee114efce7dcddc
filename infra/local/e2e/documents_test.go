package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// A folder of plain documents serves a task as datasets do: its passages are found by what they say, and the teacher is shown them whole.
func TestDocumentsBecomeATrainingSet(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "handbook")
	long := strings.Repeat("The keeper winds the clock of the lighthouse at dusk and notes the oil. ", 6) + "The last ship of the season is the Aurora."
	for name, text := range map[string]string{
		"lighthouse.md": "# Lighthouse\n\n## Duties\n\n" + long + "\n\n## Supplies\n\nOil comes by boat every second Tuesday, with bread and letters.\n",
		"garden.html":   "<html><head><title>Garden</title><script>alert(1)</script></head><body><h1>Garden</h1><p>The roses are cut in March, before the first leaves open.</p></body></html>",
		"kitchen.txt":   "Bread is baked on Monday and Thursday.\n\nThe oven is lit at four in the morning with beech wood.\n",
	} {
		if err := os.MkdirAll(folder, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := stacktest.Start(t, stacktest.Options{})
	indexed(t, s, folder)
	task := writeTask(t, map[string]any{
		"name": "handbook", "corpus": "hub", "instruction": "Ask about the text, and answer.",
		"examples":  []any{map[string]any{"input": "When is the oven lit?", "output": "at four"}},
		"transform": map[string]any{"cell_chars": 1500},
	})
	shown := must(t, s, "preview", "-f", task, "-n", "10")
	for _, said := range []string{"The last ship of the season is the Aurora.", "roses are cut in March", "oven is lit at four", `"title": "Lighthouse"`} {
		if !strings.Contains(shown, said) {
			t.Errorf("the teacher is not shown %q:\n%s", said, shown)
		}
	}
	if strings.Contains(shown, "alert(1)") {
		t.Error("a script is taken for text")
	}
	r := result(t, must(t, s, "build", "-f", task, "--json"))
	checkSum(t, r)
	if r.State != rebased.StateReleased || r.Rows == 0 || r.Retrieved < 4 {
		t.Errorf("%+v", r)
	}
}
