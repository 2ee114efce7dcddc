package retrieve

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strconv"

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

	content uint64 // hash of what the cells say; 0 = not known
	strong  uint64 // hash of what the cells say that are not weak; 0 = all are
	look    uint64 // sketch: the bits that two rows share tell how like they are
}

// weakLetters is how many letters and digits a cell needs to decide S_out in mode diverse.
const weakLetters = 12

// score computes the exact terms of a row. Of cells that are equally near the first one decides.
func (w *walk) score(from rough, held Stored) scored {
	in, inCell := nearest(w.aim.in, held, nil)
	out, outCell := nearest(w.aim.out, held, nil)
	row := scored{id: from.id, source: from.source}
	if w.diverse {
		weak := func(i int) bool { return w.weak(held, i) }
		if strong, cell := nearest(w.aim.out, held, weak); !math.IsInf(strong, -1) {
			out, outCell = strong, cell
		} else {
			out = min(out, 0)
		}
		row.content, row.strong, row.look = held.content(nil), held.content(weak), held.look()
	}
	row.sum = in + out + w.sources[from.source].data
	row.total, row.in, row.out = float32(row.sum/3), float32(in), float32(out)
	row.inCell, row.outCell = int32(inCell), int32(outCell) //nolint:gosec // checked by fits
	return row
}

// nearest finds the cell that is nearest to a vector of the task, those that skip names left out; -Inf when all are.
func nearest(query []float32, held Stored, skip func(i int) bool) (best float64, cell int) {
	best = math.Inf(-1)
	for i, v := range held.Vectors {
		if skip != nil && skip(i) {
			continue
		}
		if d := dot(query, v); d > best {
			best, cell = d, held.Cells[i]
		}
	}
	return best, cell
}

// weak reports whether the cell of a vector says too little to decide S_out: it is short, or stands in many rows of the corpus.
func (w *walk) weak(held Stored, i int) bool {
	if i < len(held.Letters) && held.Letters[i] < weakLetters {
		return true
	}
	if len(w.frequent) == 0 || i >= len(held.Hashes) {
		return false
	}
	_, often := w.frequent[held.Hashes[i]]
	return often
}

// frequent lists the texts that stand in many rows of a part of a corpus.
func frequent(corpus rebased.Corpus) (map[uint64]struct{}, error) {
	set := make(map[uint64]struct{})
	for _, part := range corpus.Parts {
		for _, text := range part.Frequent {
			hash, err := strconv.ParseUint(text, 16, 64)
			if err != nil {
				return nil, rebased.E(rebased.Invalid, "part %s of corpus %s lists a frequent text as %q, which is no hash: import again", part.Key, corpus.Name, text)
			}
			set[hash] = struct{}{}
		}
	}
	return set, nil
}

// content hashes what the cells of a row say, those that skip names left out, whatever their order and the names of their columns; 0 when none is
// left.
func (s Stored) content(skip func(i int) bool) uint64 {
	said := make([]uint64, 0, len(s.Hashes))
	for i, cell := range s.Hashes {
		if skip == nil || !skip(i) {
			said = append(said, cell)
		}
	}
	slices.Sort(said)
	h := uint64(0)
	for _, cell := range slices.Compact(said) {
		hi, lo := bits.Mul64(h^cell, 0x9e3779b97f4a7c15)
		h = hi ^ lo + 1
	}
	return h
}

// lookBits is the length of a sketch.
const lookBits = 64

// look sketches the direction of a row, the sum of its vectors: each bit says which of two dimensions is larger.
func (s Stored) look() (sketch uint64) {
	sum := make([]float64, len(s.Vectors[0]))
	for _, v := range s.Vectors {
		for i, x := range v {
			sum[i] += float64(x)
		}
	}
	for bit := range lookBits {
		if sum[2*bit%len(sum)] > sum[(2*bit+1)%len(sum)] {
			sketch |= 1 << bit
		}
	}
	return sketch
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
