// Package retrieve finds the rows of a corpus that fit a task best, in the exact order of the method's score (arXiv 2407.05463):
//
//	S_in   = max over the cells of the row of the mean over the examples of cos(input, cell)
//	S_out  = max over the cells of the row of the mean over the examples of cos(target, cell)
//	S_data = cos(instruction, description of the row's dataset)
//	score  = (S_in + S_out + S_data) / 3
//
// Vectors have unit length, so the mean moves inside and one query of two vectors, [mean input, mean target], gives S_in + S_out as the
// MaxSim of a row's cells. Cells and texts without a token have no direction; they take no part, or count as 0 in a mean.
//
// It stands between index, which wrote the vectors, and transform, which is given the rows.
package retrieve

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
)

// Query asks for the rows of some datasets by MaxSim: the sum over the query's vectors of the largest dot product with a vector of the row.
type Query struct {
	Collection string
	Datasets   []rebased.DatasetID // rows of others are left out; none = no row
	Vectors    [][]float32
	Limit      int
}

// Hit is one row that a query found. It is small, since a query may find a million.
type Hit struct {
	Row     rebased.RowKey
	Dataset int32   // place of the row's dataset in Query.Datasets
	Score   float32 // MaxSim, as the server rounds it
}

// Stored is what the index holds of a row.
type Stored struct {
	Cells   []int       // for each vector the place of its cell in the row, ascending
	Hashes  []uint64    // for each vector rebased.TextHash of its cell's text
	Letters []int       // for each vector rebased.TextLetters of its cell's text
	Vectors [][]float32 // bit for bit as they were written
}

// Index is what retrieval needs of a vector index. Errors carry a rebased.Kind; a collection that is not there is NotFound.
type Index interface {
	// Query gives at most Limit rows that have vectors, by score, descending; equal scores by id, ascending. No row left out scores higher
	// than the last one given; which of the rows that equal it are left out is not said.
	Query(ctx context.Context, q Query) ([]Hit, error)
	// Rows gives what is held of rows; an id that is not there is absent from the answer.
	Rows(ctx context.Context, collection string, ids []rebased.RowID) (map[rebased.RowID]Stored, error)
	// Descriptions gives the vectors of datasets' descriptions; a dataset that is not there is absent from the answer.
	Descriptions(ctx context.Context, collection string, datasets []rebased.DatasetID) (map[rebased.DatasetID][]float32, error)
}

// Reasons for which rows are kept out, keys of Ranking.Skipped. The first two count all rows of datasets, the others rows that stood before the
// last one taken.
const (
	SkippedExcluded = "excluded" // of excluded datasets
	SkippedLicense  = "license"  // of datasets whose license is not allowed
	SkippedQuota    = "quota"    // their dataset had its share; see Rank
	SkippedMirror   = "mirror"   // say the same as a row that was taken
	SkippedLeaked   = "leaked"   // share text with a benchmark
)

// Config is what a Ranker works with. The first five fields are required.
type Config struct {
	Index    Index
	Encoder  rebased.Encoder
	Rows     rebased.Table[rebased.Row]
	Datasets rebased.Table[rebased.Dataset]
	Objects  rebased.Objects // holds the record of the index

	Benchmarks *decontaminate.Set // rows that share text with them are left out; nil = none
	Better     *Better            // for tasks that are ranked in two stages
}

// Ranker ranks the rows of corpora for tasks.
type Ranker struct {
	index    Index
	encoder  rebased.Encoder
	rows     rebased.Table[rebased.Row]
	datasets rebased.Table[rebased.Dataset]
	objects  rebased.Objects
	bench    *decontaminate.Set
	better   *Better
}

// New makes a Ranker.
func New(c Config) (*Ranker, error) {
	switch {
	case c.Index == nil:
		return nil, errors.New("retrieve: Config.Index is required")
	case c.Encoder == nil:
		return nil, errors.New("retrieve: Config.Encoder is required")
	case c.Rows == nil:
		return nil, errors.New("retrieve: Config.Rows is required")
	case c.Datasets == nil:
		return nil, errors.New("retrieve: Config.Datasets is required")
	case c.Objects == nil:
		return nil, errors.New("retrieve: Config.Objects is required")
	}
	return &Ranker{index: c.Index, encoder: c.Encoder, rows: c.Rows, datasets: c.Datasets, objects: c.Objects, bench: c.Benchmarks, better: c.Better}, nil
}

