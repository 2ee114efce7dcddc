package index

import (
	"context"
	"fmt"
	"slices"

	"github.com/rebased/rebased"
)

// Bounds of one write to the index: what a server with default settings takes in one message, with room to spare.
const (
	maxBatchPoints = 512
	maxBatchBytes  = 8 << 20 // of vectors
)

// PartResult is what was done to one part.
type PartResult struct {
	Rows   int  // points that the part has in the index
	Cells  int  // vectors written by this call
	Blank  int  // rows written by this call that have no vector
	Reused bool // the part was wholly indexed before
}

// Part brings one part into the index that Begin returned. It skips a part whose rows are all there, and else goes on at row from, which is
// where an earlier attempt last reported to stand (0 for a first one). It calls progress with the number of rows done after each step, at
// least once for every thousand or so encoded cells. Invalid: the index is of another encoder, or the part does not hold the rows it should.
func (x *Indexer) Part(ctx context.Context, idx rebased.Index, part rebased.Part, from int, progress func(rows int)) (PartResult, error) {
	if idx.Encoder != x.encoder.Identity() {
		return PartResult{}, rebased.E(rebased.Invalid, "index %s is of encoder %q, not of %q", idx.Collection, idx.Encoder, x.encoder.Identity())
	}
	ids, err := rebased.ReadPartIDs(ctx, x.objects, x.rows, part.File)
	if err != nil {
		return PartResult{}, err
	}
	held, err := x.writer.Has(ctx, idx.Collection, ids)
	if err != nil {
		return PartResult{}, fmt.Errorf("look for the rows of %s in the index: %w", part.Key, err)
	}
	if !slices.Contains(held, false) {
		return PartResult{Rows: part.Rows, Reused: true}, nil
	}
	rows, err := x.rows.Read(ctx, part.Key)
	if err != nil {
		return PartResult{}, fmt.Errorf("read %s: %w", part.Key, err)
	}
	if len(rows) != part.Rows {
		return PartResult{}, rebased.E(rebased.Invalid, "%s holds %d rows, its manifest says %d: import the corpus again", part.Key, len(rows), part.Rows)
	}
	result := PartResult{Rows: len(rows)}
	for done := max(0, min(from, len(rows))); done < len(rows); {
		end := batchEnd(rows, done, idx.Dimensions)
		points, err := x.points(ctx, rows[done:end], func() { progress(done) })
		if err != nil {
			return PartResult{}, fmt.Errorf("encode rows of %s: %w", part.Key, err)
		}
		if err := x.writer.Upsert(ctx, idx.Collection, points); err != nil {
			return PartResult{}, fmt.Errorf("write rows of %s to the index: %w", part.Key, err)
		}
		for _, p := range points {
			result.Cells += len(p.Vectors)
			if len(p.Vectors) == 0 {
				result.Blank++
			}
		}
		done = end
		progress(done)
	}
	return result, nil
}

// batchEnd says where the batch that starts at a row ends: at least one row, and as many as the bounds of a write allow.
func batchEnd(rows []rebased.Row, start, dimensions int) int {
	bytes := 0
	for i := start; i < len(rows); i++ {
		bytes += min(len(rows[i].Cells), maxVectors(dimensions)) * dimensions * 4
		if i > start && (bytes > maxBatchBytes || i-start == maxBatchPoints) {
			return i
		}
	}
	return len(rows)
}
