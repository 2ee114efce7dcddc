package retrieve_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
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

func rank(t testing.TB, w *indextest.World, idx retrieve.Index, task rebased.Task, corpus rebased.Corpus, record rebased.Index) retrieve.Ranking {
	t.Helper()
	ranking, err := ranker(t, w, idx).Rank(t.Context(), task, corpus, record, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return ranking
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

const unlimited = 1 << 30

func TestRankEqualsAPlainLoop(t *testing.T) {
	for range 12 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			f := newFixture(t, seed, 1+rand.New(rand.NewPCG(seed, 3)).IntN(30), 1500)
			paper := f.loop(t, all)
			for _, rows := range []int{1, 10, 300, 5000} {
				f.task.Retrieve.Rows = rows
				check(t, rank(t, f.World, f.Index, f.task, f.corpus, f.record), paper, unlimited, rows)
			}
			f.task.Retrieve.Mode = rebased.ModeDiverse
			for _, most := range []int{1, 7, 60} {
				f.task.Retrieve.MaxPerDataset = most
				for _, rows := range []int{5, 200, 5000} {
					f.task.Retrieve.Rows = rows
					check(t, rank(t, f.World, f.Index, f.task, f.corpus, f.record), paper, most, rows)
				}
			}
		})
	}
}

func TestExcludedDatasetsNeverAppear(t *testing.T) {
	f := newFixture(t, 5, 20, 800)
	f.task.Retrieve.Rows = 5000
	for _, c := range []struct {
		globs []string
		keep  func(name string) bool
	}{
		{[]string{"*SET1"}, func(name string) bool { return !strings.HasSuffix(name, "set1") }},
		{[]string{"owner0*"}, func(name string) bool { return !strings.HasPrefix(name, "owner0") }},
		{[]string{"*wner1/s*", "owner2?set7"}, func(name string) bool { return !strings.HasPrefix(name, "owner1") && name != "owner2/set7" }},
		{[]string{"set1", "owner", "owner[12]"}, all},
	} {
		f.task.Retrieve.Exclude = c.globs
		got := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
		check(t, got, f.loop(t, c.keep), unlimited, 5000)
		excluded := 0
		for _, s := range f.splits {
			if !c.keep(s.Name) {
				excluded += s.Rows
			}
		}
		if got.Skipped[retrieve.SkippedExcluded] != excluded {
			t.Errorf("%q: %d rows are said to be excluded, want %d", c.globs, got.Skipped[retrieve.SkippedExcluded], excluded)
		}
	}
	f.task.Retrieve.Exclude = []string{"*"}
	if _, err := ranker(t, f.World, f.Index).Rank(t.Context(), f.task, f.corpus, f.record, func(int) {}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("nothing left: got %v, want Invalid", err)
	}
}

func TestQuotaCountsTheBetterRowsThatItKeptOut(t *testing.T) {
	f := newFixture(t, 6, 6, 300)
	f.task.Retrieve.Mode, f.task.Retrieve.MaxPerDataset, f.task.Retrieve.Rows = rebased.ModeDiverse, 10, 25
	got := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
	paper := f.loop(t, all)
	last := got.Candidates[24]
	better := slices.IndexFunc(paper, func(r loopRow) bool { return r.row.ID == last.ID })
	if want := better + 1 - 25; got.Skipped[retrieve.SkippedQuota] != want {
		t.Errorf("quota kept out %d rows, want %d", got.Skipped[retrieve.SkippedQuota], want)
	}
}

// rounding is an index whose scores are off by what another order of summation could make, which gives ties in any order, and which counts.
type rounding struct {
	retrieve.Index
	random      *rand.Rand
	noise       float64
	hits, reads int
	during      func()
}

func (x *rounding) Query(ctx context.Context, q retrieve.Query) ([]retrieve.Hit, error) {
	if x.during != nil {
		x.during()
	}
	limit := q.Limit
	q.Limit = 1 << 30
	hits, err := x.Index.Query(ctx, q)
	for i := range hits {
		hits[i].Score += float32((2*x.random.Float64() - 1) * x.noise)
	}
	x.random.Shuffle(len(hits), func(i, j int) { hits[i], hits[j] = hits[j], hits[i] })
	slices.SortStableFunc(hits, func(a, b retrieve.Hit) int { return cmp.Compare(b.Score, a.Score) })
	hits = hits[:min(limit, len(hits))]
	x.hits += len(hits)
	return hits, err
}

func (x *rounding) Rows(ctx context.Context, collection string, ids []rebased.RowID) (map[rebased.RowID]retrieve.Stored, error) {
	x.reads += len(ids)
	return x.Index.Rows(ctx, collection, ids)
}

func TestTheServersRoundingDoesNotShow(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := newFixture(t, seed, 12, 1500)
	for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
		f.task.Retrieve.Mode, f.task.Retrieve.MaxPerDataset, f.task.Retrieve.Rows = mode, 50, 200
		want := rank(t, f.World, f.Index, f.task, f.corpus, f.record)
		for range 5 {
			noisy := &rounding{Index: f.Index, random: f.random, noise: 4e-6}
			if got := rank(t, f.World, noisy, f.task, f.corpus, f.record); !reflect.DeepEqual(got.Candidates, want.Candidates) {
				t.Fatalf("mode %s: the ranking depends on the server's rounding", mode)
			}
		}
	}
}

