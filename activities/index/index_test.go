package index_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/infra/mem"
)

func TestARunEndsWithEveryRowInTheIndex(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 25), split("b", 7))
	record := w.begin(t, corpus)
	want := rebased.Index{Collection: index.Collection("hub", "hash:test:24"), Encoder: "hash:test:24", Dimensions: 24, Updating: "r1"}
	if record != want {
		t.Errorf("Begin gave %+v, want %+v", record, want)
	}
	cells := 0
	for _, part := range corpus.Parts {
		cells += w.part(t, record, part).Cells
	}
	if cells != 2*32 {
		t.Errorf("%d cells were written, want 64", cells)
	}
	want.Revision, want.Updating = "r1", ""
	if got := w.finish(t, corpus); got != want {
		t.Errorf("Finish gave %+v, want %+v", got, want)
	}
	if n := w.count(t, record); n != 32 {
		t.Errorf("the index has %d points, want 32", n)
	}
	descriptions, err := w.Index.Descriptions(t.Context(), record.Collection, []rebased.DatasetID{dataset("a").DatasetID, dataset("b").DatasetID})
	if err != nil || len(descriptions) != 2 {
		t.Errorf("%d descriptions, %v; want 2", len(descriptions), err)
	}
}

func TestEqualCellsAreEncodedOnce(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 10))
	w.part(t, w.begin(t, corpus), corpus.Parts[0])
	if len(w.encoder.texts) != 11 {
		t.Errorf("%d texts were encoded, want 10 questions and one answer: %q", len(w.encoder.texts), w.encoder.texts)
	}
}

func TestASecondRunEncodesNothingThatIsUnchanged(t *testing.T) {
	w := newWorld()
	first := w.Import(t, "hub", "r1", split("a", 20), split("b", 10))
	w.Update(t, first)
	w.encoder.texts = nil

	if record := w.begin(t, first); record.Updating != "" || record.Revision != "r1" {
		t.Errorf("Begin of the revision that is indexed gave %+v", record)
	}
	second := w.Import(t, "hub", "r2", split("a", 20), split("c", 10))
	record := w.begin(t, second)
	for _, part := range second.Parts {
		if result := w.part(t, record, part); result.Reused != (part.Dataset.Name == "a") || result.Rows != 10 {
			t.Errorf("part of %s: %+v", part.Dataset.Name, result)
		}
	}
	for _, text := range w.encoder.texts {
		if strings.HasPrefix(text, "a ") {
			t.Errorf("%q was encoded again", text)
		}
	}
	w.finish(t, second)
	if n := w.count(t, record); n != 30 {
		t.Errorf("the index has %d points, want 30: those of b should be gone", n)
	}
}

func TestAPartKilledInTheMiddleIsFinishedByTheNextAttempt(t *testing.T) {
	w := newWorld()
	rows := make([][]rebased.Cell, 1200) // three batches
	for i := range rows {
		rows[i] = []rebased.Cell{{Column: "text", Text: fmt.Sprint("row ", i)}}
	}
	corpus := w.Import(t, "hub", "r1", indextest.NewSplit(dataset("a"), 2000, rows...))
	record := w.begin(t, corpus)
	w.writer.fail = func() error {
		if w.writer.upserts == 1 {
			return errors.New("killed")
		}
		return nil
	}
	stood := 0
	if _, err := w.indexer(t).Part(t.Context(), record, corpus.Parts[0], 0, func(n int) { stood = n }); err == nil {
		t.Fatal("the write that fails went unseen")
	}
	if stood != 512 {
		t.Fatalf("the first attempt stood at row %d, want 512", stood)
	}
	if _, err := w.indexer(t).Finish(t.Context(), corpus); rebased.KindOf(err) != rebased.Conflict {
		t.Errorf("Finish of a corpus that is half indexed: got %v, want Conflict", err)
	}
	w.writer.fail = nil
	w.encoder.texts = nil
	result, err := w.indexer(t).Part(t.Context(), record, corpus.Parts[0], stood, func(n int) { stood = n })
	if err != nil {
		t.Fatal(err)
	}
	if result.Reused || result.Cells != 1200-512 || len(w.encoder.texts) != 1200-512 || stood != 1200 {
		t.Errorf("the second attempt: %+v, %d texts, at row %d", result, len(w.encoder.texts), stood)
	}
	if !w.part(t, record, corpus.Parts[0]).Reused {
		t.Error("a part that is wholly indexed was indexed again")
	}
	w.finish(t, corpus)
}

func TestRowsThatMoveBetweenPartsStayInTheIndex(t *testing.T) {
	w := newWorld()
	w.Update(t, w.Import(t, "hub", "r1", split("a", 25)))
	grown := w.Import(t, "hub", "r2", split("a", 28)) // the third part has five rows more than before
	w.Update(t, grown)
	record := w.begin(t, grown)
	if n := w.count(t, record); n != 28 {
		t.Errorf("the index has %d points, want 28", n)
	}
	for _, part := range grown.Parts {
		if !w.part(t, record, part).Reused {
			t.Errorf("part %s is not whole", part.Key)
		}
	}
}

func TestCellsWithoutATokenHaveNoVector(t *testing.T) {
	w := newWorld()
	cells := []rebased.Cell{{Column: "a", Text: ""}, {Column: "b", Text: "words"}, {Column: "c", Text: "--"}, {Column: "d", Text: "more words"}}
	s := indextest.NewSplit(dataset("a"), 10, cells, []rebased.Cell{{Column: "a", Text: "  "}}, nil)
	corpus := w.Import(t, "hub", "r1", s)
	record := w.begin(t, corpus)
	result := w.part(t, record, corpus.Parts[0])
	if result != (index.PartResult{Rows: 3, Cells: 2, Blank: 2}) {
		t.Errorf("got %+v", result)
	}
	got := w.stored(t, record, s.Parts[0][0].ID)
	if !slices.Equal(got.Cells, []int{1, 3}) || !slices.Equal(got.Letters, []int{5, 9}) ||
		!slices.Equal(got.Hashes, []uint64{rebased.TextHash("words"), rebased.TextHash("more words")}) {
		t.Errorf("got cells %v with %v letters, hashes %x", got.Cells, got.Letters, got.Hashes)
	}
	if !w.part(t, record, corpus.Parts[0]).Reused {
		t.Error("a part with blank rows is never seen as whole")
	}
	w.finish(t, corpus)
}

