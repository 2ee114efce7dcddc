package dedupe

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

// How a text is cut into shingles.
const (
	wordGram    = 3
	runeGram    = 5
	fewestWords = 8 // a text with fewer is cut into characters: a word more or less would change too many of its trigrams
)

// shingles gives the set of a normalised text's shingles as sorted 64-bit hashes; an empty text has none. words is scratch space.
func shingles(text string, words []uint64) (set, scratch []uint64) {
	words = appendWords(words[:0], text)
	if len(words) >= fewestWords {
		set = wordShingles(words)
	} else {
		set = runeShingles(text)
	}
	slices.Sort(set)
	return slices.Clip(slices.Compact(set)), words
}

// appendWords hashes the words of a normalised text (FNV-1a).
func appendWords(words []uint64, text string) []uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	for text != "" {
		word, rest, _ := strings.Cut(text, " ")
		h := uint64(offset)
		for i := range len(word) {
			h = (h ^ uint64(word[i])) * prime
		}
		words, text = append(words, h), rest
	}
	return words
}

func wordShingles(words []uint64) []uint64 {
	set := make([]uint64, len(words)-wordGram+1)
	for i := range set {
		set[i] = mix(mix(words[i], 0x9e3779b97f4a7c15)+words[i+1], 0xd6e8feb86659fd93^words[i+2])
	}
	return set
}

// runeShingles hashes every five characters in a row; a shorter text is one shingle.
func runeShingles(text string) []uint64 {
	var runes []rune
	for _, r := range text {
		runes = append(runes, r)
	}
	if len(runes) == 0 {
		return nil
	}
	set := make([]uint64, 0, max(1, len(runes)-runeGram+1))
	for len(runes) > runeGram {
		set = append(set, mixRunes(runes[:runeGram]))
		runes = runes[1:]
	}
	return append(set, mixRunes(runes))
}

// mixRunes hashes up to five characters: of 21 bits each, three to a word.
func mixRunes(runes []rune) uint64 {
	var packed [2]uint64
	for i, r := range runes {
		packed[i/3] = packed[i/3]<<21 | uint64(r) //nolint:gosec // a rune is never negative
	}
	return mix(packed[0]^0xa0761d6478bd642f, packed[1]^0xe7037ed1a0b428db)
}

// mix folds the product of two words, which spreads every bit of both over the result (as wyhash does).
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// jaccard gives the similarity of two sorted sets if it reaches the threshold; it stops as soon as it cannot.
func jaccard(a, b []uint64, threshold float64) (similarity float64, reached bool) {
	total := len(a) + len(b)
	// J >= t needs that many shared: |A∩B| >= t/(1+t) · (|A|+|B|). One less is asked for here, so that rounding never decides.
	need := int(math.Floor(threshold / (1 + threshold) * float64(total)))
	spare := total - 2*need // elements that may stay without a partner
	shared, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		x, y := a[i], b[j]
		if x == y {
			shared++
			i, j = i+1, j+1
			continue
		}
		if spare--; spare < 0 {
			return 0, false
		}
		if x < y {
			i++
		} else {
			j++
		}
	}
	if shared == 0 {
		return 0, false
	}
	similarity = float64(shared) / float64(total-shared)
	return similarity, similarity >= threshold
}
