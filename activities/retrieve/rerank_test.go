package retrieve_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/mem"
)

// finer is another encoder than the fixture's: it reads pairs of letters, not words. It counts what it encodes.
type finer struct {
	indextest.Encoder
	fail func(texts int) error // nil = never

	mu    sync.Mutex
	texts []string
}

func newFiner() *finer { return &finer{Encoder: indextest.Encoder{Size: 40}} }

func (f *finer) Identity() string { return "finer:test:40" }

func (f *finer) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.fail != nil {
		if err := f.fail(len(f.texts)); err != nil {
			return nil, err
		}
	}
	f.texts = append(f.texts, texts...)
	pairs := make([]string, len(texts))
	for i, text := range texts {
		for c := 0; c+1 < len(text); c++ {
			pairs[i] += text[c:c+2] + "x "
		}
	}
	return f.Encoder.Encode(ctx, pairs)
}

// twoStages ranks the fixture's task by two stages, its vectors kept in what is given.
func (f *fixture) twoStages(t testing.TB, better rebased.Encoder, kept retrieve.Vectors, rerank rebased.Rerank) (ranked, error) {
	t.Helper()
	task := f.task
	task.Retrieve.Rerank = &rerank
	r, err := retrieve.New(retrieve.Config{
		Index: f.Index, Encoder: f.Encoder, Rows: f.Rows, Datasets: f.Datasets, Objects: f.Objects, Better: &retrieve.Better{Encoder: better, Vectors: kept},
	})
	if err != nil {
		t.Fatal(err)
	}
	ranking, err := r.Rank(t.Context(), task, f.corpus, f.record, func(int) {})
	if err != nil {
		return ranked{}, err
	}
	out := ranked{Ranking: ranking}
	out.Candidates, err = ranking.Read(t.Context(), 0, ranking.Len())
	return out, err
}

// TestTwoStagesOverAllRowsRankAsTheBetterEncoderAlone holds two stages whose depth is the corpus against one stage on an index that the better
// encoder made.
func TestTwoStagesOverAllRowsRankAsTheBetterEncoderAlone(t *testing.T) {
	for seed := range uint64(6) {
		for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
			t.Run(fmt.Sprint(mode, " ", seed), func(t *testing.T) {
				f := newFixture(t, 100+seed, 6, 300)
				f.task.Retrieve.Mode, f.task.Retrieve.Rows, f.task.Retrieve.MaxPerDataset = mode, 60, 30
				got, err := f.twoStages(t, newFiner(), new(mem.Vectors), rebased.Rerank{Encoder: "finer", Depth: 100_000, Sample: 3})
				if err != nil {
					t.Fatal(err)
				}
				alone := *f.World
				alone.Index, alone.Encoder = new(mem.Index), newFiner()
				want := rank(t, &alone, alone.Index, f.task, f.corpus, alone.Update(t, f.corpus))
				if !slices.EqualFunc(got.Candidates, want.Candidates, func(a, b rebased.Candidate) bool {
					return a.ID == b.ID && a.Scores == b.Scores && a.Rank == b.Rank && slices.Equal(a.Cells, b.Cells)
				}) {
					t.Errorf("the rankings differ: %d rows and %d", len(got.Candidates), len(want.Candidates))
				}
			})
		}
	}
}

func TestWhatWasEncodedIsNotEncodedAgain(t *testing.T) {
	f, kept, encoder := newFixture(t, 7, 6, 400), new(mem.Vectors), newFiner()
	f.task.Retrieve.Rows = 20
	rerank := rebased.Rerank{Encoder: "finer", Depth: 60}
	first, err := f.twoStages(t, encoder, kept, rerank)
	if err != nil {
		t.Fatal(err)
	}
	distinct := slices.Clone(encoder.texts)
	slices.Sort(distinct)
	if first.Encoded == 0 || first.Encoded != len(encoder.texts) || len(slices.Compact(distinct)) != len(encoder.texts) {
		t.Errorf("%d texts encoded, %d are told, %d of them different", len(encoder.texts), first.Encoded, len(distinct))
	}
	encoder.texts = nil
	second, err := f.twoStages(t, encoder, kept, rerank)
	if err != nil {
		t.Fatal(err)
	}
	if len(encoder.texts) != 0 || second.Encoded != 0 {
		t.Errorf("the second build encoded %d texts", len(encoder.texts))
	}
	if !slices.EqualFunc(first.Candidates, second.Candidates, func(a, b rebased.Candidate) bool { return a.ID == b.ID && a.Scores == b.Scores }) {
		t.Error("the second build found other rows")
	}
}

