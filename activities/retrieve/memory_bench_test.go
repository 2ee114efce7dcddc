package retrieve_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/retrieve"
)

// Sizes of the generated corpus.
const (
	genSets     = 20
	genPartRows = 10_000
)

// generated is a corpus of so many rows, its index and its encoder. Nothing of it is held: rows are made when they are read. Row i is in dataset
// i % genSets, and scores less than row i-1.
type generated int

func (generated) Identity() string { return "generated" }
func (generated) Dimensions() int  { return 2 }

func (generated) Encode(_ context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i := range vectors {
		vectors[i] = []float32{1, 0}
	}
	return vectors, nil
}

func genKey(i int) (k rebased.RowKey) {
	binary.BigEndian.PutUint64(k[8:], uint64(i))
	return k
}

func (g generated) similarity(i int) float32 { return 1 - float32(i)/float32(2*g) }

func genSet(i int) rebased.DatasetID { return rebased.DatasetID{Name: fmt.Sprint("set", i)} }

func (g generated) Query(_ context.Context, q retrieve.Query) ([]retrieve.Hit, error) {
	asked := map[rebased.DatasetID]int32{}
	for i, d := range q.Datasets {
		asked[d] = int32(i)
	}
	hits := make([]retrieve.Hit, 0, min(q.Limit, int(g)))
	for i := 0; i < int(g) && len(hits) < q.Limit; i++ {
		if d, ok := asked[genSet(i%genSets)]; ok {
			hits = append(hits, retrieve.Hit{Row: genKey(i), Dataset: d, Score: 2 * g.similarity(i)})
		}
	}
	return hits, nil
}

func (g generated) Rows(_ context.Context, _ string, ids []rebased.RowID) (map[rebased.RowID]retrieve.Stored, error) {
	found := make(map[rebased.RowID]retrieve.Stored, len(ids))
	for _, id := range ids {
		key, err := id.Key()
		if err != nil {
			return nil, err
		}
		i := int(binary.BigEndian.Uint64(key[8:]))
		found[id] = retrieve.Stored{
			Cells: []int{1}, Hashes: []uint64{uint64(i)}, Letters: []int{9}, Vectors: [][]float32{{g.similarity(i), 0}},
		}
	}
	return found, nil
}

func genPart(set, part int) string { return fmt.Sprintf("%03d-%03d", set, part) }

func (generated) Descriptions(_ context.Context, _ string, datasets []rebased.DatasetID) (map[rebased.DatasetID][]float32, error) {
	found := map[rebased.DatasetID][]float32{}
	for _, d := range datasets {
		found[d] = []float32{1, 0}
	}
	return found, nil
}

// genRows is the table of the corpus's parts, of rows with 1,200 bytes of text.
type genRows struct {
	rebased.Table[rebased.Row]
	all generated
}

func (g genRows) Read(_ context.Context, key string) ([]rebased.Row, error) {
	var set, part int
	if _, err := fmt.Sscanf(key, "%03d-%03d", &set, &part); err != nil {
		return nil, err
	}
	var rows []rebased.Row
	for r := range genPartRows {
		i := (part*genPartRows+r)*genSets + set
		if i >= int(g.all) {
			break
		}
		rows = append(rows, rebased.Row{ID: genKey(i).ID(), Dataset: genSet(set), Cells: []rebased.Cell{
			{Column: "question", Text: fmt.Sprint("What is ", i, strings.Repeat("?", 200))}, {Column: "context", Text: fmt.Sprint(i, strings.Repeat(".", 1000))},
		}})
	}
	return rows, nil
}

// BenchmarkMemory reports what retrieval holds of the best rows of a corpus of 200,000, read 16,000 at a time.
func BenchmarkMemory(b *testing.B) {
	const all = generated(200_000)
	w := indextest.NewWorld()
	corpus := rebased.Corpus{Name: "hub", Revision: "r1"}
	datasets := make([]rebased.Dataset, genSets)
	for set := range datasets {
		datasets[set] = rebased.Dataset{DatasetID: genSet(set), Rows: int(all) / genSets}
		name := genPart(set, 0)
		file := rebased.File{Key: name, SHA256: name, Size: 1 << 20, Rows: int(all) / genSets}
		corpus.Parts = append(corpus.Parts, rebased.Part{File: file, Dataset: genSet(set)})
	}
	file, err := w.Datasets.Write(b.Context(), "datasets", datasets)
	if err != nil {
		b.Fatal(err)
	}
	corpus.Datasets = file
	record := rebased.Index{Collection: "rows", Encoder: all.Identity(), Revision: "r1"}
	w.PutRecord(b, "hub", record)
	r, err := retrieve.New(retrieve.Config{Index: all, Encoder: all, Rows: genRows{all: all}, Datasets: w.Datasets, Objects: w.Objects})
	if err != nil {
		b.Fatal(err)
	}
	task := rebased.DefaultTask()
	task.Examples, task.Retrieve.Mode = make([]rebased.TaskExample, 1), rebased.ModePaper
	for _, rows := range []int{20_000, 200_000} {
		b.Run(fmt.Sprint(rows, " rows"), func(b *testing.B) {
			task.Retrieve.Rows = rows
			for range b.N {
				indextest.Heap(b, func() { readAll(b, r, task, corpus, record) })
			}
		})
	}
}

func readAll(b *testing.B, r *retrieve.Ranker, task rebased.Task, corpus rebased.Corpus, record rebased.Index) {
	b.Helper()
	ranking, err := r.Rank(b.Context(), task, corpus, record, func(int) {})
	if err != nil || ranking.Len() != task.Retrieve.Rows {
		b.Fatalf("%d rows, %v", ranking.Len(), err)
	}
	rows := ranking.Len()
	for from := 0; from < rows; from += 16_000 {
		candidates, err := ranking.Read(b.Context(), from, min(from+16_000, rows))
		if err != nil || candidates[0].Rank != from {
			b.Fatal(err)
		}
	}
}
