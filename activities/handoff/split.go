package handoff

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// The splits of a version. The second is there when the task asks for it.
const (
	SplitTrain      = "train"
	SplitValidation = "validation"
)

// splits say which row is in which split. A share of the rows is for validation: those whose input has the lowest hashes. So the choice follows
// no order of the rows, hardly changes from one version to the next, and rows of equal input, whatever their case and spaces, are on one side.
// A share above zero gives at least one row to validation, as long as one is left to train on.
type splits struct {
	rows       int
	hashes     []uint64 // of the rows, in their order
	validation int      // rows of that split: those whose hash is at most limit
	limit      uint64
}

// newSplits decides from the hashes of all rows; those of a share of 0 need none.
func newSplits(rows int, hashes []uint64, share float64) splits {
	s := splits{rows: rows, hashes: hashes}
	if share == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(hashes))
	want := min(rows, max(1, int(math.Round(share*float64(rows)))))
	for s.validation < want {
		lowest, equal := sorted[s.validation], 0
		for _, h := range sorted[s.validation:] {
			if h != lowest {
				break
			}
			equal++
		}
		if s.validation+equal == rows {
			break // what is left is the only group to train on
		}
		s.validation, s.limit = s.validation+equal, lowest
	}
	return s
}

// hashOf is the same for inputs that differ in case and spaces only.
func hashOf(input string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(strings.ToLower(input)), " ")))
	return binary.BigEndian.Uint64(sum[:])
}

// of is the split of the n-th row.
func (s splits) of(n int) string {
	if s.validation > 0 && s.hashes[n] <= s.limit {
		return SplitValidation
	}
	return SplitTrain
}

// size is how many rows a split has.
func (s splits) size(split string) int {
	if split == SplitValidation {
		return s.validation
	}
	return s.rows - s.validation
}
