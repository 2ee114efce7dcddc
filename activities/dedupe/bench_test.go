package dedupe

import (
	"context"
	"slices"
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

// BenchmarkSemantic reports what comparing by meaning costs beside encoding: rows a CPU second of vectors of 384 dimensions that are at hand.
func BenchmarkSemantic(b *testing.B) {
	rows := planted(7, 20_000, 20, 60)
	encoder := wordEncoder{dimensions: 384}
	c := Config{Dedupe: rebased.Dedupe{Semantic: &rebased.Semantic{Threshold: 0.95}}, Encoder: atHand(b, encoder, rows)}
	start := porttest.ProcessorTime(b)
	b.ResetTimer()
	var result Result
	for range b.N {
		result = run(b, c, nil, rows, 1000)
	}
	b.StopTimer()
	b.ReportMetric(float64(len(rows)*b.N)/(porttest.ProcessorTime(b)-start).Seconds(), "rows/cpu-s")
	b.ReportMetric(float64(len(result.Rejects)), "removed")
	b.ReportMetric(0, "ns/op")
}

// known is an encoder that has encoded all it is asked for.
type known struct {
	wordEncoder
	vectors map[string][]float32
}

func atHand(b *testing.B, encoder wordEncoder, rows []rebased.Example) rebased.Encoder {
	b.Helper()
	k := known{encoder, map[string][]float32{}}
	n := newNormaliser()
	for _, e := range rows {
		text := compared(n.text(e.Input), n.text(e.Output))
		vectors, err := encoder.Encode(b.Context(), []string{text})
		if err != nil {
			b.Fatal(err)
		}
		k.vectors[text] = vectors[0]
	}
	return k
}

func (k known) Encode(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = k.vectors[text]
	}
	return out, nil
}

// BenchmarkSharded reports the CPU seconds of each kind of work where it is split over workers, and their sum beside that of one worker alone.
func BenchmarkSharded(b *testing.B) {
	const part, chunk, ranges = 1000, 16, 8
	rows := planted(7, 100_000, 20, 60)
	files := &memory{parts: slices.Collect(slices.Chunk(rows, part)), open: temporary(b)}
	c := Config{Dedupe: defaults}
	for range b.N {
		p := Prints{Store: bucket{}, Ranges: ranges}
		last := porttest.ProcessorTime(b)
		lap := func(what string) {
			now := porttest.ProcessorTime(b)
			b.ReportMetric((now - last).Seconds(), what+"-cpu-s")
			last = now
		}
		for first := 0; first < len(files.parts); first += chunk {
			own := c
			own.Parts = min(chunk, len(files.parts)-first)
			chunks, err := Print(b.Context(), own, p, p.Chunks, func(ctx context.Context, n int) ([]rebased.Example, error) { return files.Read(ctx, first+n) })
			if err != nil {
				b.Fatal(err)
			}
			p.Chunks += chunks
		}
		lap("print")
		for rng := range ranges {
			if err := Group(b.Context(), c, p, rng); err != nil {
				b.Fatal(err)
			}
		}
		lap("group")
		own := c
		own.Parts, own.Prints = len(files.parts), &p
		if err := Rows(b.Context(), own, files); err != nil {
			b.Fatal(err)
		}
		lap("judge")
	}
	b.ReportMetric(0, "ns/op")
}
