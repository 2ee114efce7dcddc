package index_test

import (
	"context"
	"fmt"
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

func (w *world) begin(t *testing.T, corpus rebased.Corpus) rebased.Index {
	t.Helper()
	record, err := w.indexer(t).Begin(t.Context(), corpus)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func (w *world) part(t *testing.T, record rebased.Index, part rebased.Part) index.PartResult {
	t.Helper()
	result, err := w.indexer(t).Part(t.Context(), record, part, 0, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (w *world) finish(t *testing.T, corpus rebased.Corpus) rebased.Index {
	t.Helper()
	record, err := w.indexer(t).Finish(t.Context(), corpus)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func (w *world) count(t *testing.T, record rebased.Index) int {
	t.Helper()
	n, err := w.Index.Count(t.Context(), record.Collection)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func dataset(name string) rebased.Dataset {
	return rebased.Dataset{
		DatasetID:   rebased.DatasetID{Name: name, Config: "default", Split: "train"},
		Description: "what " + name + " is about",
	}
}

// split makes a split of n rows, ten a part, with a question and the answer "True".
func split(name string, n int) indextest.Split {
	var rows [][]rebased.Cell
	for i := range n {
		rows = append(rows, []rebased.Cell{{Column: "question", Text: fmt.Sprintf("%s question %d", name, i)}, {Column: "answer", Text: "True"}})
	}
	return indextest.NewSplit(dataset(name), 10, rows...)
}

func (w *world) stored(t *testing.T, record rebased.Index, id rebased.RowID) retrieve.Stored {
	t.Helper()
	rows, err := w.Index.Rows(t.Context(), record.Collection, []rebased.RowID{id})
	if err != nil {
		t.Fatal(err)
	}
	return rows[id]
}