func TestAKilledAttemptKeepsWhatItEncoded(t *testing.T) {
	f, kept, encoder := newFixture(t, 8, 8, 2000), new(mem.Vectors), newFiner()
	f.task.Retrieve.Rows = 100
	rerank := rebased.Rerank{Encoder: "finer", Depth: 1000}
	killed := errors.New("killed")
	encoder.fail = func(texts int) error {
		if texts > 600 {
			return killed
		}
		return nil
	}
	if _, err := f.twoStages(t, encoder, kept, rerank); !errors.Is(err, killed) {
		t.Fatalf("the first attempt: %v", err)
	}
	before := len(encoder.texts)
	encoder.fail = nil
	if _, err := f.twoStages(t, encoder, kept, rerank); err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(encoder.texts)
	slices.Sort(all)
	if again := len(all) - len(slices.Compact(all)); before < 600 || again > 0 {
		t.Errorf("of %d texts that the first attempt encoded, %d were encoded again", before, again)
	}
}

func TestOnlyTheDepthAndTheSampleAreEncoded(t *testing.T) {
	f, encoder := newFixture(t, 9, 10, 3000), newFiner()
	f.task.Retrieve.Rows = 10
	got, err := f.twoStages(t, encoder, new(mem.Vectors), rebased.Rerank{Encoder: "finer", Depth: 10, Sample: 2})
	if err != nil {
		t.Fatal(err)
	}
	rows := 2*10 + 2*5 // ten splits make five names; as many again may repeat
	if most := 5*rows + 1 + 2*len(f.task.Examples) + len(f.splits); len(got.Candidates) != 10 || len(encoder.texts) > most {
		t.Errorf("%d rows, %d texts encoded; want 10, and at most %d", len(got.Candidates), len(encoder.texts), most)
	}
}

func TestAnIndexThatCannotRankInTwoStagesSaysSo(t *testing.T) {
	f := newFixture(t, 10, 4, 50)
	f.task.Retrieve.Rerank = &rebased.Rerank{Encoder: "finer"}
	if _, err := rankAll(t, f.World, f.Index, f.task, f.corpus, f.record); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
	broken := new(mem.Vectors)
	if err := broken.Keep(t.Context(), "finer:test:40", map[rebased.TextKey][]float32{rebased.NewTextKey(f.task.Instruction): {1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.twoStages(t, newFiner(), broken, rebased.Rerank{}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("vectors of another length: got %v, want Invalid", err)
	}
}

func TestAFrequentCellDoesNotDecideInTwoStagesEither(t *testing.T) {
	f := corpusOf(t, map[string][][]string{
		"common": {{"a cell about nothing in particular", "music plant and law"}},
		"other":  {{"another cell about nothing", "law of rivers"}},
	})
	deciding := func() string {
		got, err := f.twoStages(t, newFiner(), new(mem.Vectors), rebased.Rerank{Encoder: "finer", Depth: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.Candidates {
			if c.Dataset.Name == "common" {
				return c.OutColumn
			}
		}
		return "none: the row is missing"
	}
	if got := deciding(); got != "common1" {
		t.Errorf("cell %s decides, want common1", got)
	}
	f.corpus.Parts[0].Frequent = []string{fmt.Sprintf("%016x", rebased.TextHash("Music plant  and law"))}
	if got := deciding(); got != "common0" {
		t.Errorf("cell %s decides where common1 is frequent, want common0", got)
	}
}
