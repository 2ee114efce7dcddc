package retrieve

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/rebased/rebased"
)

const (
	// slack is how much a server's MaxSim may differ from the exact one by the rounding of its float32 sums.
	slack = 1e-5
	// fetchStep is how many rows' vectors are read at once, and diverseStep in mode diverse, where many fall behind once they are scored.
	fetchStep   = 256
	diverseStep = 1024
)

// walk gives the rows of a corpus one by one in the order of the score, without a scan of the corpus on this side.
//
// The index orders rows by MaxSim = S_in + S_out alone, so a prefix of its list holds the best rows only up to the differences in S_data.
// Datasets are therefore grouped into bands of nearly equal S_data, each with a list of its own. A row that no list has shown yet has a sum
// of at most the last MaxSim seen in its band plus the largest S_data there; the next row of the ranking is certain once its own sum is
// strictly above that bound in every band. The list that has the largest bound is the one that grows, by doubling: a query costs the server
// one pass over the band, whatever its limit.
//
// Hits carry the server's rounding; they only decide whose vectors are read. The order is that of the exact scores. In mode diverse these can be
// lower than what the hits say, never higher, so that the bounds hold.
type walk struct {
	index      Index
	collection string
	aim        aim
	full       func(*source) bool  // rows of this one are of no use any more
	diverse    bool                // weak cells do not decide
	frequent   map[uint64]struct{} // texts that are weak though they are not short, by rebased.TextHash

	sources []*source

	bands []*band
	met   map[rebased.RowKey]struct{}
	near  []rough // met, vectors not read yet; descending
	exact ahead   // vectors read, not given yet
}

// rough is a row as a query shows it.
type rough struct {
	sum    float64 // S_in + S_out + S_data, within slack
	id     rebased.RowKey
	source int32 // place in the walk's sources
}

var _ ranked = (*walk)(nil)

// newWalk starts a walk that is expected to go about so many rows far.
func newWalk(index Index, collection string, aim aim, sources []*source, rows int, full func(*source) bool) *walk {
	w := &walk{
		index: index, collection: collection, aim: aim, full: full, sources: sources,
		met: make(map[rebased.RowKey]struct{}),
	}
	w.bands = newBands(sources, rows)
	return w
}

// next gives the next row; ok is false after the last one.
func (w *walk) next(ctx context.Context) (row scored, ok bool, err error) {
	for {
		bound, widest := w.bound()
		rest := bound
		if len(w.near) > 0 {
			rest = max(rest, w.near[0].sum)
		}
		switch {
		case len(w.exact) > 0 && w.exact[0].sum > rest+slack:
			return heap.Pop(&w.exact).(scored), true, nil //nolint:forcetypeassert // it holds no others
		case len(w.near) > 0 && w.near[0].sum >= bound:
			err = w.fetch(ctx, bound)
		case widest != nil:
			err = w.grow(ctx, widest)
		default:
			return scored{}, false, nil
		}
		if err != nil {
			return scored{}, false, err
		}
	}
}

// bound says how large the sum of a row can be that was not met yet, and in which band; no band when all were met.
func (w *walk) bound() (most float64, widest *band) {
	most = math.Inf(-1)
	for _, b := range w.bands {
		if bound := b.bound(w.full); bound > most {
			most, widest = bound, b
		}
	}
	return most, widest
}

// grow asks for a longer list of a band's rows. Datasets that are full are left out of it: what is behind their rows comes into view.
func (w *walk) grow(ctx context.Context, b *band) error {
	var open []int32
	query := Query{Collection: w.collection, Vectors: [][]float32{w.aim.in, w.aim.out}, Limit: b.limit}
	for _, s := range b.sources {
		if !w.full(s) {
			open = append(open, s.place)
			query.Datasets = append(query.Datasets, s.DatasetID)
		}
	}
	hits, err := w.index.Query(ctx, query)
	if err != nil {
		return fmt.Errorf("query %d rows of %d datasets: %w", query.Limit, len(query.Datasets), err)
	}
	b.tail = math.Inf(-1)
	if len(hits) == b.limit {
		b.tail = float64(hits[len(hits)-1].Score)
	}
	if err := w.meet(hits, open); err != nil {
		return err
	}
	b.limit *= 2
	return nil
}

// meet takes in the rows of a list that were not met before; open are the places of the datasets that were asked for.
func (w *walk) meet(hits []Hit, open []int32) error {
	fresh := hits[:0]
	for _, hit := range hits {
		if hit.Dataset < 0 || int(hit.Dataset) >= len(open) {
			return rebased.E(rebased.Unavailable, "index %s gave row %s of a dataset that was not asked for", w.collection, hit.Row.ID())
		}
		if _, known := w.met[hit.Row]; !known {
			w.met[hit.Row] = struct{}{}
			fresh = append(fresh, hit)
		}
	}
	w.near = slices.Grow(w.near, len(fresh))
	for _, hit := range fresh {
		source := open[hit.Dataset]
		w.near = append(w.near, rough{id: hit.Row, source: source, sum: float64(hit.Score) + w.sources[source].data})
	}
	slices.SortFunc(w.near, func(a, b rough) int { return cmp.Or(cmp.Compare(b.sum, a.sum), bytes.Compare(a.id[:], b.id[:])) })
	return nil
}

// fetch computes the exact scores of the best rows met, down to the bound. Rows of full datasets pass with the rough one.
func (w *walk) fetch(ctx context.Context, bound float64) error {
	n, step := 0, fetchStep
	if w.diverse {
		step = diverseStep
	}
	var ids []rebased.RowID
	for ; n < len(w.near) && w.near[n].sum >= bound && len(ids) < step; n++ {
		if !w.full(w.sources[w.near[n].source]) {
			ids = append(ids, w.near[n].id.ID())
		}
	}
	held, err := w.index.Rows(ctx, w.collection, ids)
	if err != nil {
		return fmt.Errorf("read the vectors of %d rows: %w", len(ids), err)
	}
	for _, row := range w.near[:n] {
		stored, ok := held[row.id.ID()]
		switch {
		case ok && stored.fits(w.aim):
			heap.Push(&w.exact, w.score(row, stored))
		case w.full(w.sources[row.source]):
			heap.Push(&w.exact, scored{id: row.id, source: row.source, sum: row.sum, total: float32(row.sum / 3)})
		default:
			return rebased.E(rebased.Unavailable, "index %s has no vectors of row %s, which it had just found", w.collection, row.id.ID())
		}
	}
	w.near = w.near[n:]
	return nil
}

// ahead is a heap of rows, the next of the ranking on top.
type ahead []scored

func (a *ahead) Len() int           { return len(*a) }
func (a *ahead) Less(i, j int) bool { return compare((*a)[i], (*a)[j]) < 0 }
func (a *ahead) Swap(i, j int)      { (*a)[i], (*a)[j] = (*a)[j], (*a)[i] }
func (a *ahead) Push(row any)       { *a = append(*a, row.(scored)) } //nolint:forcetypeassert // it holds no others

// Pop implements heap.Interface.
func (a *ahead) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
