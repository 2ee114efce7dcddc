package retrieve

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/rebased/rebased"
)

// scored is a row with its exact scores.
type scored struct {
	sum     float64 // S_in + S_out + S_data
	id      rebased.RowKey
	source  int32   // place in the walk's sources
	total   float32 // a third of sum
	in      float32
	out     float32
	inCell  int32 // place in the row of the cell that decided S_in
	outCell int32 // and S_out
	part    int32 // place in the ranking's parts; part and row are known once locate has found them
	row     int32 // place in the part
}

// score computes the exact terms of a row. Of cells that are equally near the first one decides.
func (w *walk) score(from rough, held Stored) scored {
	in, inCell := nearest(w.aim.in, held)
	out, outCell := nearest(w.aim.out, held)
	sum := in + out + w.sources[from.source].data
	return scored{
		sum: sum, id: from.id, source: from.source, total: float32(sum / 3), in: float32(in), out: float32(out),
		inCell: int32(inCell), outCell: int32(outCell), //nolint:gosec // checked by fits
	}
}

func nearest(query []float32, held Stored) (best float64, cell int) {
	best = math.Inf(-1)
	for i, v := range held.Vectors {
		if d := dot(query, v); d > best {
			best, cell = d, held.Cells[i]
		}
	}
	return best, cell
}

// fits reports whether the vectors of a row can be compared with the task's.
func (s Stored) fits(a aim) bool {
	for _, v := range s.Vectors {
		if len(v) != len(a.in) {
			return false
		}
	}
	n := len(s.Vectors)
	return n > 0 && len(s.Cells) == n && len(s.Hashes) == n && len(s.Letters) == n && small(slices.Min(s.Cells)) && small(slices.Max(s.Cells))
}

func small(place int) bool { return place >= 0 && place <= math.MaxInt32 }

// compare is the order of the ranking: by the score that is reported, descending, then by id.
func compare(a, b scored) int {
	return cmp.Or(cmp.Compare(b.total, a.total), bytes.Compare(a.id[:], b.id[:]))
}
