package shard

import (
	"iter"
	"math/bits"
)

// bitset is a set of slots.
type bitset []uint64

func newBitset(slots int) bitset { return make(bitset, (slots+63)/64) }

func (b bitset) add(slot uint32)      { b[slot/64] |= 1 << (slot % 64) }
func (b bitset) remove(slot uint32)   { b[slot/64] &^= 1 << (slot % 64) }
func (b bitset) has(slot uint32) bool { return b[slot/64]&(1<<(slot%64)) != 0 }
func (b bitset) clone() bitset        { return append(bitset(nil), b...) }

func (b bitset) union(other bitset) {
	for i, w := range other {
		b[i] |= w
	}
}

func (b bitset) subtract(other bitset) {
	for i, w := range other {
		b[i] &^= w
	}
}

func (b bitset) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// all yields the slots in ascending order.
func (b bitset) all() iter.Seq[uint32] { return b.words(0, len(b)) }

// words yields the slots of the words from first to before last, in ascending order.
func (b bitset) words(first, last int) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := first; i < last; i++ {
			for w := b[i]; w != 0; w &= w - 1 {
				if !yield(uint32(i*64 + bits.TrailingZeros64(w))) { //nolint:gosec // slots fit 32 bits
					return
				}
			}
		}
	}
}
