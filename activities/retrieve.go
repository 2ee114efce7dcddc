package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
)

// Retrieve ranks the rows of the corpus for the task.
type Retrieve struct {
	*Build
	Rows     rebased.Table[rebased.Row]
	Datasets rebased.Table[rebased.Dataset]
	Index    retrieve.Index
	Vectors  retrieve.Vectors // of second stages, kept over builds
	Encoders Encoders
}

// RankInput pins what is ranked.
type RankInput struct {
	BuildRef
	Corpus    string `json:"corpus"`
	Revision  string `json:"revision"`
	Encoder   string `json:"encoder,omitempty"` // identity, as planned; "" = not said, by a workflow of before there was a record of it
	ShardRows int    `json:"shard_rows"`        // the most rows of one shard
	Lanes     int    `json:"lanes"`             // shards that run side by side: their number is a multiple of it
}

// RankResult counts what was found. The candidates are in retrieved/, one part a shard.
type RankResult struct {
	Moved   string         `json:"moved,omitempty"` // the index is not the one of the plan any more, a sentence; there are no rows then
	Rows    int            `json:"rows"`
	Shards  int            `json:"shards"`
	Skipped map[string]int `json:"skipped"`
	Encoded int            `json:"encoded,omitempty"` // texts that the second stage's encoder had not encoded before
	Passed  string         `json:"passed,omitempty"`  // key of what is told of rows that were passed over, a JSON list; "" when there are none

	// Of a redrive: what an earlier build had made of the other rows.
	Kept       int                               `json:"kept,omitempty"` // files of rows that follow the shards
	KeptRows   int                               `json:"kept_rows,omitempty"`
	Rejected   map[string]map[rebased.Reason]int `json:"rejected,omitempty"`    // by step
	Tokens     rebased.Usage                     `json:"tokens,omitzero"`       // of these rows and rejects
	StepTokens map[string]rebased.Usage          `json:"step_tokens,omitempty"` // Tokens by step
}

// Rank writes the best rows, best first, in shards.
func (a *Retrieve) Rank(ctx context.Context, in RankInput) (RankResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.rank(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Retrieve) rank(ctx context.Context, in RankInput, progress func(int)) (RankResult, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return RankResult{}, err
	}
	ranking, err := a.ranking(ctx, task, in.Corpus, in.Revision, progress)
	if rebased.KindOf(err) == rebased.Conflict {
		return RankResult{Moved: err.Error()}, nil
	}
	if err != nil {
		return RankResult{}, err
	}
	if err := a.writeLeaked(ctx, in.BuildRef, ranking.Leaked); err != nil {
		return RankResult{}, err
	}
	out, err := a.writeShards(ctx, in, ranking)
	if err != nil {
		return out, err
	}
	if in.Encoder != "" {
		record := retrieved{Revision: in.Revision, Encoder: in.Encoder, Skipped: out.Skipped, Rows: out.Rows}
		if err := writeRetrieved(ctx, a.Objects, in.BuildRef, record); err != nil {
			return out, err
		}
	}
	if len(ranking.Passed) == 0 {
		return out, nil
	}
	body, err := json.Marshal(ranking.Passed)
	if err != nil {
		return out, fmt.Errorf("encode the rows that were passed over: %w", err)
	}
	out.Passed = rebased.BuildKey(in.Task, in.Build, "passed.json")
	if _, err := a.Objects.Put(ctx, out.Passed, body); err != nil {
		return out, fmt.Errorf("write the rows that were passed over: %w", err)
	}
	return out, nil
}

// ranking ranks the rows of a revision of a corpus for a task.
func (a *Retrieve) ranking(ctx context.Context, task rebased.Task, name, revision string, progress func(int)) (retrieve.Ranking, error) {
	encoder, err := a.Encoders.Open(ctx, task.Retrieve.Encoder)
	if err != nil {
		return retrieve.Ranking{}, err
	}
	record, err := findIndex(ctx, a.Objects, name, encoder.Identity())
	if err != nil {
		return retrieve.Ranking{}, err
	}
	corpus, err := rebased.ReadCorpusRevision(ctx, a.Objects, name, revision)
	if err != nil {
		return retrieve.Ranking{}, err
	}
	benchmarks, err := a.Benchmarks.open(ctx, task.Decontaminate)
	if err != nil {
		return retrieve.Ranking{}, err
	}
	config := retrieve.Config{
		Index: a.Index, Encoder: encoder, Rows: a.Rows, Datasets: a.Datasets, Objects: a.Objects, Benchmarks: benchmarks,
	}
	if rerank := task.Retrieve.Rerank; rerank != nil {
		better, err := a.Encoders.Open(ctx, rerank.Encoder)
		if err != nil {
			return retrieve.Ranking{}, err
		}
		config.Better = &retrieve.Better{Encoder: better, Vectors: a.Vectors}
	}
	ranker, err := retrieve.New(config)
	if err != nil {
		return retrieve.Ranking{}, err
	}
	return ranker.Rank(ctx, task, corpus, record, progress)
}

// groupShards is how many shards are read together: more would hold more rows in memory, fewer would read the parts of the corpus more often.
const groupShards = 16

func (a *Retrieve) writeShards(ctx context.Context, in RankInput, ranking retrieve.Ranking) (RankResult, error) {
	rows := ranking.Len()
	out := RankResult{Rows: rows, Skipped: ranking.Skipped, Encoded: ranking.Encoded, Shards: shardsOf(rows, in.ShardRows, in.Lanes)}
	for first := 0; first < out.Shards; first += groupShards {
		end := min(first+groupShards, out.Shards)
		from := border(rows, out.Shards, first)
		candidates, err := ranking.Read(ctx, from, border(rows, out.Shards, end))
		if err != nil {
			return out, err
		}
		for n := first; n < end; n++ {
			part := candidates[border(rows, out.Shards, n)-from : border(rows, out.Shards, n+1)-from]
			if _, err := a.Candidates.Write(ctx, in.key(folderRetrieved, n), part); err != nil {
				return out, fmt.Errorf("write shard %d: %w", n, err)
			}
		}
	}
	return out, nil
}

// evenly cuts rows into n parts of equal size, give or take one row.
func evenly[T any](rows []T, n int) [][]T {
	parts := make([][]T, n)
	for i := range parts {
		parts[i] = rows[border(len(rows), n, i):border(len(rows), n, i+1)]
	}
	return parts
}

// border is where the i-th of n equal parts of rows begins.
func border(rows, n, i int) int { return i * rows / n }

// fewRows is what one shard can take without others beside it.
const fewRows = 64

// shardsOf is how many shards of equal size rows make: so many that all lanes begin and end together, none with more than most rows.
func shardsOf(rows, most, lanes int) int {
	lanes = min(max(1, lanes), (rows+fewRows-1)/fewRows)
	if rows == 0 {
		return 0
	}
	return lanes * ((rows + lanes*most - 1) / (lanes * most))
}
