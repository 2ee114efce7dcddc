//go:build unix

package static

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkEncode reports the texts of 60 word pieces that a second of processor time encodes, on one goroutine. The texts' words follow
// Zipf's law, so that they touch the table as prose does.
func BenchmarkEncode(b *testing.B) {
	e, err := New()
	if err != nil {
		b.Fatal(err)
	}
	texts := textsOfSixty(e, 100*chunk)
	var used time.Duration
	encoded := 0
	for b.Loop() {
		some := texts[encoded%len(texts):][:chunk] // as many as one goroutine takes at a time
		before := processorTime(b)
		if _, err := e.Encode(b.Context(), some); err != nil {
			b.Fatal(err)
		}
		used += processorTime(b) - before
		encoded += chunk
	}
	b.ReportMetric(float64(encoded)/used.Seconds(), "texts/cpu-s")
}

// textsOfSixty makes texts of words, words of several pieces, and punctuation, 60 word pieces each.
func textsOfSixty(e *Encoder, count int) []string {
	rng := rand.New(rand.NewPCG(1, 2))
	byFrequency := func(v vocabulary) []string {
		return slices.SortedFunc(maps.Keys(v.ids), func(a, b string) int { return int(v.ids[a] - v.ids[b]) })
	}
	first, later := byFrequency(e.tokens.first), byFrequency(e.tokens.later)
	frequentFirst := rand.NewZipf(rng, 1.1, 100, uint64(len(first)-1))
	frequentLater := rand.NewZipf(rng, 1.1, 100, uint64(len(later)-1))
	var s scratch
	pieces := func(text string) int {
		return len(e.tokens.appendIDs(nil, s.text.normalize(text, e.tokens.settings), e.maxTokens))
	}
	out := make([]string, count)
	for i := range out {
		var text strings.Builder
		for pieces(text.String()) < 60 {
			word := first[frequentFirst.Uint64()]
			if rng.IntN(6) == 0 {
				word += later[frequentLater.Uint64()]
			}
			if pieces(text.String()+word+" ") <= 60 {
				text.WriteString(word + " ")
			}
		}
		out[i] = text.String()
	}
	return out
}

// processorTime is what this process has used, so that a busy machine does not change the figure.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