func TestLongCellsAreCutBetweenRunes(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", indextest.NewSplit(dataset("a"), 10,
		[]rebased.Cell{{Column: "a", Text: strings.Repeat("é", 3000)}},
		[]rebased.Cell{{Column: "a", Text: "x" + strings.Repeat("é", 3000)}},
		[]rebased.Cell{{Column: "a", Text: "\xff" + strings.Repeat("\x80", 5000)}}))
	w.part(t, w.begin(t, corpus), corpus.Parts[0])
	var lengths []int
	for _, text := range w.encoder.texts {
		lengths = append(lengths, len(text))
	}
	if !slices.Equal(lengths[:2], []int{4000, 3999}) || lengths[2] > 4000 {
		t.Errorf("texts of %v bytes were encoded, want 4000, 3999 and at most 4000", lengths)
	}
}

func TestWritesStayWithinTheirBounds(t *testing.T) {
	w := newWorld()
	wide := make([]rebased.Cell, 20_000) // 1.9 MB of vectors
	for i := range wide {
		wide[i] = rebased.Cell{Column: fmt.Sprint("c", i), Text: "same"}
	}
	rows := make([][]rebased.Cell, 10)
	for i := range rows {
		rows[i] = wide
	}
	rows[3] = make([]rebased.Cell, 60_000) // more than one point can have
	for i := range rows[3] {
		rows[3][i] = rebased.Cell{Column: fmt.Sprint("c", i), Text: "same"}
	}
	s := indextest.NewSplit(dataset("a"), 100, rows...)
	corpus := w.Import(t, "hub", "r1", s)
	record := w.begin(t, corpus)
	w.part(t, record, corpus.Parts[0])
	if w.writer.upserts != 3 { // 19 to 22 MB in messages of at most 8
		t.Errorf("%d writes, want 3", w.writer.upserts)
	}
	if n := len(w.stored(t, record, s.Parts[0][3].ID).Vectors); n != (1<<20-1)/24 {
		t.Errorf("a row of 60000 cells has %d vectors, want %d", n, (1<<20-1)/24)
	}
}

func TestOnlyTheRunThatBeganCanFinish(t *testing.T) {
	w := newWorld()
	first, second := w.Import(t, "hub", "r1", split("a", 10)), w.Import(t, "hub", "r2", split("a", 12))
	record := w.begin(t, first)
	for _, part := range first.Parts {
		w.part(t, record, part)
	}
	w.begin(t, second) // takes over
	if _, err := w.indexer(t).Finish(t.Context(), first); rebased.KindOf(err) != rebased.Conflict {
		t.Errorf("got %v, want Conflict", err)
	}
	w.Update(t, second)
	if again := w.finish(t, second); again.Revision != "r2" || again.Updating != "" {
		t.Errorf("Finish once more gave %+v", again)
	}
}

func TestAnIndexWhoseServerLostItsDataIsMadeAgain(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 20))
	w.Update(t, corpus)
	w.Index = new(mem.Index)
	w.writer.Index = w.Index
	record := w.begin(t, corpus)
	if record.Updating != "r1" {
		t.Errorf("all data gone: Begin gave %+v, want an update", record)
	}
	w.Update(t, corpus)
	ids, err := rebased.ReadPartIDs(t.Context(), w.Objects, w.Rows, corpus.Parts[1].File)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Index.Delete(t.Context(), record.Collection, ids[3:4]); err != nil {
		t.Fatal(err)
	}
	if record := w.begin(t, corpus); record.Updating != "r1" {
		t.Errorf("a row gone: Begin gave %+v, want an update", record)
	}
}

func TestAnotherEncoderHasAnotherCollection(t *testing.T) {
	a, b := index.Collection("hub", "static:a:256"), index.Collection("hub", "static:b:256")
	if a == b || !strings.HasPrefix(a, "rebased-hub-") {
		t.Errorf("collections are %s and %s", a, b)
	}
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 10))
	record := w.begin(t, corpus)
	record.Encoder = "static:other:24"
	if _, err := w.indexer(t).Part(t.Context(), record, corpus.Parts[0], 0, func(int) {}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

func TestAPartOfAnotherLengthThanItsManifestSaysIsRefused(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 10))
	corpus.Parts[0].Rows = 11
	if _, err := w.indexer(t).Part(t.Context(), w.begin(t, corpus), corpus.Parts[0], 0, func(int) {}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

func TestNewNamesTheFieldThatIsMissing(t *testing.T) {
	w := newWorld()
	whole := index.Config{Writer: w.writer, Encoder: w.encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects}
	for field, drop := range map[string]func(*index.Config){
		"Writer":     func(c *index.Config) { c.Writer = nil },
		"Encoder":    func(c *index.Config) { c.Encoder = nil },
		"Rows":       func(c *index.Config) { c.Rows = nil },
		"Datasets":   func(c *index.Config) { c.Datasets = nil },
		"Objects":    func(c *index.Config) { c.Objects = nil },
		"dimensions": func(c *index.Config) { c.Encoder = indextest.Encoder{} },
	} {
		c := whole
		drop(&c)
		if _, err := index.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
}
