package index_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
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
	record, plan := w.begin(t, corpus)
	alias := index.Alias("hub", "hash:test:24")
	want := rebased.Index{Alias: alias, Collection: alias + "-1", Encoder: "hash:test:24", Dimensions: 24, Updating: "r1"}
	if record != want || plan.Rows != 32 {
		t.Errorf("Begin gave %+v and %d rows, want %+v and 32", record, plan.Rows, want)
	}
	if done := w.batches(t, record, corpus, plan); done.Cells != 2*32 || done.Rows != 32 {
		t.Errorf("%+v was written, want 64 cells of 32 rows", done)
	}
	want.Revision, want.Updating = "r1", ""
	got := w.finish(t, corpus, plan)
	if want.Described = got.Described; got != want || got.Described == "" {
		t.Errorf("Finish gave %+v, want %+v with what is described", got, want)
	}
	w.holds(t, record, corpus)
	for _, name := range []string{record.Collection, alias} {
		descriptions, err := w.Index.Descriptions(t.Context(), name, []rebased.DatasetID{dataset("a").DatasetID, dataset("b").DatasetID})
		if err != nil || len(descriptions) != 2 {
			t.Errorf("%s: %d descriptions, %v; want 2", name, len(descriptions), err)
		}
	}
	if len(w.encoder.texts) != 32+1+2 {
		t.Errorf("%d texts were encoded, want 32 questions, one answer and two descriptions: %q", len(w.encoder.texts), w.encoder.texts)
	}
}

func TestOnlyWhatChangedIsEncoded(t *testing.T) {
	old := []indextest.Split{split("a", 25), split("b", 10), split("c", 30)}
	cases := []struct {
		name    string
		new     []indextest.Split
		encoded []string
		gone    int
	}{
		{"nothing", old, nil, 0},
		{"a dataset came", append(slices.Clone(old), split("d", 3)), []string{"d question 0", "d question 1", "d question 2"}, 0},
		{"a dataset went", old[:2], nil, 30},
		{"a dataset grew", []indextest.Split{split("a", 27), old[1], old[2]}, []string{"a question 25", "a question 26"}, 0},
		{"a dataset shrank", []indextest.Split{split("a", 11), old[1], old[2]}, nil, 14},
		{"rows moved to other parts", []indextest.Split{parted(old[0], 7), old[1], parted(old[2], 30)}, nil, 0},
		{"one row in each", []indextest.Split{split("a", 25, 7), split("b", 10, 2), split("c", 30, 29)}, []string{"a new 7", "b new 2", "c new 29"}, 3},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.update(t, w.Import(t, "hub", "r1", old...))
			corpus := w.Import(t, "hub", "r2", c.new...)
			w.encoder.texts, w.writer.listed = nil, 0
			record, plan := w.begin(t, corpus)
			w.batches(t, record, corpus, plan)
			encoded := slices.DeleteFunc(slices.Clone(w.encoder.texts), func(text string) bool { return text == "True" })
			slices.Sort(encoded)
			if !slices.Equal(encoded, c.encoded) || plan.Removes() != c.gone || w.writer.listed != 0 {
				t.Errorf("encoded %q, want %q; %d gone, want %d; %d ids listed, want none", encoded, c.encoded, plan.Removes(), c.gone, w.writer.listed)
			}
			w.holds(t, w.finish(t, corpus, plan), corpus)
			if again, plan := w.begin(t, corpus); again.Updating != "" || again.Revision != "r2" || plan.Rows != 0 {
				t.Errorf("Begin of the revision that is indexed gave %+v, %d rows", again, plan.Rows)
			}
			if w.writer.listed != 0 {
				t.Errorf("%d ids of the index were listed, which is work for nothing", w.writer.listed)
			}
		})
	}
}

