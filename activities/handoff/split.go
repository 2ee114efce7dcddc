package handoff

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// The splits of a version. The second is there when the task asks for it.
const (
	SplitTrain      = "train"
	SplitValidation = "validation"
)

// split takes a share of the rows for validation: those whose input has the lowest hashes. So the choice follows no order of the rows, hardly
// changes from one version to the next, and rows of equal input, whatever their case and spaces, are on one side. Both keep the rows' order.
// A share above zero gives at least one row to validation, as long as one is left to train on.
func split(examples []rebased.Example, share float64) (train, validation []rebased.Example) {
	if share == 0 {
		return examples, nil
	}
	hashes := make([]uint64, len(examples))
	byHash := map[uint64][]int{}
	for i, e := range examples {
		sum := sha256.Sum256([]byte(strings.Join(strings.Fields(strings.ToLower(e.Input)), " ")))
		hashes[i] = binary.BigEndian.Uint64(sum[:])
		byHash[hashes[i]] = append(byHash[hashes[i]], i)
	}
	sorted := slices.SortedFunc(slices.Values(hashes), cmp.Compare[uint64])
	want := max(1, int(math.Round(share*float64(len(examples)))))
	chosen := make([]bool, len(examples))
	for taken := 0; taken < want; {
		group := byHash[sorted[taken]]
		if taken+len(group) == len(examples) {
			break // what is left is the only group to train on
		}
		for _, i := range group {
			chosen[i] = true
		}
		taken += len(group)
	}
	for i, e := range examples {
		if chosen[i] {
			validation = append(validation, e)
		} else {
			train = append(train, e)
		}
	}
	return train, validation
}
