package pricing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/pricing"
)

const openAI = "https://api.openai.com/v1"

func open(t *testing.T, content string) (*pricing.Table, error) {
	t.Helper()
	if content == "" {
		return pricing.Open("")
	}
	file := filepath.Join(t.TempDir(), "prices.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return pricing.Open(file)
}

func TestAModelHasThePriceOfItsEndpointAndItsSnapshotsHaveItToo(t *testing.T) {
	table, err := open(t, "")
	if err != nil {
		t.Fatal(err)
	}
	mini := rebased.Price{Input: 150_000, Output: 600_000, CacheRead: 75_000, CacheWrite: 150_000, Batch: 500}
	for _, c := range []struct {
		endpoint, model string
		want            rebased.Price
		known           bool
	}{
		{openAI, "gpt-4o-mini", mini, true},
		{openAI, "gpt-4o-mini-2024-07-18", mini, true},
		{openAI, "gpt-4o-mini-2024", rebased.Price{}, false},
		{openAI, "gpt-4o-minimal", rebased.Price{}, false},
		{openAI, "", rebased.Price{}, false},
		{"http://localhost:8000/v1", "gpt-4o-mini", rebased.Price{}, false},
		{"http://127.0.0.1:7236/v1", "rebased-demo-teacher", rebased.Price{Input: 150_000, Output: 600_000, CacheRead: 150_000, CacheWrite: 150_000, Batch: 500}, true},
		{"https://api.anthropic.com", "claude-haiku-4-5", rebased.Price{Input: 1_000_000, Output: 5_000_000, CacheRead: 100_000, CacheWrite: 1_250_000, Batch: 500}, true},
		{openAI, "gpt-3.5-turbo", rebased.Price{Input: 500_000, Output: 1_500_000, CacheRead: 500_000, CacheWrite: 500_000, Batch: 1000}, true},
	} {
		if got, known := table.Price(c.endpoint, c.model); got != c.want || known != c.known {
			t.Errorf("%s at %s: %+v, %v, want %+v, %v", c.model, c.endpoint, got, known, c.want, c.known)
		}
	}
	if dated, _ := table.Price(openAI, "gpt-4o-2024-05-13"); dated.Input != 5_000_000 {
		t.Errorf("a snapshot that is listed itself costs %d picodollars a token", dated.Input)
	}
}

func TestTheOperatorsFileComesFirst(t *testing.T) {
	table, err := open(t, "- endpoint: \"*\"\n  models:\n    gpt-4o-mini: {input: 0.000001, output: 7, cache_write: 2, batch: 0.25}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := rebased.Price{Input: 1, Output: 7_000_000, CacheRead: 1, CacheWrite: 2_000_000, Batch: 250}
	if got, _ := table.Price("http://localhost:8000/v1", "gpt-4o-mini"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, known := table.Price(openAI, "gpt-4o"); !known {
		t.Error("the built-in table is gone")
	}
}

func TestAWrongFileIsRefusedByName(t *testing.T) {
	for content, says := range map[string]string{
		"- models: {m: {input: 1, output: 1}}":                              "has no endpoint",
		"- endpoint: \"*\"\n  models: {m: {input: 1}}":                      "m needs input and output",
		"- endpoint: \"*\"\n  models: {m: {input: -1, output: 1}}":          "between 0 and",
		"- endpoint: \"*\"\n  models: {m: {input: 1e9, output: 1}}":         "between 0 and",
		"- endpoint: \"*\"\n  models: {m: {input: 0.0000001, output: 1}}":   "more than six decimals",
		"- endpoint: \"*\"\n  models: {m: {input: one, output: 1}}":         "between 0 and",
		"- endpoint: \"*\"\n  models: {m: {input: 1, output: 1, price: 1}}": "price",
		"- endpoint: \"*\"\n  batch: 1.5\n  models: {}":                     "a part of the price",
		"- endpoint: \"*\"\n  batch: 0.3333\n  models: {}":                  "more than three decimals",
		"model: 1":                        "price table",
		"# " + strings.Repeat("x", 1<<20): "at most",
	} {
		_, err := open(t, content)
		if err == nil || rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "prices.yaml") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: want one line that says %q, got %v", content, says, err)
		}
	}
	if _, err := pricing.Open(filepath.Join(t.TempDir(), "none.yaml")); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("a file that is not there: %v", err)
	}
}
