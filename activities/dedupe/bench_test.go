package dedupe

import (
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/porttest"
)

// BenchmarkRows reports rows a CPU second, verification included, and what was found of the planted pairs.
func BenchmarkRows(b *testing.B) {
	for _, c := range []struct {
		name string
		rows []rebased.Example
	}{
		{"100k by word trigrams", planted(7, 100_000, 20, 60)},
		{"100k by character 5-grams", unspaced(planted(7, 100_000, 20, 60))},
	} {
		b.Run(c.name, func(b *testing.B) {
			rows := c.rows
			var result Result
			start := porttest.ProcessorTime(b)
			b.ResetTimer()
			for range b.N {
				result = dedupe(b, rebased.Dedupe{Exact: true, MinHash: 0.8}, rows)
			}
			b.StopTimer()
			b.ReportMetric(float64(len(rows)*b.N)/(porttest.ProcessorTime(b)-start).Seconds(), "rows/cpu-s")
			b.ReportMetric(float64(len(result.Rejects)), "removed")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func BenchmarkSquad(b *testing.B) {
	rows := realRows(b, "squad")
	start := porttest.ProcessorTime(b)
	b.ResetTimer()
	for range b.N {
		dedupe(b, defaults, rows)
	}
	b.ReportMetric(float64(len(rows)*b.N)/(porttest.ProcessorTime(b)-start).Seconds(), "rows/cpu-s")
}
