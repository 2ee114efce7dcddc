package activities

import (
	"context"
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
	Encoders Encoders
}

// RankInput pins what is ranked.
type RankInput struct {
	BuildRef
	Corpus    string `json:"corpus"`
	Revision  string `json:"revision"`
	ShardRows int    `json:"shard_rows"` // rows of one shard
}

// RankResult counts what was found. The candidates are in retrieved/, one part a shard.
type RankResult struct {
	Rows    int            `json:"rows"`
	Shards  int            `json:"shards"`
	Skipped map[string]int `json:"skipped"`
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
	encoder, err := a.Encoders.Open(ctx, task.Retrieve.Encoder)
	if err != nil {
		return RankResult{}, err
	}
	record, err := findIndex(ctx, a.Objects, in.Corpus, encoder.Identity())
	if err != nil {
		return RankResult{}, err
	}
	corpus, err := rebased.ReadCorpusRevision(ctx, a.Objects, in.Corpus, in.Revision)
	if err != nil {
		return RankResult{}, err
	}
	ranker, err := retrieve.New(retrieve.Config{Index: a.Index, Encoder: encoder, Rows: a.Rows, Datasets: a.Datasets, Objects: a.Objects})
	if err != nil {
		return RankResult{}, err
	}
	ranking, err := ranker.Rank(ctx, task, corpus, record, progress)
	if err != nil {
		return RankResult{}, err
	}
	return a.writeShards(ctx, in, ranking)
}

func (a *Retrieve) writeShards(ctx context.Context, in RankInput, ranking retrieve.Ranking) (RankResult, error) {
	out := RankResult{Rows: len(ranking.Candidates), Skipped: ranking.Skipped}
	for rows := ranking.Candidates; len(rows) > 0; out.Shards++ {
		n := min(in.ShardRows, len(rows))
		if _, err := a.Candidates.Write(ctx, in.key(folderRetrieved, out.Shards), rows[:n]); err != nil {
			return out, fmt.Errorf("write shard %d: %w", out.Shards, err)
		}
		rows = rows[n:]
	}
	return out, nil
}
