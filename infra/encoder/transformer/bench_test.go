//go:build unix

package transformer

import (
	"encoding/json"
	"os"
	"runtime"
	"testing"

	"github.com/rebased/rebased/infra/porttest"
)

// BenchmarkEncode reports the texts that a second of processor time encodes, on one thread: those of the JSON list that REBASED_TEXTS names, by
// the model in the folder that REBASED_TRANSFORMER names, as infra/encoder/speed.py does. REBASED_VECTORS names a file that the vectors of the
// texts go to.
func BenchmarkEncode(b *testing.B) {
	list, folder := os.Getenv("REBASED_TEXTS"), os.Getenv("REBASED_TRANSFORMER")
	if list == "" || folder == "" {
		b.Skip("no texts or no model: run infra/encoder/speed.py")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e, err := library(b).Load(os.DirFS(folder))
	if err != nil {
		b.Fatal(err)
	}
	body, err := os.ReadFile(list)
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	if err := json.Unmarshal(body, &texts); err != nil {
		b.Fatal(err)
	}
	var vectors [][]float32
	encoded, before := 0, porttest.ProcessorTime(b)
	for b.Loop() {
		if vectors, err = e.Encode(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
		encoded += len(texts)
	}
	b.ReportMetric(float64(encoded)/(porttest.ProcessorTime(b)-before).Seconds(), "texts/cpu-s")
	b.ReportMetric(porttest.PeakMegabytes(), "MB")
	if name := os.Getenv("REBASED_VECTORS"); name != "" {
		if body, err = json.Marshal(vectors); err == nil {
			err = os.WriteFile(name, body, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
