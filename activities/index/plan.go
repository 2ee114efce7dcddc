package index

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/rebased/rebased"
)

// Bounds of one batch: so little that a batch takes seconds, so much that what it costs to start one does not count.
const (
	batchRows  = 2048
	batchBytes = 64 << 20 // of the parts that are read for it
)

// Plan is what an update does: which rows it writes and which it removes. It is made once, by Begin, and stands in the bucket until Finish.
type Plan struct {
	Revision string `json:"revision"` // that the index is brought to
	Work     []Work `json:"work"`     // by part
	Batches  []int  `json:"batches"`  // place in Work where each batch begins
	Rows     int    `json:"rows"`     // to write
	Gone     []byte `json:"gone"`     // keys of the rows to remove, 16 bytes each
}

// Work is rows of one part that are to be written.
type Work struct {
	Part int     `json:"part"`           // place in the corpus
	Rows []int32 `json:"rows,omitempty"` // places in the part, ascending; none = all

	Copies string `json:"copies,omitempty"` // a table that has these rows too; "" = none
	At     int    `json:"at,omitempty"`     // place of the first of them there
}

// rows is how many rows are to be written.
func (w Work) rows(corpus rebased.Corpus) int {
	if len(w.Rows) > 0 {
		return len(w.Rows)
	}
	return corpus.Parts[w.Part].Rows
}

// newPlan cuts work into batches, in the order of the tables that it is read from.
func newPlan(corpus rebased.Corpus, work []Work, gone []rebased.RowKey) Plan {
	slices.SortFunc(work, func(a, b Work) int {
		return cmp.Or(cmp.Compare(a.Copies, b.Copies), cmp.Compare(a.At, b.At), cmp.Compare(a.Part, b.Part))
	})
	plan := Plan{Revision: corpus.Revision, Work: work}
	rows, bytes := batchRows, int64(0)
	for i, w := range work {
		n, size := w.rows(corpus), corpus.Parts[w.Part].Size
		if w.Copies != "" {
			size = 0 // the rows alone are read
		}
		if rows+n > batchRows || bytes+size > batchBytes {
			plan.Batches = append(plan.Batches, i)
			rows, bytes = 0, 0
		}
		rows, bytes, plan.Rows = rows+n, bytes+size, plan.Rows+n
	}
	for _, id := range gone {
		plan.Gone = append(plan.Gone, id[:]...)
	}
	return plan
}

// Removes is how many rows are to be removed.
func (p Plan) Removes() int { return len(p.Gone) / len(rebased.RowKey{}) }

// batch gives the work of the n-th batch.
func (p Plan) batch(n int) []Work {
	end := len(p.Work)
	if n+1 < len(p.Batches) {
		end = p.Batches[n+1]
	}
	return p.Work[p.Batches[n]:end]
}

// gone gives the rows to remove.
func (p Plan) gone() []rebased.RowKey { return keys(p.Gone) }

// keys reads keys of 16 bytes each.
func keys(body []byte) []rebased.RowKey {
	ids := make([]rebased.RowKey, len(body)/len(rebased.RowKey{}))
	for i := range ids {
		copy(ids[i][:], body[i*len(ids[i]):])
	}
	return ids
}

// StorePlan writes a plan into the bucket and gives its key. Plans that runs left behind which were broken off are removed: of a corpus one run is
// under way at a time.
func StorePlan(ctx context.Context, objects rebased.Objects, corpus string, plan Plan) (key string, err error) {
	body, err := json.Marshal(plan)
	if err != nil {
		return "", fmt.Errorf("encode the plan of the index: %w", err)
	}
	sum := sha256.Sum256(body)
	key = rebased.CorpusPlanKey(corpus, hex.EncodeToString(sum[:]))
	for left, err := range objects.List(ctx, path.Dir(key)+"/") {
		if err == nil && left.Key != key {
			err = objects.Delete(ctx, left.Key)
		}
		if err != nil {
			return "", fmt.Errorf("remove the plan of a run before: %w", err)
		}
	}
	if _, err := objects.Put(ctx, key, body); err != nil {
		return "", fmt.Errorf("write the plan of the index: %w", err)
	}
	return key, nil
}

// LoadPlan reads a plan of a corpus. NotFound: its update has ended.
func LoadPlan(ctx context.Context, objects rebased.Objects, corpus rebased.Corpus, key string) (plan Plan, err error) {
	body, _, err := objects.Get(ctx, key)
	if err != nil {
		return Plan{}, fmt.Errorf("read the plan of the index: %w", err)
	}
	if err := json.Unmarshal(body, &plan); err != nil {
		return Plan{}, rebased.E(rebased.Invalid, "read the plan of the index %s: %w", key, err)
	}
	for _, w := range plan.Work {
		if plan.Revision != corpus.Revision || w.Part < 0 || w.Part >= len(corpus.Parts) {
			return Plan{}, rebased.E(rebased.Invalid, "the plan of the index %s is not of revision %s: run `rebased index %s` again", key, corpus.Revision, corpus.Name)
		}
	}
	return plan, nil
}
