package interop

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/encoder/static"
)

// TestRankings ranks the rows of REBASED_TEST_DATA for all its tasks and prints mode diverse beside mode paper. Into REBASED_RANKINGS, a folder, it
// writes what ranking_check.py needs to do mode paper by itself: the vectors of all cells and of the tasks, and the program's own rankings.
func TestRankings(t *testing.T) {
	if os.Getenv("REBASED_RANKINGS") == "" {
		t.Skip("REBASED_RANKINGS is not set: no folder to write rankings to")
	}
	h := indextest.OpenHub(t)
	w := indextest.NewWorld()
	encoder, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	w.Encoder = encoder
	corpus := w.Import(t, "hub", "r1", h.Splits...)
	record := w.Update(t, corpus)
	for i, part := range corpus.Parts {
		rows, err := w.Rows.Read(t.Context(), part.Key)
		if err != nil {
			t.Fatal(err)
		}
		corpus.Parts[i].Frequent = ingest.Frequent(rows) // as an import lists them
	}
	ranker, err := retrieve.New(retrieve.Config{Index: w.Index, Encoder: w.Encoder, Rows: w.Rows, Datasets: w.Datasets, Objects: w.Objects})
	if err != nil {
		t.Fatal(err)
	}
	out := newExport(t, encoder)
	out.corpus(h, w.Index, record.Collection)
	files, err := filepath.Glob(filepath.Join(os.Getenv("REBASED_TEST_DATA"), "tasks", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no tasks", err)
	}
	t.Logf("%-36s %-8s %5s %9s %8s %8s %6s %8s", "task", "mode", "rows", "datasets", "largest", "scores", "equal", "mirrors")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		task := h.Task(t, name)
		for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
			task.Retrieve.Mode = mode
			ranking, err := ranker.Rank(t.Context(), task, corpus, record, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			rows, err := ranking.Read(t.Context(), 0, ranking.Len())
			if err != nil {
				t.Fatal(err)
			}
			s := surveyOf(rows)
			t.Logf("%-36s %-8s %5d %9d %7.1f%% %8d %6d %7.1f%%", name, mode, len(rows), s.datasets, 100*s.largest, s.scores, s.equal, 100*s.mirrors)
			if mode == rebased.ModePaper {
				out.ranking(name, task, rows)
				continue
			}
			if quota := float64(task.Retrieve.MaxPerDataset) / float64(task.Retrieve.Rows); s.equal > 0 || s.datasets < 20 || s.largest > quota {
				t.Errorf("%s: %+v, want at least 20 datasets, none with more than %.1f%%, and no row twice", name, s, 100*quota)
			}
		}
	}
	out.close()
}

// survey is how diverse some rows are.
type survey struct {
	datasets, scores int
	largest          float64 // share of the dataset with most rows
	equal            int     // rows that say the same as an earlier one, whatever their columns are called
	mirrors          float64 // share of rows whose cells of some length are all in one row of another dataset
}

func surveyOf(rows []rebased.Candidate) survey {
	sets, scores, said, long := map[string]int{}, map[float32]bool{}, map[string]bool{}, map[string]string{}
	s := survey{}
	mirrors := 0
	for _, c := range rows {
		sets[c.Dataset.Name]++
		scores[c.Total] = true
		all, informative := says(c, 1), says(c, 12)
		if said[all] {
			s.equal++
		}
		said[all] = true
		if of, known := long[informative]; known && of != c.Dataset.Name && informative != "" {
			mirrors++
		} else if !known {
			long[informative] = c.Dataset.Name
		}
	}
	for _, n := range sets {
		s.largest = max(s.largest, float64(n)/float64(len(rows)))
	}
	s.datasets, s.scores, s.mirrors = len(sets), len(scores), float64(mirrors)/float64(len(rows))
	return s
}

// says is what the cells of a row say that have so many letters and digits.
func says(c rebased.Candidate, letters int) string {
	var said []string
	for _, cell := range c.Cells {
		if rebased.TextLetters(cell.Text) >= letters {
			said = append(said, strings.ToLower(strings.Join(strings.Fields(cell.Text), " ")))
		}
	}
	slices.Sort(said)
	return strings.Join(slices.Compact(said), "\x00")
}

// export writes vectors, each once, and what names them by their numbers.
type export struct {
	t       *testing.T
	encoder rebased.Encoder
	known   map[string]int // the bytes of a vector -> its number
	files   map[string]*bufio.Writer
	closers []func() error
}

func newExport(t *testing.T, encoder rebased.Encoder) *export {
	e := &export{t: t, encoder: encoder, known: map[string]int{}, files: map[string]*bufio.Writer{}}
	for _, name := range []string{"vectors.f32", "rows.jsonl", "tasks.jsonl"} {
		file, err := os.Create(filepath.Join(os.Getenv("REBASED_RANKINGS"), name))
		if err != nil {
			t.Fatal(err)
		}
		e.files[name] = bufio.NewWriter(file)
		e.closers = append(e.closers, e.files[name].Flush, file.Close)
	}
	return e
}

func (e *export) close() {
	for _, c := range e.closers {
		if err := c(); err != nil {
			e.t.Fatal(err)
		}
	}
}

// vector gives the number of a vector.
func (e *export) vector(v []float32) int {
	body, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		e.t.Fatal(err)
	}
	n, ok := e.known[string(body)]
	if !ok {
		n = len(e.known)
		e.known[string(body)] = n
		_, _ = e.files["vectors.f32"].Write(body) // Flush tells
	}
	return n
}

func (e *export) text(text string) int {
	vectors, err := e.encoder.Encode(e.t.Context(), []string{text})
	if err != nil {
		e.t.Fatal(err)
	}
	return e.vector(vectors[0])
}

func (e *export) line(file string, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		e.t.Fatal(err)
	}
	_, _ = e.files[file].Write(append(body, '\n')) // Flush tells
}

// corpus writes what the index holds of all rows; those without a vector take no part.
func (e *export) corpus(h indextest.Hub, index retrieve.Index, collection string) {
	for _, s := range h.Splits {
		described, err := index.Descriptions(e.t.Context(), collection, []rebased.DatasetID{s.DatasetID})
		if err != nil {
			e.t.Fatal(err)
		}
		description := e.vector(described[s.DatasetID])
		var ids []rebased.RowID
		for _, part := range s.Parts {
			for _, row := range part {
				ids = append(ids, row.ID)
			}
		}
		held, err := index.Rows(e.t.Context(), collection, ids)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, id := range ids {
			cells := []int{}
			for _, v := range held[id].Vectors {
				cells = append(cells, e.vector(v))
			}
			if len(cells) > 0 {
				e.line("rows.jsonl", map[string]any{"id": id, "description": description, "cells": cells})
			}
		}
	}
}

func (e *export) ranking(name string, task rebased.Task, rows []rebased.Candidate) {
	var inputs, outputs []int
	for _, example := range task.Examples {
		inputs, outputs = append(inputs, e.text(example.Input)), append(outputs, e.text(example.Target()))
	}
	ids, scores := make([]rebased.RowID, len(rows)), make([][4]float32, len(rows))
	for i, c := range rows {
		ids[i], scores[i] = c.ID, [4]float32{c.Total, c.In, c.Out, c.Data}
	}
	e.line("tasks.jsonl", map[string]any{
		"name": name, "instruction": e.text(task.Instruction), "inputs": inputs, "outputs": outputs, "ids": ids, "scores": scores,
	})
}
