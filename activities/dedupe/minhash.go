package dedupe

import "math"

// permutations is the number of MinHash values of a row.
const permutations = 128

// signature holds, for each permutation, the least hash of a set: two sets agree at a place with the probability of their Jaccard similarity
// (Broder, "On the resemblance and containment of documents", 1997).
type signature [permutations]uint32

// hasher is a family of hash functions, the same in every process: signatures made anywhere can be compared.
type hasher struct{ keys [permutations / 2][2]uint64 }

func newHasher() *hasher {
	h := &hasher{}
	state := uint64(0)
	next := func() uint64 { // SplitMix64
		state += 0x9e3779b97f4a7c15
		z := (state ^ state>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	for i := range h.keys {
		h.keys[i] = [2]uint64{next(), next() | 1}
	}
	return h
}

// sign computes the signature of a set. One product gives the hashes of two permutations, its halves.
func (h *hasher) sign(set []uint64) *signature {
	sig := &signature{}
	for i, key := range h.keys {
		low, high := uint32(math.MaxUint32), uint32(math.MaxUint32)
		for _, x := range set {
			v := mix(x^key[0], key[1])
			low = min(low, uint32(v)) //nolint:gosec // the lower half is meant
			high = min(high, uint32(v>>32))
		}
		sig[2*i], sig[2*i+1] = low, high
	}
	return sig
}

// banding says how a signature is cut: rows are candidates when all values of one band agree.
type banding struct{ bands, width int }

// maxMiss is the probability at which a pair right at the threshold may be overlooked.
const maxMiss = 0.001

// newBanding cuts so many values into the widest bands, hence the fewest candidates, that overlook no more than maxMiss of the pairs whose values
// agree with a probability.
func newBanding(agree float64, values int) banding {
	best := banding{bands: values, width: 1}
	for width := 2; width <= values; width++ {
		b := banding{bands: values / width, width: width}
		if math.Pow(1-math.Pow(agree, float64(width)), float64(b.bands)) <= maxMiss {
			best = b
		}
	}
	return best
}

// appendKeys appends one hash a band.
func (b banding) appendKeys(keys []uint32, sig []uint32) []uint32 {
	for band := range b.bands {
		h := uint64(band) //nolint:gosec // an index
		for _, v := range sig[band*b.width : (band+1)*b.width] {
			h = mix(h^uint64(v), 0x9fb21c651e98df25)
		}
		keys = append(keys, uint32(h>>32))
	}
	return keys
}
