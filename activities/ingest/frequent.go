package ingest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"unicode"
	"unicode/utf8"

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
//
// Few texts recur, so their openings are counted first, in a sketch that may count too many but never too few; hashed are those whose opening recurs.
func Frequent(rows []rebased.Row) []string {
	least := max(frequentRows, len(rows)/frequentShare)
	var sketch [1 << 16]uint32
	var places []uint16 // in the sketch, of the cells of all rows
	for _, row := range rows {
		for _, cell := range row.Cells {
			place := uint16(0)
			if mayBeFrequent(cell.Text) {
				place = opening(cell.Text)
				sketch[place]++
			}
			places = append(places, place)
		}
	}
	counts := map[uint64]int{}
	last := map[uint64]int{} // the row that a text was last counted in
	at := 0
	for i, row := range rows {
		for _, cell := range row.Cells {
			place := places[at]
			at++
			if int(sketch[place]) < least || !mayBeFrequent(cell.Text) {
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
	maps.DeleteFunc(counts, func(_ uint64, n int) bool { return n < least })
	hashes := slices.SortedFunc(maps.Keys(counts), func(a, b uint64) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	var listed []string
	for _, hash := range hashes[:min(len(hashes), frequentListed)] {
		listed = append(listed, fmt.Sprintf("%016x", hash))
	}
	slices.Sort(listed)
	return listed
}

func mayBeFrequent(text string) bool { return len(text) >= frequentLeast && len(text) <= frequentBytes }

// opening is a hash of the first letters and digits of a text, in lower case: texts of one rebased.TextHash have one opening.
func opening(text string) uint16 {
	hash := uint64(14695981039346656037) // FNV-1a
	for i, n := 0, 0; i < len(text) && n < frequentLeast; {
		r, size := rune(text[i]), 1
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
		case r < utf8.RuneSelf:
			i++
			continue
		default:
			r, size = utf8.DecodeRuneInString(text[i:])
			if r = unicode.ToLower(r); !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				i += size
				continue
			}
		}
		hash = (hash ^ uint64(r)) * 1099511628211 //nolint:gosec // not negative
		i, n = i+size, n+1
	}
	return uint16(hash >> 48) //nolint:gosec // its highest bits
}
