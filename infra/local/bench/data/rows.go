package main

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
)

// source is the dataset of all rows here.
var source = rebased.DatasetID{Name: "bench/rows", Config: "default", Split: "train"}

// row makes the n-th best row.
func row(n int, input, output string) rebased.Example {
	return rebased.Example{Input: input, Output: output, Answer: rebased.ShortAnswer(output), Lineage: rebased.Lineage{
		DatasetID: source, Row: rebased.NewRowID(source, nil, n), Rank: n, Score: 1 / float32(n+1),
	}}
}

// build is rows to deduplicate, and what became of them.
type build struct {
	parts   func(n int) []rebased.Example
	kept    []rebased.Example
	rejects []rebased.Reject
	count   bool // rows only, nothing is kept
	stayed  int
	scratch []*os.File
}

func inParts(rows []rebased.Example) *build {
	return &build{parts: func(n int) []rebased.Example {
		return rows[n*dedupe.PartRows : min(len(rows), (n+1)*dedupe.PartRows)]
	}}
}

// Read implements dedupe.Files.
func (b *build) Read(_ context.Context, n int) ([]rebased.Example, error) { return b.parts(n), nil }

// Keep implements dedupe.Files.
func (b *build) Keep(_ context.Context, rows []rebased.Example) error {
	if b.stayed += len(rows); !b.count {
		b.kept = append(b.kept, rows...)
	}
	return nil
}

// Reject implements dedupe.Files.
func (b *build) Reject(_ context.Context, rows []rebased.Reject) error {
	if !b.count {
		b.rejects = append(b.rejects, rows...)
	}
	return nil
}

// Removed implements dedupe.Files.
func (*build) Removed(context.Context, []dedupe.Removal) error { return nil }

// Scratch implements dedupe.Files.
func (b *build) Scratch() (dedupe.Scratch, error) {
	file, err := os.CreateTemp("", "rebased-bench-")
	if err != nil {
		return nil, err
	}
	b.scratch = append(b.scratch, file)
	return struct {
		io.Writer
		io.ReaderAt
	}{file, file}, os.Remove(file.Name())
}

// deduplicate goes through rows at the default threshold.
func (b *build) deduplicate(ctx context.Context, rows int) error {
	defer func() {
		for _, file := range b.scratch {
			_ = file.Close() // it has no name any more
		}
	}()
	settings := rebased.DefaultTask().Dedupe
	return dedupe.Rows(ctx, dedupe.Config{Dedupe: settings, Parts: (rows + dedupe.PartRows - 1) / dedupe.PartRows}, b)
}

// threshold is that of near-duplicates.
const threshold = 0.8

// jaccard compares two rows as the documentation says, by code of its own: shingles are texts, not hashes.
func jaccard(a, b *rebased.Example) float64 {
	x, y := shingles(a), shingles(b)
	both := 0
	for s := range x {
		if _, ok := y[s]; ok {
			both++
		}
	}
	return float64(both) / float64(max(1, len(x)+len(y)-both))
}

func shingles(e *rebased.Example) map[string]struct{} {
	const fewest, words, runes = 8, 3, 5
	split := strings.Fields(strings.ToLower(norm.NFKC.String(e.Input + " " + e.Output)))
	set := map[string]struct{}{}
	if len(split) < fewest {
		text := []rune(strings.Join(split, " "))
		for i := range max(1, len(text)-runes+1) {
			set[string(text[i:min(len(text), i+runes)])] = struct{}{}
		}
		return set
	}
	for i := range len(split) - words + 1 {
		set[strings.Join(split[i:i+words], " ")] = struct{}{}
	}
	return set
}

// edited changes a share of a text's pieces: each becomes another one, goes, or gets one beside it.
func edited(random *rand.Rand, pieces []string, share float64, another func() string) []string {
	out := append([]string(nil), pieces...)
	for range max(1, int(share*float64(len(pieces)))) {
		if len(out) < 2 {
			break
		}
		at := random.IntN(len(out))
		switch random.IntN(3) {
		case 0:
			out[at] = another()
		case 1:
			out = append(out[:at], out[at+1:]...)
		default:
			out = append(out[:at+1], append([]string{another()}, out[at+1:]...)...)
		}
	}
	return out
}

// share is of edits: 1 to 10 %.
func share(random *rand.Rand) float64 { return 0.01 + 0.09*random.Float64() }