func TestAnUpdateWhoseOldRevisionIsGoneAsksTheIndex(t *testing.T) {
	for name, lose := range map[string]func(*world, rebased.Corpus) string{
		"record": func(_ *world, c rebased.Corpus) string { return rebased.CorpusRevisionKey("hub", c.Revision) },
		"part":   func(_ *world, c rebased.Corpus) string { return c.Parts[0].Key },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			old := w.Import(t, "hub", "r1", split("a", 25), split("b", 10))
			w.update(t, old)
			corpus := w.Import(t, "hub", "r2", split("a", 25, 3), split("c", 4))
			for _, key := range []string{lose(w, old), rebased.PartIDsKey(old.Parts[0].Key)} {
				if err := w.Objects.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			record, plan := w.begin(t, corpus)
			if plan.Rows != 5 || plan.Removes() != 11 {
				t.Errorf("%d rows to write and %d to remove, want 5 and 11", plan.Rows, plan.Removes())
			}
			w.batches(t, record, corpus, plan)
			w.holds(t, w.finish(t, corpus, plan), corpus)
		})
	}
}

func TestACorpusWithoutListsOfIDsIsIndexedFromItsParts(t *testing.T) {
	w := newWorld()
	first, second := w.Import(t, "hub", "r1", split("a", 25)), w.Import(t, "hub", "r2", split("a", 28))
	for _, part := range append(first.Parts, second.Parts...) {
		if err := w.Objects.Delete(t.Context(), rebased.PartIDsKey(part.Key)); err != nil {
			t.Fatal(err)
		}
	}
	w.update(t, first)
	record, plan := w.begin(t, second)
	if plan.Rows != 3 || plan.Removes() != 0 {
		t.Errorf("%d rows to write and %d to remove, want 3 and 0", plan.Rows, plan.Removes())
	}
	w.batches(t, record, second, plan)
	w.holds(t, w.finish(t, second, plan), second)
}

func TestABatchKilledInTheMiddleIsFinishedByTheNextAttempt(t *testing.T) {
	for name, told := range map[string]bool{"heartbeat": true, "no heartbeat": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			corpus := w.Import(t, "hub", "r1", numbered("a", 1200)) // three writes
			record, plan := w.begin(t, corpus)
			batch, err := plan.Batch(corpus, 0)
			if err != nil {
				t.Fatal(err)
			}
			w.writer.fail = func() error {
				if w.writer.upserts == 1 {
					return errors.New("killed")
				}
				return nil
			}
			stood := 0
			if _, err := w.indexer(t).Batch(t.Context(), record, batch, func(n int) { stood = n }); err == nil {
				t.Fatal("the write that fails went unseen")
			}
			if stood != 512 {
				t.Fatalf("the first attempt stood at row %d, want 512", stood)
			}
			w.writer.fail, w.encoder.texts = nil, nil
			if batch.Check = true; told {
				batch.From = stood
			}
			result, err := w.indexer(t).Batch(t.Context(), record, batch, func(n int) { stood = n })
			if err != nil {
				t.Fatal(err)
			}
			if result.Cells != 1200-512 || result.Rows != 1200 || len(w.encoder.texts) != 1200-512 || stood != 1200 {
				t.Errorf("the second attempt: %+v, %d texts, at row %d", result, len(w.encoder.texts), stood)
			}
			w.holds(t, w.finish(t, corpus, plan), corpus)
		})
	}
}

