package retrieve_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/retrieve"
)

func ranker(t testing.TB, w *indextest.World, idx retrieve.Index) *retrieve.Ranker {
	t.Helper()
	r, err := retrieve.New(retrieve.Config{Index: idx, Encoder: w.Encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ranked is a ranking with the contents of its rows.
type ranked struct {
	retrieve.Ranking
	Candidates []rebased.Candidate
}

// readStep is how many rows are read at once, so that long rankings are read in several steps.
const readStep = 700

func rankAll(t testing.TB, w *indextest.World, idx retrieve.Index, task rebased.Task, corpus rebased.Corpus, record rebased.Index) (out ranked, err error) {
	t.Helper()
	if out.Ranking, err = ranker(t, w, idx).Rank(t.Context(), task, corpus, record, func(int) {}); err != nil {
		return out, err
	}
	for from := 0; from < out.Len(); from += readStep {
		rows, err := out.Read(t.Context(), from, min(from+readStep, out.Len()))
		if err != nil {
			return out, err
		}
		out.Candidates = append(out.Candidates, rows...)
	}
	return out, nil
}

func rank(t testing.TB, w *indextest.World, idx retrieve.Index, task rebased.Task, corpus rebased.Corpus, record rebased.Index) ranked {
	t.Helper()
	out, err := rankAll(t, w, idx, task, corpus, record)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// words are few, so that equal cells and equal scores are many.
const words = "river city question answer true false context passage name number science history game team war music plant cell star law"

// fixture is a random corpus and a task for it.
type fixture struct {
	*indextest.World
	random *rand.Rand
	splits []indextest.Split
	corpus rebased.Corpus
	record rebased.Index
	task   rebased.Task
}

func newFixture(t testing.TB, seed uint64, splits, rows int) *fixture {
	t.Helper()
	f := &fixture{World: indextest.NewWorld(), random: rand.New(rand.NewPCG(seed, 2))}
	for i := range splits {
		f.splits = append(f.splits, f.split(i, 1+f.random.IntN(2*rows/splits)))
	}
	f.corpus = f.Import(t, "hub", "r1", f.splits...)
	f.record = f.Update(t, f.corpus)
	f.task = rebased.DefaultTask()
	f.task.Instruction = f.text(6)
	f.task.Retrieve.Mode = rebased.ModePaper
	for range 1 + f.random.IntN(4) {
		e := rebased.TaskExample{Input: f.text(8), Output: f.text(3)}
		if f.random.IntN(2) == 0 {
			e.Answer = f.text(1)
		}
		f.task.Examples = append(f.task.Examples, e)
	}
	return f
}

// split makes rows of 1 to 5 cells, of which some are empty, some "True" and some rows equal.
func (f *fixture) split(i, rows int) indextest.Split {
	name := fmt.Sprintf("owner%d/set%d", i%3, i/2) // two configurations each
	d := rebased.Dataset{
		DatasetID:   rebased.DatasetID{Name: name, Config: fmt.Sprint("config", i), Split: "train"},
		Description: f.text(f.random.IntN(8)), License: "license of " + name, Revision: "revision of " + name,
	}
	made := make([][]rebased.Cell, rows)
	for r := range made {
		if r > 0 && f.random.IntN(10) == 0 {
			made[r] = made[f.random.IntN(r)]
			continue
		}
		for c := range 1 + f.random.IntN(5) {
			cell := rebased.Cell{Column: fmt.Sprint("column", c), Text: f.text(f.random.IntN(7))}
			if f.random.IntN(4) == 0 {
				cell.Text = "True"
			}
			made[r] = append(made[r], cell)
		}
	}
	return indextest.NewSplit(d, 40, made...)
}

func (f *fixture) text(n int) string {
	vocabulary := strings.Fields(words)
	var chosen []string
	for range n {
		chosen = append(chosen, vocabulary[f.random.IntN(len(vocabulary))])
	}
	return strings.Join(chosen, " ")
}

func (f *fixture) loop(t testing.TB, keep func(name string) bool) []loopRow {
	t.Helper()
	l := &loop{t: t, encoder: f.Encoder, cache: make(map[string][]float32)}
	return l.rank(f.task, f.splits, keep)
}

func all(string) bool { return true }

// rounding is an index whose scores are off by what another order of summation could make, which gives ties in any order, and which counts.
type rounding struct {
	retrieve.Index
	random      *rand.Rand
	noise       float64
	hits, reads int
	asked       []int // datasets of each query
	during      func()
}

func (x *rounding) Query(ctx context.Context, q retrieve.Query) ([]retrieve.Hit, error) {
	if x.during != nil {
		x.during()
	}
	x.asked = append(x.asked, len(q.Datasets))
	limit := q.Limit
	q.Limit = 1 << 30
	hits, err := x.Index.Query(ctx, q)
	if x.noise > 0 {
		for i := range hits {
			hits[i].Score += float32((2*x.random.Float64() - 1) * x.noise)
		}
		x.random.Shuffle(len(hits), func(i, j int) { hits[i], hits[j] = hits[j], hits[i] })
	}
	slices.SortStableFunc(hits, func(a, b retrieve.Hit) int { return cmp.Compare(b.Score, a.Score) })
	hits = hits[:min(limit, len(hits))]
	x.hits += len(hits)
	return hits, err
}

func (x *rounding) Rows(ctx context.Context, collection string, ids []rebased.RowID) (map[rebased.RowID]retrieve.Stored, error) {
	x.reads += len(ids)
	return x.Index.Rows(ctx, collection, ids)
}