func TestAShortRankingReadsAShortList(t *testing.T) {
	f := newFixture(t, 7, 20, 20_000)
	f.task.Retrieve.Rows = 100
	counting := &rounding{Index: f.Index, random: f.random}
	rank(t, f.World, counting, f.task, f.corpus, f.record)
	rows := 0
	for _, s := range f.splits {
		rows += s.Rows
	}
	if counting.hits > rows/2 || counting.reads > rows/20 {
		t.Errorf("for 100 of %d rows %d hits and %d rows with vectors were read", rows, counting.hits, counting.reads)
	}
}

func TestAFullDatasetIsNotAskedForAnyMore(t *testing.T) {
	f := newFixture(t, 8, 2, 10)
	big := f.split(0, 20_000)
	f.splits = []indextest.Split{big, f.split(2, 300), f.split(4, 300)}
	f.corpus = f.Import(t, "hub", "r2", f.splits...)
	f.record = f.Update(t, f.corpus)
	f.task.Retrieve.Mode, f.task.Retrieve.MaxPerDataset, f.task.Retrieve.Rows = rebased.ModeDiverse, 5, 15
	counting := &rounding{Index: f.Index, random: f.random}
	got := rank(t, f.World, counting, f.task, f.corpus, f.record)
	check(t, got, f.loop(t, all), 5, 15)
	if counting.hits > 5000 {
		t.Errorf("for 15 rows of 3 datasets %d hits were read", counting.hits)
	}
}

func TestAnIndexThatIsBeingUpdatedIsUnavailable(t *testing.T) {
	f := newFixture(t, 9, 4, 100)
	updating := f.record
	updating.Updating = "r2"
	try := func(idx retrieve.Index) error {
		_, err := ranker(t, f.World, idx).Rank(t.Context(), f.task, f.corpus, f.record, func(int) {})
		return err
	}
	f.PutRecord(t, "hub", updating)
	if err := try(f.Index); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("under way: got %v, want Unavailable", err)
	}
	f.PutRecord(t, "hub", f.record)
	if err := try(f.Index); err != nil {
		t.Errorf("over: got %v", err)
	}
	begins := &rounding{Index: f.Index, random: f.random, during: func() { f.PutRecord(t, "hub", updating) }}
	if err := try(begins); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("begins meanwhile: got %v, want Unavailable", err)
	}
	f.PutRecord(t, "hub", f.record)
	moved := f.record
	moved.Revision = "r2"
	ends := &rounding{Index: f.Index, random: f.random, during: func() { f.PutRecord(t, "hub", moved) }}
	if err := try(ends); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("begins and ends meanwhile: got %v, want Unavailable", err)
	}
	if err := try(f.Index); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("holds another revision: got %v, want Invalid", err)
	}
}

func TestWhatDoesNotFitTogetherIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*fixture)
		want  rebased.Kind
	}{
		"index of another encoder":     {func(f *fixture) { f.record.Encoder = "static:other:24" }, rebased.Invalid},
		"corpus that is not indexed":   {func(f *fixture) { f.record.Collection = "none" }, rebased.NotFound},
		"part that the corpus has not": {func(f *fixture) { f.corpus.Parts = nil }, rebased.Invalid},
		"part with other rows": {func(f *fixture) {
			for i := range f.corpus.Parts {
				f.corpus.Parts[i].Key = f.corpus.Parts[len(f.corpus.Parts)-1-i].Key
			}
		}, rebased.Invalid},
		"glob that is none": {func(f *fixture) { f.task.Retrieve.Exclude = []string{"[a"} }, rebased.Invalid},
		"dataset without a description": {func(f *fixture) {
			unknown := append(slices.Clone(f.splits), indextest.NewSplit(rebased.Dataset{DatasetID: rebased.DatasetID{Name: "new"}}, 1))
			f.corpus.Datasets = f.Import(t, "hub", "r9", unknown...).Datasets
		}, rebased.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 10, 4, 100)
			c.spoil(f)
			_, err := ranker(t, f.World, f.Index).Rank(t.Context(), f.task, f.corpus, f.record, func(int) {})
			if rebased.KindOf(err) != c.want {
				t.Errorf("got %v (kind %q), want %q", err, rebased.KindOf(err), c.want)
			}
		})
	}
}

func TestNewNamesTheFieldThatIsMissing(t *testing.T) {
	w := indextest.NewWorld()
	whole := retrieve.Config{Index: w.Index, Encoder: w.Encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects}
	for field, clear := range map[string]func(*retrieve.Config){
		"Index":    func(c *retrieve.Config) { c.Index = nil },
		"Encoder":  func(c *retrieve.Config) { c.Encoder = nil },
		"Rows":     func(c *retrieve.Config) { c.Rows = nil },
		"Datasets": func(c *retrieve.Config) { c.Datasets = nil },
		"Objects":  func(c *retrieve.Config) { c.Objects = nil },
	} {
		c := whole
		clear(&c)
		if _, err := retrieve.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
}
