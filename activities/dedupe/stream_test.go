package dedupe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// inOrder is what plain says, in the form of a result without details.
func inOrder(settings rebased.Dedupe, rows []rebased.Example) (kept []string, rejects []string) {
	removed := plain(settings, rows)
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b rebased.Example) int {
		if a.Rank != b.Rank {
			return a.Rank - b.Rank
		}
		return strings.Compare(string(a.Row), string(b.Row))
	})
	for _, e := range rows {
		if of, gone := removed[e.Row]; gone {
			rejects = append(rejects, fmt.Sprint(of, e.Lineage, e.Input, e.Output, e.Usage))
		} else {
			kept = append(kept, fmt.Sprint(e))
		}
	}
	return kept, rejects
}

// cut splits rows at random places, some of the parts empty.
func cut(rng *rand.Rand, rows []rebased.Example) [][]rebased.Example {
	var parts [][]rebased.Example
	for len(rows) > 0 {
		n := min(len(rows), rng.IntN([]int{2, 10, 500}[rng.IntN(3)]))
		parts = append(parts, rows[:n])
		rows = rows[n:]
	}
	return append(parts, nil)
}

func TestHowTheRowsAreSplitAndWhatSpillsDoesNotMatter(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // test data
		settings := rebased.Dedupe{Exact: true, MinHash: []float64{0.5, 0.7, 0.8, 1}[seed%4]}
		rows := planted(seed, 500, 3, 30)
		for i := range rows {
			rows[i].Rank = i / 3 // ranks repeat, so that ids are needed
		}
		kept, rejects := inOrder(settings, rows)
		for _, limit := range []int{1, 40_000, InMemory} {
			files := &memory{parts: cut(rng, shuffled(rng.Uint64(), rows)), open: temporary(t)}
			if err := Rows(t.Context(), Config{Dedupe: settings, Parts: len(files.parts), InMemory: limit}, files); err != nil {
				t.Fatal(err)
			}
			var gotKept, gotRejects []string
			for _, e := range files.Kept {
				gotKept = append(gotKept, fmt.Sprint(e))
			}
			for _, r := range files.Rejects {
				gotRejects = append(gotRejects, fmt.Sprint(r.Reason, r.Of, r.Lineage, r.Input, r.Output, r.Usage))
			}
			if !slices.Equal(gotKept, kept) || !slices.Equal(gotRejects, rejects) {
				t.Errorf("seed %d, %d parts, %d bytes in memory: %d kept and %d rejected, want %d and %d, or in another order",
					seed, len(files.parts), limit, len(gotKept), len(gotRejects), len(kept), len(rejects))
			}
			if spilt := limit < InMemory; files.opened > 1 || spilt != (files.opened == 1) {
				t.Errorf("%d bytes in memory: a scratch file was opened %d times", limit, files.opened)
			}
		}
	}
}

func TestPartsInTheOrderOfTheirRanksAreReadTwiceAndWrittenInPieces(t *testing.T) {
	rows := planted(1, 3500, 3, 20)
	files := &memory{}
	for part := range slices.Chunk(rows, 700) {
		files.parts = append(files.parts, part)
	}
	if err := Rows(t.Context(), Config{Dedupe: defaults, Parts: len(files.parts)}, files); err != nil {
		t.Fatal(err)
	}
	if want := dedupe(t, defaults, rows); fmt.Sprint(files.Result) != fmt.Sprint(want) {
		t.Errorf("%d kept, %d in one part", len(files.Kept), len(want.Kept))
	}
	if files.reads != 2*len(files.parts) || files.largest != PartRows {
		t.Errorf("%d parts were read %d times, the largest written has %d rows", len(files.parts), files.reads, files.largest)
	}
}

// faulty is a scratch file that fails when it is written or read.
type faulty struct{ write, read error }

func (f faulty) Write(p []byte) (int, error)       { return len(p), f.write }
func (f faulty) ReadAt([]byte, int64) (int, error) { return 0, f.read }

func TestAScratchFileThatFailsIsUnavailable(t *testing.T) {
	full := errors.New("no space left on device")
	for name, open := range map[string]func() (Scratch, error){
		"open":  func() (Scratch, error) { return nil, full },
		"write": func() (Scratch, error) { return faulty{write: full}, nil },
		"read":  func() (Scratch, error) { return faulty{read: io.ErrUnexpectedEOF}, nil },
	} {
		files := &memory{parts: [][]rebased.Example{planted(1, 50, 3, 20)}, open: open}
		err := Rows(context.Background(), Config{Dedupe: defaults, Parts: 1, InMemory: 1}, files)
		if rebased.KindOf(err) != rebased.Unavailable {
			t.Errorf("%s: got %v, want Unavailable", name, err)
		}
	}
}

func TestAnIDThatIsNoUUIDIsInvalid(t *testing.T) {
	files := &memory{parts: [][]rebased.Example{{row(0, "a", "b")}}}
	files.parts[0][0].Row = "row-7"
	if err := Rows(t.Context(), Config{Dedupe: defaults, Parts: 1}, files); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

// shrinking gives fewer rows when a part is read again.
type shrinking struct{ memory }

func (s *shrinking) Read(ctx context.Context, n int) ([]rebased.Example, error) {
	rows, err := s.memory.Read(ctx, n)
	return rows[:len(rows)+1-s.reads], err
}

func TestAPartThatChangesMeanwhileIsUnavailable(t *testing.T) {
	files := &shrinking{memory{parts: [][]rebased.Example{planted(1, 20, 3, 20)}}}
	if err := Rows(t.Context(), Config{Dedupe: defaults, Parts: 1}, files); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}
