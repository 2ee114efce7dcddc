package retrieve

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/rebased/rebased"
)

const (
	// slack is how much a server's MaxSim may differ from the exact one by the rounding of its float32 sums.
	slack = 1e-5
	// fetchStep is how many rows' vectors are read at once.
	fetchStep = 256
)

// walk gives the rows of a corpus one by one in the order of the score, without a scan of the corpus on this side.
//
// The index orders rows by MaxSim = S_in + S_out alone, so a prefix of its list holds the best rows only up to the differences in S_data.
// Datasets are therefore grouped into bands of nearly equal S_data, each with a list of its own. A row that no list has shown yet has a sum
// of at most the last MaxSim seen in its band plus the largest S_data there; the next row of the ranking is certain once its own sum is
// strictly above that bound in every band. The list that has the largest bound is the one that grows, by doubling: a query costs the server
// one pass over the band, whatever its limit.
//
// Hits carry the server's rounding; they only decide whose vectors are read. The order is that of the exact scores.
type walk struct {
	index      Index
	collection string
	aim        aim
	full       func(dataset string) bool // rows of this dataset are of no use any more

	bands []*band
	met   map[rebased.RowID]bool
	near  []rough  // met, vectors not read yet; descending
	exact []scored // vectors read, not given yet; in the order of the ranking
}

// rough is a row as a query shows it.
type rough struct {
	id     rebased.RowID
	source *source
	sum    float64 // S_in + S_out + S_data, within slack
}

// newWalk starts a walk that is expected to go about so many rows far.
func newWalk(index Index, collection string, aim aim, sources []*source, rows int, full func(dataset string) bool) *walk {
	w := &walk{index: index, collection: collection, aim: aim, full: full, met: make(map[rebased.RowID]bool)}
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
			row, w.exact = w.exact[0], w.exact[1:]
			return row, true, nil
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
	open := make(map[rebased.DatasetID]*source, len(b.sources))
	query := Query{Collection: w.collection, Vectors: [][]float32{w.aim.in, w.aim.out}, Limit: b.limit}
	for _, s := range b.sources {
		if !w.full(s.Name) {
			open[s.DatasetID] = s
			query.Datasets = append(query.Datasets, s.DatasetID)
		}
	}
	hits, err := w.index.Query(ctx, query)
	if err != nil {
		return fmt.Errorf("query %d rows of %d datasets: %w", query.Limit, len(query.Datasets), err)
	}
	for _, hit := range hits {
		s := open[hit.Dataset]
		if s == nil {
			return rebased.E(rebased.Unavailable, "index %s gave row %s of %s, which was not asked for", w.collection, hit.ID, hit.Dataset)
		}
		if !w.met[hit.ID] {
			w.met[hit.ID] = true
			w.near = append(w.near, rough{id: hit.ID, source: s, sum: float64(hit.Score) + s.data})
		}
	}
	slices.SortFunc(w.near, func(a, b rough) int { return cmp.Or(cmp.Compare(b.sum, a.sum), cmp.Compare(a.id, b.id)) })
	b.tail = math.Inf(-1)
	if len(hits) == b.limit {
		b.tail = float64(hits[len(hits)-1].Score)
	}
	b.limit *= 2
	return nil
}

// fetch computes the exact scores of the best rows met, down to the bound. Rows of full datasets pass with the rough one.
func (w *walk) fetch(ctx context.Context, bound float64) error {
	n := 0
	var ids []rebased.RowID
	for ; n < len(w.near) && w.near[n].sum >= bound && len(ids) < fetchStep; n++ {
		if !w.full(w.near[n].source.Name) {
			ids = append(ids, w.near[n].id)
		}
	}
	held, err := w.index.Rows(ctx, w.collection, ids)
	if err != nil {
		return fmt.Errorf("read the vectors of %d rows: %w", len(ids), err)
	}
	for _, row := range w.near[:n] {
		stored, ok := held[row.id]
		switch {
		case ok && stored.fits(w.aim):
			w.exact = append(w.exact, w.aim.score(row.id, row.source, stored))
		case w.full(row.source.Name):
			w.exact = append(w.exact, scored{id: row.id, source: row.source, sum: row.sum, total: float32(row.sum / 3)})
		default:
			return rebased.E(rebased.Unavailable, "index %s has no vectors of row %s, which it had just found", w.collection, row.id)
		}
	}
	w.near = w.near[n:]
	slices.SortFunc(w.exact, compare)
	return nil
}
