package retrieve

import (
	"cmp"
	"math"

	"github.com/rebased/rebased"
)

// scored is a row with its exact scores.
type scored struct {
	id      rebased.RowID
	source  *source
	sum     float64 // S_in + S_out + S_data
	total   float32 // a third of it
	in      float32
	out     float32
	inCell  int // place in the row of the cell that decided S_in
	outCell int // and S_out
	part    string
	row     int // place in the part
}

// score computes the exact terms of a row. Of cells that are equally near the first one decides.
func (a aim) score(id rebased.RowID, s *source, held Stored) scored {
	in, inCell := nearest(a.in, held)
	out, outCell := nearest(a.out, held)
	sum := in + out + s.data
	return scored{
		id: id, source: s, sum: sum, total: float32(sum / 3), in: float32(in), out: float32(out),
		inCell: inCell, outCell: outCell, part: held.Part, row: held.Row,
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
	return len(s.Vectors) > 0 && len(s.Cells) == len(s.Vectors)
}

// compare is the order of the ranking: by the score that is reported, descending, then by id.
func compare(a, b scored) int {
	return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.id, b.id))
}
