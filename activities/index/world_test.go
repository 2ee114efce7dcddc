package index_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/mem"
)

// world is indextest's with a writer and an encoder that count what they do.
type world struct {
	*indextest.World
	writer  *writer
	encoder *encoder
}

// writer counts writes and fails where a test says so.
type writer struct {
	*mem.Index
	upserts int
	listed  int // ids that were scrolled through
	fail    func() error
}

func (w *writer) Upsert(ctx context.Context, collection string, points []index.Point) error {
	if w.fail != nil {
		if err := w.fail(); err != nil {
			return err
		}
	}
	w.upserts++
	return w.Index.Upsert(ctx, collection, points)
}

func (w *writer) IDs(ctx context.Context, collection string, from rebased.RowKey) iter.Seq2[rebased.RowKey, error] {
	return func(yield func(rebased.RowKey, error) bool) {
		for id, err := range w.Index.IDs(ctx, collection, from) {
			if w.listed++; !yield(id, err) {
				return
			}
		}
	}
}

// encoder remembers the texts that it was given.
type encoder struct {
	indextest.Encoder
	texts []string
}

func (e *encoder) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	e.texts = append(e.texts, texts...)
	return e.Encoder.Encode(ctx, texts)
}

func newWorld() *world {
	w := &world{World: indextest.NewWorld()}
	w.writer = &writer{Index: w.Index}
	w.encoder = &encoder{Encoder: indextest.Encoder{Size: 24}}
	w.Encoder = w.encoder
	return w
}

func (w *world) indexer(t *testing.T) *index.Indexer {
	t.Helper()
	x, err := index.New(index.Config{Writer: w.writer, Encoder: w.encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (w *world) begin(t *testing.T, corpus rebased.Corpus) (rebased.Index, index.Plan) {
	t.Helper()
	record, plan, err := w.indexer(t).Begin(t.Context(), corpus, false)
	if err != nil {
		t.Fatal(err)
	}
	return record, plan
}

// batches runs all batches of a plan and adds up what they did.
func (w *world) batches(t *testing.T, record rebased.Index, corpus rebased.Corpus, plan index.Plan) (all index.BatchResult) {
	t.Helper()
	for n := range plan.Batches {
		batch, err := plan.Batch(corpus, n)
		if err != nil {
			t.Fatal(err)
		}
		done, err := w.indexer(t).Batch(t.Context(), record, batch, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		all.Rows, all.Cells, all.Blank, all.Held = all.Rows+done.Rows, all.Cells+done.Cells, all.Blank+done.Blank, all.Held+done.Held
	}
	return all
}

func (w *world) finish(t *testing.T, corpus rebased.Corpus, plan index.Plan) rebased.Index {
	t.Helper()
	record, err := w.indexer(t).Finish(t.Context(), corpus, plan, false)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// update goes from Begin to Finish.
func (w *world) update(t *testing.T, corpus rebased.Corpus) rebased.Index {
	t.Helper()
	return indextest.Update(t, w.indexer(t), corpus, false)
}

// holds checks that the index has the points of a corpus and no other.
func (w *world) holds(t *testing.T, record rebased.Index, corpus rebased.Corpus) {
	t.Helper()
	want := make(map[rebased.RowKey]bool)
	for _, part := range corpus.Parts {
		for _, id := range w.ids(t, part) {
			want[id] = true
		}
	}
	for id, err := range w.Index.IDs(t.Context(), record.Collection, rebased.RowKey{}) {
		if err != nil || !want[id] {
			t.Fatalf("the index has row %s, which the corpus has not; %v", id.ID(), err)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Fatalf("the index lacks %d rows", len(want))
	}
}

func (w *world) ids(t *testing.T, part rebased.Part) []rebased.RowKey {
	t.Helper()
	ids, err := rebased.ReadPartIDs(t.Context(), w.Objects, w.Rows, part.File)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func dataset(name string) rebased.Dataset {
	return rebased.Dataset{
		DatasetID:   rebased.DatasetID{Name: name, Config: "default", Split: "train"},
		Description: "what " + name + " is about",
	}
}

// split makes a split of n rows, ten a part, with a question and the answer "True"; the questions of some rows are new ones.
func split(name string, n int, changed ...int) indextest.Split {
	var rows [][]rebased.Cell
	for i := range n {
		question := fmt.Sprintf("%s question %d", name, i)
		if slices.Contains(changed, i) {
			question = fmt.Sprintf("%s new %d", name, i)
		}
		rows = append(rows, []rebased.Cell{{Column: "question", Text: question}, {Column: "answer", Text: "True"}})
	}
	return indextest.NewSplit(dataset(name), 10, rows...)
}

// parted has the same rows in parts of another size.
func parted(s indextest.Split, size int) indextest.Split {
	rows := slices.Concat(s.Parts...)
	s.Parts = slices.Collect(slices.Chunk(rows, size))
	return s
}

// numbered makes a split of one part with a cell a row.
func numbered(name string, n int) indextest.Split {
	rows := make([][]rebased.Cell, n)
	for i := range rows {
		rows[i] = []rebased.Cell{{Column: "text", Text: fmt.Sprint("row ", i)}}
	}
	return indextest.NewSplit(dataset(name), n, rows...)
}

func (w *world) stored(t *testing.T, record rebased.Index, id rebased.RowID) retrieve.Stored {
	t.Helper()
	rows, err := w.Index.Rows(t.Context(), record.Collection, []rebased.RowID{id})
	if err != nil {
		t.Fatal(err)
	}
	return rows[id]
}
