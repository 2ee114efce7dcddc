package retrieve

import (
	"cmp"
	"math"
	"slices"
)

// Bounds of the grouping. A narrower band needs a shorter list, more bands need more queries.
const (
	maxBands     = 16
	minBandWidth = 0.02 // of S_data
	minLimit     = 256  // rows of a band's first list
)

// band is a group of datasets of nearly equal S_data and how far the list of their rows is known.
type band struct {
	sources []*source // by S_data, descending
	limit   int       // of the next query
	tail    float64   // no row beyond the list has a larger MaxSim: +Inf before the first query, -Inf when the list is complete
}

// newBands cuts the range of S_data into equal widths and drops those without a dataset.
func newBands(sources []*source, rows int) []*band {
	sorted := slices.Clone(sources)
	slices.SortFunc(sorted, func(a, b *source) int {
		return cmp.Or(cmp.Compare(b.data, a.data), cmp.Compare(a.String(), b.String()))
	})
	width := minBandWidth
	if len(sorted) > 0 {
		width = max(width, (sorted[0].data-sorted[len(sorted)-1].data)/maxBands)
	}
	var bands []*band
	for _, s := range sorted {
		if len(bands) == 0 || s.data <= bands[len(bands)-1].sources[0].data-width {
			bands = append(bands, &band{tail: math.Inf(1)})
		}
		last := bands[len(bands)-1]
		last.sources = append(last.sources, s)
	}
	for _, b := range bands {
		b.limit = max(minLimit, rows/len(bands))
	}
	return bands
}

// bound says how large the sum of a row of the band can be that the list does not show.
func (b *band) bound(full func(*source) bool) float64 {
	for _, s := range b.sources {
		if !full(s) {
			return b.tail + s.data
		}
	}
	return math.Inf(-1)
}