func TestProgressIsNeverAheadOfWhatIsWritten(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", numbered("a", 1500))
	record, plan := w.begin(t, corpus)
	ids := w.ids(t, corpus.Parts[0])
	whole := w.batches(t, record, corpus, plan)
	if err := w.Index.Delete(t.Context(), record.Collection, ids[100:900]); err != nil { // the others are held: met before these are written
		t.Fatal(err)
	}
	batch, err := plan.Batch(corpus, 0)
	if err != nil {
		t.Fatal(err)
	}
	batch.Check = true
	result, err := w.indexer(t).Batch(t.Context(), record, batch, func(done int) {
		has, err := w.Index.Has(t.Context(), record.Collection, ids[:done])
		if err != nil || slices.Contains(has, false) {
			t.Fatalf("%d rows were said to be done, and are not; %v", done, err)
		}
	})
	if err != nil || result.Held != 700 || result.Rows != whole.Rows {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestARunThatWasKilledIsGoneOnWith(t *testing.T) {
	w := newWorld()
	w.update(t, w.Import(t, "hub", "r1", split("a", 25), split("b", 10)))
	second := w.Import(t, "hub", "r2", split("a", 25, 3, 4, 5), split("c", 10))
	record, plan := w.begin(t, second)
	w.batches(t, record, second, index.Plan{Revision: "r2", Work: plan.Work[:1], Batches: []int{0}}) // the part of a; then the whole run dies

	w.encoder.texts = nil
	record, plan = w.begin(t, second)
	if plan.Rows != 10 || plan.Removes() != 13 {
		t.Errorf("%d rows to write and %d to remove, want 10 and 13", plan.Rows, plan.Removes())
	}
	w.batches(t, record, second, plan)
	for _, text := range w.encoder.texts {
		if strings.HasPrefix(text, "a ") {
			t.Errorf("%q was encoded again", text)
		}
	}
	third := w.Import(t, "hub", "r3", split("b", 10), split("c", 9)) // and dies again, before another revision
	record, plan = w.begin(t, third)
	w.batches(t, record, third, plan)
	w.holds(t, w.finish(t, third, plan), third)
}

func TestFinishRepairsAnIndexThatIsNotWhole(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 25), split("b", 10))
	record, plan := w.begin(t, corpus)
	w.batches(t, record, corpus, plan)
	ids := w.ids(t, corpus.Parts[1])
	if err := w.Index.Delete(t.Context(), record.Collection, ids[3:7]); err != nil {
		t.Fatal(err)
	}
	stray := index.Point{ID: rebased.NewRowID(dataset("x").DatasetID, nil, 0), Dataset: dataset("x").DatasetID}
	if err := w.Index.Upsert(t.Context(), record.Collection, []index.Point{stray}); err != nil {
		t.Fatal(err)
	}
	w.holds(t, w.finish(t, corpus, plan), corpus)
}

func TestARebuildServesNothingUntilItIsWhole(t *testing.T) {
	w := newWorld()
	first := w.Import(t, "hub", "r1", split("a", 25))
	old := w.update(t, first)
	second := w.Import(t, "hub", "r2", split("a", 20), split("b", 5))
	begin := func() (rebased.Index, index.Plan) {
		record, plan, err := w.indexer(t).Begin(t.Context(), second, true)
		if err != nil || record.Collection != old.Alias+"-2" || record.Updating != "r2" {
			t.Fatalf("Begin gave %+v, %v", record, err)
		}
		return record, plan
	}
	record, plan := begin()
	w.batches(t, record, second, index.Plan{Revision: "r2", Work: plan.Work[:1], Batches: []int{0}})
	w.holds(t, old, first)
	if again, plan := w.begin(t, first); again.Updating != "" || plan.Rows != 0 || again.Collection != old.Collection {
		t.Errorf("while another is made beside it the index is %+v", again)
	}
	record, plan = begin() // the run before was killed
	if plan.Rows != 15 {
		t.Errorf("%d rows to write, want the 15 that are not there", plan.Rows)
	}
	w.batches(t, record, second, plan)
	finish := func() rebased.Index {
		done, err := w.indexer(t).Finish(t.Context(), second, plan, true)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	done := finish()
	want := rebased.Index{Alias: old.Alias, Collection: old.Alias + "-2", Encoder: old.Encoder, Dimensions: 24, Revision: "r2", Described: done.Described}
	if done != want || finish() != want {
		t.Errorf("Finish gave %+v, want %+v", done, want)
	}
	w.holds(t, done, second)
	if n, err := w.Index.Count(t.Context(), old.Alias); err != nil || n != 25 {
		t.Errorf("the alias stands for %d points, want 25; %v", n, err)
	}
	if _, err := w.Index.Count(t.Context(), old.Collection); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("the collection before: %v, want NotFound", err)
	}
}

func TestARebuildOfTheSameRevisionIsARebuild(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 25))
	w.update(t, corpus)
	record := indextest.Update(t, w.indexer(t), corpus, true)
	if !strings.HasSuffix(record.Collection, "-2") || record.Revision != "r1" {
		t.Errorf("got %+v", record)
	}
	w.holds(t, record, corpus)
}

