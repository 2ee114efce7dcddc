package activities

import (
	"context"
	"fmt"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/dedupe"
)

// Dedupe removes rows that repeat others.
type Dedupe struct {
	*Build
}

// DedupeInput names the parts to read: those of the last step that made rows.
type DedupeInput struct {
	BuildRef
	Reasoned bool `json:"reasoned"` // whether the reason step ran
	Shards   int  `json:"shards"`

	Price rebased.Price `json:"price"`
}

// DedupeResult counts what was kept. The rows are in deduped/.
type DedupeResult struct {
	Rows     int                    `json:"rows"`
	Rejected map[rebased.Reason]int `json:"rejected"`
}

// DedupeRows reads all rows of a build and writes those that stay.
func (a *Dedupe) DedupeRows(ctx context.Context, in DedupeInput) (DedupeResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.rows(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Dedupe) rows(ctx context.Context, in DedupeInput, progress func(int)) (DedupeResult, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return DedupeResult{}, err
	}
	folder := folderTransformed
	if in.Reasoned {
		folder = folderReasoned
	}
	var examples []rebased.Example
	for n := range in.Shards {
		part, err := a.Examples.Read(ctx, in.key(folder, n))
		if err != nil {
			return DedupeResult{}, fmt.Errorf("read the rows of shard %d: %w", n, err)
		}
		examples = append(examples, part...)
		progress(len(examples))
	}
	result, err := dedupe.Rows(ctx, task.Dedupe, examples)
	if err != nil {
		return DedupeResult{}, err
	}
	if _, err := a.Examples.Write(ctx, in.key(folderDeduped, 0), result.Kept); err != nil {
		return DedupeResult{}, fmt.Errorf("write the deduplicated rows: %w", err)
	}
	if len(result.Rejects) > 0 {
		priced(result.Rejects, in.Price)
		if _, err := a.Rejects.Write(ctx, in.rejectsKey(dedupe.Step, 0), result.Rejects); err != nil {
			return DedupeResult{}, fmt.Errorf("write the duplicates: %w", err)
		}
	}
	return DedupeResult{Rows: len(result.Kept), Rejected: countReasons(result.Rejects)}, nil
}