// Rank gives the best task.Retrieve.Rows rows of a corpus revision by score, descending, equal scores by row id; fewer only where the corpus
// has no more that are allowed. Rows of datasets that are excluded, or whose license is not allowed, never appear, nor do rows below
// MinScore or rows that share text with a benchmark.
//
// That is mode paper. Mode diverse differs so:
//   - A weak cell does not decide S_out: one with fewer than weakLetters letters and digits, or with a text that stands in many rows of a part of
//     the corpus. Such a cell counts at most as much as the row's best other cell, and at most 0 in a row that has none.
//   - At most MaxPerDataset rows of one dataset name are taken, all its configurations and splits together. A dataset that has its share is not
//     asked for further, so SkippedQuota counts the rows of it that were met until then.
//   - A row whose cells say the same as those of a row that was taken, whatever their columns are called, is left out; weak cells, such as labels
//     and numbers, may differ when it is of another dataset. The taken row counts for its dataset too: datasets that mirror one another
//     share one quota.
//   - Of rows within tieWidth of the best one left, those of the dataset that gave least come first, then those least like the ones taken
//     of them, then by score and id.
//
// Scores are computed from the stored vectors in one fixed order of summation: the same index gives the same ranking, whatever server holds
// it. progress is called with the number of rows found so far. Unavailable: the index is being updated; Conflict: it holds another revision,
// or came to while Rank ran; Invalid: it is of another encoder, or the task leaves no dataset.
//
// A task with retrieve.rerank is ranked in two stages: of the rows that score best by a prediction, as many as its depth, the better encoder's
// scores decide. The quota alone does not make such a ranking short, but what else keeps rows out may.
//
// The ranking holds some 70 bytes a row; Ranking.Read reads what the rows say.
func (r *Ranker) Rank(ctx context.Context, task rebased.Task, corpus rebased.Corpus, idx rebased.Index, progress func(rows int)) (Ranking, error) {
	if err := r.pin(ctx, corpus, idx); err != nil {
		return Ranking{}, err
	}
	ranking, err := r.rank(ctx, task, corpus, idx, progress)
	// An update in the meantime explains every answer and every error, so it is the first thing to look for.
	if moved := r.pin(ctx, corpus, idx); moved != nil {
		return Ranking{}, moved
	}
	return ranking, err
}

// rank ranks on an index that stands still. Rows that turn out to be of a benchmark are left out of another ranking, until none is taken.
func (r *Ranker) rank(ctx context.Context, task rebased.Task, corpus rebased.Corpus, idx rebased.Index, progress func(rows int)) (Ranking, error) {
	allowed, out, err := r.allowed(ctx, task, corpus)
	if err != nil {
		return Ranking{}, err
	}
	aim, err := r.encodeTask(ctx, task)
	if err != nil {
		return Ranking{}, err
	}
	sources, err := r.sources(ctx, idx.Collection, aim, allowed)
	if err != nil {
		return Ranking{}, err
	}
	often, err := frequent(corpus)
	if err != nil {
		return Ranking{}, err
	}
	search := leakSearch{set: r.bench, clean: map[rebased.RowKey]struct{}{}, leaked: map[rebased.RowKey]decontaminate.Leak{}}
	var best reranked
	if task.Retrieve.Rerank != nil {
		if best, err = r.rerank(ctx, task, corpus, walk{index: r.index, collection: idx.Collection, aim: aim, sources: sources, frequent: often}, progress); err != nil {
			return Ranking{}, fmt.Errorf("rank the rows of %s in two stages: %w", corpus.Name, err)
		}
		sources = best.sources
	}
	for {
		t := newTaker(task.Retrieve, sources, search.leaked, progress)
		var from ranked = &list{rows: best.rows}
		if task.Retrieve.Rerank == nil {
			w := newWalk(r.index, idx.Collection, aim, sources, task.Retrieve.Rows, t.quota.full)
			w.diverse, w.frequent = task.Retrieve.Mode == rebased.ModeDiverse, often
			from = w
		}
		if err := t.take(ctx, from); err != nil {
			return Ranking{}, fmt.Errorf("rank the rows of %s: %w", corpus.Name, err)
		}
		parts, err := r.locate(ctx, corpus, t.taken, sources)
		if err != nil {
			return Ranking{}, err
		}
		maps.Copy(t.skipped, out)
		ranking := Ranking{Skipped: t.skipped, Leaked: t.leaks, Passed: t.passed, Encoded: best.encoded, rows: r.rows, taken: t.taken, sources: sources, parts: parts}
		more, err := search.find(ctx, ranking)
		if err != nil || !more {
			return ranking, err
		}
	}
}
