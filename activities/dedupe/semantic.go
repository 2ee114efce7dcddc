package dedupe

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"github.com/rebased/rebased"
)

// planes is a family of random hyperplanes, the same in every process: two vectors lie on the same side of one with a probability of 1 - angle/π
// (Charikar, "Similarity estimation techniques from rounding algorithms", 2002). A plane's normal is 1 or -1 in each dimension.
type planes struct {
	signs [][planeCount]uint8 // by eight dimensions and plane, a bit a dimension
}

// planeCount is how many hyperplanes there are.
const planeCount = 1024

func newPlanes(dimensions int) *planes {
	p := &planes{signs: make([][planeCount]uint8, (dimensions+7)/8)}
	state := uint64(0)
	for i := range p.signs {
		for plane := range p.signs[i] {
			state += 0x9e3779b97f4a7c15
			p.signs[i][plane] = uint8(mix(state^0xa0761d6478bd642f, 0xe7037ed1a0b428db) >> 56) //nolint:gosec // eight bits
		}
	}
	return p
}

// sides tells for each plane on which side a vector lies, 0 or 1. The sums of eight dimensions are the same for many planes.
func (p *planes) sides(vector []float32) []uint32 {
	var sums [planeCount]float32
	var eight [256]float32
	for i := range p.signs {
		some := vector[8*i : min(len(vector), 8*i+8)]
		eight[0] = 0
		for _, v := range some {
			eight[0] -= v
		}
		for signs := 1; signs < len(eight); signs++ {
			eight[signs] = eight[signs&(signs-1)]
			if at := bits.TrailingZeros(uint(signs)); at < len(some) { //nolint:gosec // never negative
				eight[signs] += some[at] + some[at]
			}
		}
		for plane, signs := range &p.signs[i] {
			sums[plane] += eight[signs]
		}
	}
	sides := make([]uint32, planeCount)
	for plane, sum := range sums {
		if sum > 0 {
			sides[plane] = 1
		}
	}
	return sides
}

// sameSide is the probability that two vectors of a cosine lie on the same side of a plane.
func sameSide(cosine float64) float64 { return 1 - math.Acos(cosine)/math.Pi }

// cosines compares rows by their vectors.
func cosines(t *table) measure {
	return measure{
		cause: semanticDuplicate, words: t.vector, like: cosine,
		blank: func(f *fact) bool { return f.blank },
		apart: func(*fact, *fact) bool { return false },
	}
}

// cosine gives the similarity of two vectors of unit length if it reaches the threshold. It is summed in one order, without fused operations, so that
// every machine finds the same.
func cosine(a, b []uint64, threshold float64) (similarity float64, reached bool) {
	for i, x := range a {
		y := b[i]
		similarity += float64(float64(math.Float32frombits(uint32(x))) * float64(math.Float32frombits(uint32(y))))         //nolint:gosec,unconvert // the lower half; not fused
		similarity += float64(float64(math.Float32frombits(uint32(x>>32))) * float64(math.Float32frombits(uint32(y>>32)))) //nolint:unconvert // not fused
	}
	return similarity, similarity >= threshold
}

// vectors encodes the texts of some rows.
func vectors(ctx context.Context, encoder rebased.Encoder, texts []string) ([][]float32, error) {
	found, err := encoder.Encode(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("encode %d rows by %s: %w", len(texts), encoder.Identity(), err)
	}
	if len(found) != len(texts) {
		return nil, fmt.Errorf("encoder %s gave %d vectors for %d texts", encoder.Identity(), len(found), len(texts))
	}
	for _, v := range found {
		if len(v) != encoder.Dimensions() {
			return nil, rebased.E(rebased.Invalid, "encoder %s gave a vector of %d dimensions, it has %d", encoder.Identity(), len(v), encoder.Dimensions())
		}
	}
	return found, nil
}

// appendVector appends a vector, two values a word, and tells whether it is zero.
func appendVector(words []uint64, vector []float32) (_ []uint64, blank bool) {
	blank = true
	for i := 0; i < len(vector); i += 2 {
		word := uint64(math.Float32bits(vector[i]))
		blank = blank && vector[i] == 0
		if i+1 < len(vector) {
			word |= uint64(math.Float32bits(vector[i+1])) << 32
			blank = blank && vector[i+1] == 0
		}
		words = append(words, word)
	}
	return words, blank
}
