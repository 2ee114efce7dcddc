// Package indextest sets up small corpora and their indexes for tests: everything in memory, every text encoded by a hash.
package indextest

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/infra/mem"
)

// World is a bucket, an index and an encoder.
type World struct {
	Objects  rebased.Objects
	Rows     rebased.Table[rebased.Row]
	Datasets rebased.Table[rebased.Dataset]
	Index    *mem.Index
	Encoder  rebased.Encoder
}

// NewWorld makes an empty one.
func NewWorld() *World {
	objects := mem.NewObjects()
	return &World{
		Objects: objects, Rows: mem.NewTable[rebased.Row](objects), Datasets: mem.NewTable[rebased.Dataset](objects),
		Index: new(mem.Index), Encoder: Encoder{Size: 24},
	}
}

// Split is one split of a dataset with the parts that hold its rows.
type Split struct {
	rebased.Dataset
	Parts [][]rebased.Row
}

// NewSplit makes a split of rows, of which each part but the last has size rows. A row's text is that of its cells, "column: text".
func NewSplit(d rebased.Dataset, size int, rows ...[]rebased.Cell) Split {
	s := Split{Dataset: d}
	s.Rows = len(rows)
	for i, cells := range rows {
		if i%size == 0 {
			s.Parts = append(s.Parts, nil)
		}
		last := len(s.Parts) - 1
		s.Parts[last] = append(s.Parts[last], rebased.Row{ID: rebased.NewRowID(d.DatasetID, cells, i), Dataset: d.DatasetID, Cells: cells})
	}
	return s
}

// Import writes a revision of a corpus.
func (w *World) Import(t testing.TB, name, revision string, splits ...Split) rebased.Corpus {
	t.Helper()
	corpus := rebased.Corpus{Name: name, Revision: revision}
	var list []rebased.Dataset
	for _, s := range splits {
		list = append(list, s.Dataset)
		for _, rows := range s.Parts {
			file, err := w.Rows.WriteHashed(t.Context(), rebased.CorpusPartPrefix(name, s.DatasetID), rows)
			if err != nil {
				t.Fatal(err)
			}
			if err := rebased.PutPartIDs(t.Context(), w.Objects, file, rows); err != nil {
				t.Fatal(err)
			}
			corpus.Parts = append(corpus.Parts, rebased.Part{File: file, Dataset: s.DatasetID})
		}
	}
	file, err := w.Datasets.Write(t.Context(), rebased.CorpusDatasetsKey(name, revision), list)
	if err != nil {
		t.Fatal(err)
	}
	corpus.Datasets = file
	body, err := json.Marshal(corpus)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Objects.Put(t.Context(), rebased.CorpusRevisionKey(name, revision), body); err != nil {
		t.Fatal(err)
	}
	return corpus
}

// Indexer makes an Indexer over the world.
func (w *World) Indexer(t testing.TB) *index.Indexer {
	t.Helper()
	x, err := index.New(index.Config{Writer: w.Index, Encoder: w.Encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Update indexes a corpus from Begin to Finish and gives the record.
func (w *World) Update(t testing.TB, corpus rebased.Corpus) rebased.Index {
	t.Helper()
	return Update(t, w.Indexer(t), corpus, false)
}

// Update brings an index to a revision, or makes it anew, from Begin to Finish and gives the record.
func Update(t testing.TB, x *index.Indexer, corpus rebased.Corpus, rebuild bool) rebased.Index {
	t.Helper()
	record, plan, err := x.Begin(t.Context(), corpus, rebuild)
	if err != nil {
		t.Fatal(err)
	}
	for n := range plan.Batches {
		batch, err := plan.Batch(corpus, n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Batch(t.Context(), record, batch, func(int) {}); err != nil {
			t.Fatal(err)
		}
	}
	if record, err = x.Finish(t.Context(), corpus, plan, rebuild); err != nil {
		t.Fatal(err)
	}
	return record
}

// PutRecord overwrites the record of an index, as another run would.
func (w *World) PutRecord(t testing.TB, corpus string, record rebased.Index) {
	t.Helper()
	body, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Objects.Put(t.Context(), rebased.CorpusIndexKey(corpus, record.Alias), body); err != nil {
		t.Fatal(err)
	}
}

// Encoder gives a text the mean of one random direction a word, by the word's hash: texts that share words are near. A word without a
// letter or a digit is no token. It is no language model, and needs nothing.
type Encoder struct{ Size int }

// Identity implements rebased.Encoder.
func (Encoder) Identity() string { return "hash:test:24" }

// Dimensions implements rebased.Encoder.
func (e Encoder) Dimensions() int { return e.Size }

// Encode implements rebased.Encoder.
func (e Encoder) Encode(_ context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		vectors[i] = e.encode(strings.Fields(strings.ToLower(text)))
	}
	return vectors, nil
}

func (e Encoder) encode(words []string) []float32 {
	v := make([]float32, e.Size)
	for _, word := range words {
		if !strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			continue
		}
		h := fnv.New64a()
		_, _ = h.Write([]byte(word))
		direction := rand.New(rand.NewPCG(h.Sum64(), 0)) //nolint:gosec // a test's hash
		for i := range v {
			v[i] += float32(direction.NormFloat64())
		}
	}
	norm := 0.0
	for _, x := range v {
		norm += float64(x) * float64(x)
	}
	if norm == 0 {
		return v
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(norm))
	}
	return v
}
