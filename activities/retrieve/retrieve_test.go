package retrieve_test

import (
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

func TestRankEqualsAPlainLoop(t *testing.T) {
	for range 12 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			f := newFixture(t, seed, 1+rand.New(rand.NewPCG(seed, 3)).IntN(30), 1500)
			paper := f.loop(t, all)
			for _, rows := range []int{1, 10, 300, 5000} {
				f.task.Retrieve.Rows = rows
				check(t, rank(t, f.World, f.Index, f.task, f.corpus, f.record), paper, rows)
			}
			f.task.Retrieve.Mode = rebased.ModeDiverse
			for _, most := range []int{1, 7, 60} {
				f.task.Retrieve.MaxPerDataset = most
				for _, rows := range []int{5, 200, 5000} {
					f.task.Retrieve.Rows = rows
					checkDiverse(t, rank(t, f.World, f.Index, f.task, f.corpus, f.record), paper, most, rows)
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
		check(t, got, f.loop(t, c.keep), 5000)
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
	if _, err := rankAll(t, f.World, f.Index, f.task, f.corpus, f.record); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("nothing left: got %v, want Invalid", err)
	}
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

func TestThousandsOfEqualRowsComeInTheOrderOfTheirIDs(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := newFixture(t, seed, 1, 1)
	d := f.splits[0].Dataset
	rows := make([][]rebased.Cell, 3000)
	for i := range rows {
		rows[i] = []rebased.Cell{{Column: "answer", Text: []string{"True", "false river"}[f.random.IntN(2)]}}
	}
	f.splits = []indextest.Split{indextest.NewSplit(d, 1000, rows...)}
	f.corpus = f.Import(t, "hub", "r2", f.splits...)
	f.record = f.Update(t, f.corpus)
	f.task.Retrieve.Rows = 2000
	paper := f.loop(t, all)
	for _, noise := range []float64{0, 4e-6} {
		got := rank(t, f.World, &rounding{Index: f.Index, random: f.random, noise: noise}, f.task, f.corpus, f.record)
		check(t, got, paper, 2000)
		for i, c := range got.Candidates {
			if c.ID != paper[i].row.ID {
				t.Fatalf("noise %v: rank %d is %s, want %s", noise, i, c.ID, paper[i].row.ID)
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
	if counting.hits > rows/5 || counting.reads > 300 {
		t.Errorf("for 100 of %d rows %d hits and %d rows with vectors were read", rows, counting.hits, counting.reads)
	}
}

func TestAFullDatasetIsNotAskedForAnyMore(t *testing.T) {
	t.Run("in a band with others", func(t *testing.T) { fullDataset(t, "river city", "river city", "river city") })
	t.Run("in a band of its own", func(t *testing.T) { fullDataset(t, "river city", "law", "law") })
}

func fullDataset(t *testing.T, descriptions ...string) {
	t.Helper()
	f := newFixture(t, 8, 1, 1)
	f.task.Instruction = "river city"
	f.task.Examples = []rebased.TaskExample{{Input: "river city question", Output: "river"}}
	for i, text := range []string{"river city question", "zebra", "quince"} { // the rows of the first are all better than the others
		rows := make([][]rebased.Cell, 5000)
		for r := range rows {
			rows[r] = []rebased.Cell{{Column: "text", Text: fmt.Sprint(text, " ", r)}}
		}
		name := fmt.Sprint("owner/set", i)
		f.splits = append(f.splits[:i], indextest.NewSplit(rebased.Dataset{
			DatasetID: rebased.DatasetID{Name: name}, Description: descriptions[i], License: "license of " + name, Revision: "revision of " + name,
		}, 5000, rows...))
	}
	f.corpus = f.Import(t, "hub", "r2", f.splits...)
	f.record = f.Update(t, f.corpus)
	f.task.Retrieve.Mode, f.task.Retrieve.MaxPerDataset, f.task.Retrieve.Rows = rebased.ModeDiverse, 5, 15
	counting := &rounding{Index: f.Index}
	got := rank(t, f.World, counting, f.task, f.corpus, f.record)
	checkDiverse(t, got, f.loop(t, all), 5, 15)
	if counting.hits > 2000 {
		t.Errorf("for 15 rows of 3 datasets %d hits were read", counting.hits)
	}
	if slices.Contains(counting.asked, 0) {
		t.Errorf("a query asked for no dataset: %v", counting.asked)
	}
}

func TestAnIndexThatIsBeingUpdatedIsUnavailable(t *testing.T) {
	f := newFixture(t, 9, 4, 100)
	updating := f.record
	updating.Updating = "r2"
	try := func(idx retrieve.Index) error {
		_, err := rankAll(t, f.World, idx, f.task, f.corpus, f.record)
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
	if err := try(ends); rebased.KindOf(err) != rebased.Conflict {
		t.Errorf("begins and ends meanwhile: got %v, want Conflict", err)
	}
	f.PutRecord(t, "hub", f.record)
	rebuilt := f.record
	rebuilt.Collection += "-2"
	switches := &rounding{Index: f.Index, random: f.random, during: func() { f.PutRecord(t, "hub", rebuilt) }}
	if err := try(switches); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("rebuilt while it ran: got %v, want Unavailable", err)
	}
	if err := try(f.Index); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("rebuilt since its record was read: got %v, want Unavailable", err)
	}
	f.PutRecord(t, "hub", moved)
	if err := try(f.Index); rebased.KindOf(err) != rebased.Conflict {
		t.Errorf("holds another revision: got %v, want Conflict", err)
	}
}

func TestWhatDoesNotFitTogetherIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*fixture)
		want  rebased.Kind
	}{
		"index of another encoder":     {func(f *fixture) { f.record.Encoder = "static:other:24" }, rebased.Invalid},
		"corpus that is not indexed":   {func(f *fixture) { f.record.Alias = "none" }, rebased.NotFound},
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
			_, err := rankAll(t, f.World, f.Index, f.task, f.corpus, f.record)
			if rebased.KindOf(err) != c.want {
				t.Errorf("got %v (kind %q), want %q", err, rebased.KindOf(err), c.want)
			}
		})
	}
}

func TestNewNamesTheFieldThatIsMissing(t *testing.T) {
	w := indextest.NewWorld()
	whole := retrieve.Config{Index: w.Index, Encoder: w.Encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects}
	for field, drop := range map[string]func(*retrieve.Config){
		"Index":    func(c *retrieve.Config) { c.Index = nil },
		"Encoder":  func(c *retrieve.Config) { c.Encoder = nil },
		"Rows":     func(c *retrieve.Config) { c.Rows = nil },
		"Datasets": func(c *retrieve.Config) { c.Datasets = nil },
		"Objects":  func(c *retrieve.Config) { c.Objects = nil },
	} {
		c := whole
		drop(&c)
		if _, err := retrieve.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
}
