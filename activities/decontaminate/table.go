package decontaminate

import "iter"

// table maps hashes to places, in 13 bytes a slot. Several places may have one hash.
type table struct {
	hashes []uint64 // 0 = free
	places []uint32
	filter []uint64 // a bit for each hash, among 8 a slot: most hashes that are not there are told so by memory that stays in the cache
	used   int
}

const leastSlots = 1 << 10

// spread makes the low bits of a hash depend on all of it.
func spread(hash uint64) uint64 {
	hash *= 0xff51afd7ed558ccd
	return hash ^ hash>>32
}

func (t *table) slot(hash uint64) (at, mask uint64) {
	mask = uint64(len(t.hashes) - 1) //nolint:gosec // a size
	return spread(hash) & mask, mask
}

// bit is where the filter has a hash.
func (t *table) bit(hash uint64) (word, bit uint64) {
	at := spread(hash) >> 3 & uint64(len(t.filter)*64-1) //nolint:gosec // a size
	return at / 64, 1 << (at % 64)
}

// all gives the places of a hash.
func (t *table) all(hash uint64) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if t.used == 0 {
			return
		}
		hash = max(hash, 1)
		if word, bit := t.bit(hash); t.filter[word]&bit == 0 {
			return
		}
		for at, mask := t.slot(hash); t.hashes[at] != 0; at = (at + 1) & mask {
			if t.hashes[at] == hash && !yield(t.places[at]) {
				return
			}
		}
	}
}

// put adds a place.
func (t *table) put(hash uint64, place uint32) {
	if 4*(t.used+1) > 3*len(t.hashes) {
		t.grow()
	}
	hash = max(hash, 1)
	word, bit := t.bit(hash)
	t.filter[word] |= bit
	at, mask := t.slot(hash)
	for t.hashes[at] != 0 {
		at = (at + 1) & mask
	}
	t.hashes[at], t.places[at] = hash, place
	t.used++
}

func (t *table) grow() {
	old := *t
	size := max(leastSlots, 2*len(old.hashes))
	*t = table{hashes: make([]uint64, size), places: make([]uint32, size), filter: make([]uint64, size/8)}
	for i, hash := range old.hashes {
		if hash != 0 {
			t.put(hash, old.places[i])
		}
	}
}
