package ingest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/rebased/rebased"
)

// When a short text of a part is frequent. Shorter ones say too little anyway, longer ones are told one by one.
const (
	frequentLeast  = 12  // letters and digits
	frequentMost   = 64  // the same
	frequentBytes  = 512 // a longer text is not looked at
	frequentRows   = 20  // that it stands in
	frequentShare  = 100 // one row in so many
	frequentListed = 64  // texts a part, those in most rows first
)

// Frequent lists the short texts that stand in many of some rows, by rebased.TextHash as 16 hex digits, ascending.
func Frequent(rows []rebased.Row) []string {
	counts := map[uint64]int{}
	last := map[uint64]int{} // the row that a text was last counted in
	for i, row := range rows {
		for _, cell := range row.Cells {
			if len(cell.Text) < frequentLeast || len(cell.Text) > frequentBytes {
				continue
			}
			if n := rebased.TextLetters(cell.Text); n < frequentLeast || n > frequentMost {
				continue
			}
			hash := rebased.TextHash(cell.Text)
			if last[hash] != i+1 {
				counts[hash]++
				last[hash] = i + 1
			}
		}
	}
	least := max(frequentRows, len(rows)/frequentShare)
	maps.DeleteFunc(counts, func(_ uint64, n int) bool { return n < least })
	hashes := slices.SortedFunc(maps.Keys(counts), func(a, b uint64) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	var listed []string
	for _, hash := range hashes[:min(len(hashes), frequentListed)] {
		listed = append(listed, fmt.Sprintf("%016x", hash))
	}
	slices.Sort(listed)
	return listed
}