func TestCellsThatRecurAreEncodedOnceInARun(t *testing.T) {
	w := newWorld()
	vectors := index.NewVectors(1 << 20)
	corpus := w.Import(t, "hub", "r1", split("a", 3000), split("b", 3000))
	x, err := index.New(index.Config{Writer: w.writer, Encoder: w.encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects, Vectors: vectors})
	if err != nil {
		t.Fatal(err)
	}
	record := indextest.Update(t, x, corpus, false)
	n := 0
	for _, text := range w.encoder.texts {
		if text == "True" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("a cell of all rows was encoded %d times", n)
	}
	whole := newWorld()
	want := whole.update(t, whole.Import(t, "hub", "r1", split("a", 3000), split("b", 3000)))
	for _, id := range w.ids(t, corpus.Parts[200])[:5] {
		if got, want := w.stored(t, record, id.ID()), whole.stored(t, want, id.ID()); !reflect.DeepEqual(got, want) {
			t.Errorf("row %s has other vectors than without the store", id.ID())
		}
	}
}

func TestCellsWithoutATokenHaveNoVector(t *testing.T) {
	w := newWorld()
	cells := []rebased.Cell{{Column: "a", Text: ""}, {Column: "b", Text: "words"}, {Column: "c", Text: "--"}, {Column: "d", Text: "more words"}}
	s := indextest.NewSplit(dataset("a"), 10, cells, []rebased.Cell{{Column: "a", Text: "  "}}, nil)
	corpus := w.Import(t, "hub", "r1", s)
	record, plan := w.begin(t, corpus)
	result := w.batches(t, record, corpus, plan)
	if result != (index.BatchResult{Rows: 3, Cells: 2, Blank: 2}) {
		t.Errorf("got %+v", result)
	}
	got := w.stored(t, record, s.Parts[0][0].ID)
	if !slices.Equal(got.Cells, []int{1, 3}) || !slices.Equal(got.Letters, []int{5, 9}) ||
		!slices.Equal(got.Hashes, []uint64{rebased.TextHash("words"), rebased.TextHash("more words")}) {
		t.Errorf("got cells %v with %v letters, hashes %x", got.Cells, got.Letters, got.Hashes)
	}
	w.finish(t, corpus, plan)
	if again, _ := w.begin(t, corpus); again.Updating != "" {
		t.Error("an index with blank rows is never seen as whole")
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
	record, plan := w.begin(t, corpus)
	w.batches(t, record, corpus, plan)
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
	record, plan := w.begin(t, first)
	w.batches(t, record, first, plan)
	w.begin(t, second) // takes over
	if _, err := w.indexer(t).Finish(t.Context(), first, plan, false); rebased.KindOf(err) != rebased.Conflict {
		t.Errorf("got %v, want Conflict", err)
	}
	w.update(t, second)
	if again := w.finish(t, second, index.Plan{}); again.Revision != "r2" || again.Updating != "" {
		t.Errorf("Finish once more gave %+v", again)
	}
}

func TestAnIndexWhoseServerLostItsDataIsMadeAgain(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 20))
	w.update(t, corpus)
	w.Index = new(mem.Index)
	w.writer.Index = w.Index
	if record, plan := w.begin(t, corpus); record.Updating != "r1" || plan.Rows != 20 {
		t.Errorf("all data gone: Begin gave %+v, %d rows, want an update of 20", record, plan.Rows)
	}
	record := w.update(t, corpus)
	if err := w.Index.Delete(t.Context(), record.Collection, w.ids(t, corpus.Parts[1])[3:4]); err != nil {
		t.Fatal(err)
	}
	if record, plan := w.begin(t, corpus); record.Updating != "r1" || plan.Rows != 1 {
		t.Errorf("a row gone: Begin gave %+v, %d rows, want an update of 1", record, plan.Rows)
	}
}

