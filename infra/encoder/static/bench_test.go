//go:build unix

package static_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/encoder/static"
	"github.com/rebased/rebased/infra/porttest"
)

// BenchmarkEncode reports the texts that a second of processor time encodes, on one goroutine: those of the JSON list that REBASED_TEXTS
// names, as infra/encoder/speed.py does, or the golden ones.
func BenchmarkEncode(b *testing.B) {
	e, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	texts := benchTexts(b)
	var used time.Duration
	encoded := 0
	for b.Loop() {
		from := encoded % (len(texts) - chunk)
		before := porttest.ProcessorTime(b)
		if _, err := e.Encode(b.Context(), texts[from:from+chunk]); err != nil {
			b.Fatal(err)
		}
		used += porttest.ProcessorTime(b) - before
		encoded += chunk
	}
	b.ReportMetric(float64(encoded)/used.Seconds(), "texts/cpu-s")
	b.ReportMetric(porttest.PeakMegabytes(), "MB")
}

// chunk is as many texts as one goroutine takes at a time.
const chunk = 64

func benchTexts(b *testing.B) (texts []string) {
	b.Helper()
	name := os.Getenv("REBASED_TEXTS")
	if name == "" {
		texts, _ = golden(b)
		return texts
	}
	body, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(body, &texts); err != nil || len(texts) <= chunk {
		b.Fatalf("%s: %v, or too few texts", name, err)
	}
	return texts
}
