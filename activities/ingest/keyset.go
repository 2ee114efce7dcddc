package ingest

import "math/bits"

// keySet holds random 64-bit keys in some 10 bytes each; a map takes 26. It grows by a quarter, one of its 256 shards at a time.
type keySet struct {
	shards [256][]uint64 // open addressing; 0 is a free place
	counts [256]int
}

// add takes a key in and says whether it was there. The key 0 is taken for 1.
func (s *keySet) add(key uint64) (known bool) {
	key = max(key, 1)
	n := key >> 56
	if shard := s.shards[n]; s.counts[n]*5 >= len(shard)*4 {
		s.shards[n] = make([]uint64, len(shard)+len(shard)/4+16)
		for _, old := range shard {
			if old != 0 {
				putKey(s.shards[n], old)
			}
		}
	}
	if known = !putKey(s.shards[n], key); !known {
		s.counts[n]++
	}
	return known
}

// putKey puts a key where it belongs; false when it is there.
func putKey(shard []uint64, key uint64) bool {
	high, _ := bits.Mul64(key<<8, uint64(len(shard)))
	for at := int(high); ; at++ { //nolint:gosec // below the length
		if at == len(shard) {
			at = 0
		}
		switch shard[at] {
		case key:
			return false
		case 0:
			shard[at] = key
			return true
		}
	}
}