func TestAnotherEncoderHasAnotherCollection(t *testing.T) {
	a, b := index.Alias("hub", "static:a:256"), index.Alias("hub", "static:b:256")
	if a == b || !strings.HasPrefix(a, "rebased-hub-") {
		t.Errorf("indexes are %s and %s", a, b)
	}
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 10))
	record, plan := w.begin(t, corpus)
	record.Encoder = "static:other:24"
	batch, err := plan.Batch(corpus, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.indexer(t).Batch(t.Context(), record, batch, func(int) {}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

func TestAPartOfAnotherLengthThanItsManifestSaysIsRefused(t *testing.T) {
	w := newWorld()
	corpus := w.Import(t, "hub", "r1", split("a", 10))
	corpus.Parts[0].Rows = 11
	record, plan := w.begin(t, corpus)
	batch, err := plan.Batch(corpus, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.indexer(t).Batch(t.Context(), record, batch, func(int) {}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

func TestAPlanIsReadAsItWasStored(t *testing.T) {
	w := newWorld()
	w.update(t, w.Import(t, "hub", "r1", split("a", 25), split("b", 10)))
	corpus := w.Import(t, "hub", "r2", split("a", 25, 3), split("c", 4))
	_, plan := w.begin(t, corpus)
	key, err := index.StorePlan(t.Context(), w.Objects, "hub", plan)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := index.LoadPlan(t.Context(), w.Objects, corpus, key); err != nil || !reflect.DeepEqual(got, plan) {
		t.Errorf("got %+v, %v, want %+v", got, err, plan)
	}
	corpus.Revision = "r3"
	if _, err := index.LoadPlan(t.Context(), w.Objects, corpus, key); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("a plan for another revision: %v, want Invalid", err)
	}
	if _, err := plan.Batch(corpus, len(plan.Batches)); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("a batch that is not there: %v, want Invalid", err)
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

func TestTheIndexOfAnEarlierLayoutGoesWhenThisOneIsWhole(t *testing.T) {
	w := newWorld()
	sum := sha256.Sum256([]byte("cells/1\nhash:test:24"))
	before := "rebased-hub-" + hex.EncodeToString(sum[:4])
	if err := w.Index.Ensure(t.Context(), before, 24); err != nil {
		t.Fatal(err)
	}
	key := rebased.CorpusIndexKey("hub", before)
	if _, err := w.Objects.Put(t.Context(), key, []byte(`{"collection":"`+before+`","revision":"r1"}`)); err != nil {
		t.Fatal(err)
	}
	corpus := w.Import(t, "hub", "r1", split("a", 10))
	record, plan := w.begin(t, corpus)
	w.batches(t, record, corpus, plan)
	if _, err := w.Index.Count(t.Context(), before); err != nil {
		t.Errorf("before the new index is whole: %v", err)
	}
	w.finish(t, corpus, plan)
	if _, err := w.Index.Count(t.Context(), before); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("the collection before: %v, want NotFound", err)
	}
	if _, _, err := w.Objects.Get(t.Context(), key); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("the record before: %v, want NotFound", err)
	}
}

func TestASurveyInSeveralPassesFindsTheSame(t *testing.T) {
	w := newWorld()
	record := w.update(t, w.Import(t, "hub", "r1", split("a", 125), split("b", 40)))
	corpus := w.Import(t, "hub", "r2", split("a", 125, 3, 77), split("c", 4))
	for _, atOnce := range []int{1, 7, 50, 1000} {
		work, gone, err := w.indexer(t).Survey(t.Context(), record.Collection, corpus, atOnce)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, item := range work {
			if rows += len(item.Rows); item.Rows == nil {
				rows += corpus.Parts[item.Part].Rows
			}
		}
		if rows != 6 || len(gone) != 42 {
			t.Errorf("%d rows at once: %d to write and %d gone, want 6 and 42", atOnce, rows, len(gone))
		}
	}
}

func TestThePlanOfARunThatWasBrokenOffIsRemovedByTheNext(t *testing.T) {
	w := newWorld()
	var keys []string
	for rows := range 2 {
		key, err := index.StorePlan(t.Context(), w.Objects, "hub", index.Plan{Revision: "r1", Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	var left []string
	for object, err := range w.Objects.List(t.Context(), "corpora/hub/plans/") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, object.Key)
	}
	if keys[0] == keys[1] || len(left) != 1 || left[0] != keys[1] {
		t.Errorf("%q are left of %q", left, keys)
	}
}
