package dedupe

import "math/bits"

// nearIndex finds kept rows that are near-duplicates of a row: locality sensitive hashing proposes them, their true Jaccard decides.
// Rows are numbered by their place, the best row first. Each band is a hash table of chains, sized for all rows once.
type nearIndex struct {
	threshold float64
	rows      []*fingerprint
	bands     []bandTable
	mask      uint32
	looked    []int32 // by kept row: 1 + the last row that was compared with it, so that a pair is verified once
}

// bandTable chains the kept rows by the slot of their hash. Row numbers are stored plus one: zero ends a chain.
type bandTable struct {
	head []int32 // by slot
	next []int32 // by row
}

func newNearIndex(threshold float64, rows []*fingerprint) *nearIndex {
	slots := 1 << bits.Len(uint(len(rows)))
	x := &nearIndex{
		threshold: threshold, rows: rows, bands: make([]bandTable, newBanding(threshold).bands),
		mask: uint32(slots - 1), looked: make([]int32, len(rows)), //nolint:gosec // rows fit in 31 bits
	}
	for i := range x.bands {
		x.bands[i] = bandTable{head: make([]int32, slots), next: make([]int32, len(rows))}
	}
	return x
}

// add makes a row one that others are compared with. A row without text has nothing to resemble.
func (x *nearIndex) add(row int) {
	if len(x.rows[row].shingles) == 0 {
		return
	}
	for band, key := range x.rows[row].bands {
		table := &x.bands[band]
		slot := key & x.mask
		table.next[row] = table.head[slot]
		table.head[slot] = int32(row + 1) //nolint:gosec // rows fit in 31 bits
	}
}

// closest gives the added row of the highest Jaccard at or above the threshold, the better row among equals; -1 when there is none.
func (x *nearIndex) closest(row int) (kept int, similarity float64) {
	kept = -1
	own, mark := x.rows[row], int32(row+1) //nolint:gosec // rows fit in 31 bits
	for band, key := range own.bands {
		table := &x.bands[band]
		for link := table.head[key&x.mask]; link != 0; link = table.next[link-1] {
			other := int(link - 1)
			if x.looked[other] == mark || x.rows[other].bands[band] != key {
				continue
			}
			x.looked[other] = mark
			s, near := jaccard(own.shingles, x.rows[other].shingles, x.threshold)
			if near && (s > similarity || s == similarity && other < kept) {
				kept, similarity = other, s
			}
		}
	}
	return kept, similarity
}
