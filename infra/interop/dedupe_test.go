package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
)

// TestDedupe deduplicates rows with planted repeats and writes into REBASED_DEDUPE, a folder, what dedupe_check.py needs to judge it: the rows, and what
// was removed for what.
func TestDedupe(t *testing.T) {
	folder := os.Getenv("REBASED_DEDUPE")
	if folder == "" {
		t.Skip("REBASED_DEDUPE is not set: no folder to write rows to")
	}
	rows := plantedRows(20_000)
	files := &dedupeFiles{parts: slices.Collect(slices.Chunk(rows, 1000))}
	config := dedupe.Config{Dedupe: rebased.DefaultTask().Dedupe, Parts: len(files.parts), InMemory: 1 << 30}
	if err := dedupe.Rows(t.Context(), config, files); err != nil {
		t.Fatal(err)
	}
	if len(files.removals) < 100 {
		t.Errorf("only %d rows were removed", len(files.removals))
	}
	jsonl(t, filepath.Join(folder, "rows.jsonl"), rows)
	jsonl(t, filepath.Join(folder, "removals.jsonl"), files.removals)
}

// plantedRows makes rows of random words, long and short ones. A tenth are an earlier row with up to a tenth of its words replaced, in other letters.
func plantedRows(n int) []rebased.Example {
	rng := rand.New(rand.NewPCG(11, 4))
	word := func() string { return fmt.Sprintf("Wört%d", rng.IntN(5000)) }
	rows := make([]rebased.Example, 0, n)
	for i := range n {
		e := rebased.Example{Output: word()}
		var words []string
		if i > 10 && rng.IntN(10) == 0 {
			of := rows[rng.IntN(i)]
			words, e.Output = strings.Fields(of.Input), strings.ToUpper(of.Output)
			for range rng.IntN(len(words)/10 + 1) {
				words[rng.IntN(len(words))] = word()
			}
		} else {
			for range []int{3, 20, 60}[rng.IntN(3)] {
				words = append(words, word())
			}
		}
		e.Input = strings.Join(words, []string{" ", "  "}[rng.IntN(2)])
		e.Row = rebased.RowID(fmt.Sprintf("00000000-0000-8000-8000-%012d", i))
		e.Rank, e.Score = i, float32(rng.IntN(50))/50
		rows = append(rows, e)
	}
	return rows
}

func jsonl[T any](t *testing.T, path string, values []T) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	encoder := json.NewEncoder(file)
	for _, v := range values {
		if err := encoder.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// dedupeFiles is rows in memory, and what was removed.
type dedupeFiles struct {
	parts    [][]rebased.Example
	removals []dedupe.Removal
}

func (f *dedupeFiles) Read(_ context.Context, n int) ([]rebased.Example, error) {
	return slices.Clone(f.parts[n]), nil
}

func (*dedupeFiles) Keep(context.Context, []rebased.Example) error  { return nil }
func (*dedupeFiles) Reject(context.Context, []rebased.Reject) error { return nil }

func (f *dedupeFiles) Removed(_ context.Context, removals []dedupe.Removal) error {
	f.removals = append(f.removals, removals...)
	return nil
}

func (*dedupeFiles) Scratch() (dedupe.Scratch, error) {
	return nil, errors.New("the rows fit in memory")
}
