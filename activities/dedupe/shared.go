package dedupe

import (
	"cmp"
	"math/bits"
	"slices"
)

// shared is those rows that have a key in common with another row, few as a rule, and which of them were kept so far. Rows are numbered by their
// place, the best row first, and are gone through in that order.
type shared struct {
	places []int32 // ascending
	group  []int32 // by entry, which is an index of places: entries of one group have one key
	last   []int32 // by group: 1 + the entry that was kept last; 0 = none
	before []int32 // by entry: what was last when this one was kept
	cursor int     // no entry before it is asked for any more
}

// entry finds a row. Rows are asked for in the order of their places; -1 = its key is its own.
func (s *shared) entry(place int32) int32 {
	for s.cursor < len(s.places) && s.places[s.cursor] < place {
		s.cursor++
	}
	if s.cursor < len(s.places) && s.places[s.cursor] == place {
		return int32(s.cursor) //nolint:gosec // rows fit in 31 bits
	}
	return -1
}

// keep makes an entry one that later rows find.
func (s *shared) keep(entry int32) {
	last := &s.last[s.group[entry]]
	s.before[entry], *last = *last, entry+1
}

// appendKept lists the places of the kept rows that have the key of an entry.
func (s *shared) appendKept(places []int32, entry int32) []int32 {
	for e := s.last[s.group[entry]]; e != 0; e = s.before[e-1] {
		places = append(places, s.places[e-1])
	}
	return places
}

// sharer finds shared keys, one kind of key after the other.
type sharer struct {
	rows        int
	seen, again []uint64 // bits, by the low end of the key: met once, met twice
	pairs       []keyed
	known       map[members]bool // groups that were found before and need not be found again; nil = find all
}

// members stands for the rows of a group: the sums of two hashes.
type members [2]uint64

func membersOf(pairs []keyed) (m members) {
	for _, p := range pairs {
		place := uint64(p.place) //nolint:gosec // never negative
		m[0] += mix(place^0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)
		m[1] += mix(place^0x94d049bb133111eb, 0xd6e8feb86659fd93)
	}
	return m
}

// keyed is a row that may share its key.
type keyed struct {
	key   uint64
	place int32
	group int32
}

func newSharer(rows int) *sharer {
	size := max(1, 1<<bits.Len(uint(8*rows))/64) // so that few keys meet others by chance
	return &sharer{rows: rows, seen: make([]uint64, size), again: make([]uint64, size)}
}

// find gives the rows that share their keys. Keys are hashes.
func (s *sharer) find(key func(place int32) uint64) *shared {
	clear(s.seen)
	clear(s.again)
	mask := uint64(len(s.seen)*64 - 1) //nolint:gosec // a size
	for place := range int32(s.rows) { //nolint:gosec // rows fit in 31 bits
		word, bit := key(place)&mask/64, uint64(1)<<(key(place)%64)
		s.again[word] |= s.seen[word] & bit
		s.seen[word] |= bit
	}
	s.pairs = s.pairs[:0]
	for place := range int32(s.rows) { //nolint:gosec // see above
		if k := key(place); s.again[k&mask/64]>>(k%64)&1 != 0 {
			s.pairs = append(s.pairs, keyed{key: k, place: place})
		}
	}
	return s.group()
}

// take gives the rows of groups that were found elsewhere, by place.
func (s *sharer) take(rows, group, places []int32) *shared {
	s.pairs = s.pairs[:0]
	for i, row := range rows {
		s.pairs = append(s.pairs, keyed{key: uint64(group[i]), place: places[row]}) //nolint:gosec // an index
	}
	return s.group()
}

// group drops the pairs that met by chance, and groups that are known, and numbers the others.
func (s *sharer) group() *shared {
	slices.SortFunc(s.pairs, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.place, b.place)) })
	grouped, groups := s.pairs[:0], int32(0)
	for i := 0; i < len(s.pairs); {
		end := i + 1
		for end < len(s.pairs) && s.pairs[end].key == s.pairs[i].key {
			end++
		}
		if end-i > 1 && s.fresh(s.pairs[i:end]) {
			for _, p := range s.pairs[i:end] {
				p.group = groups
				grouped = append(grouped, p)
			}
			groups++
		}
		i = end
	}
	slices.SortFunc(grouped, func(a, b keyed) int { return cmp.Compare(a.place, b.place) })
	found := &shared{
		places: make([]int32, len(grouped)), group: make([]int32, len(grouped)), before: make([]int32, len(grouped)), last: make([]int32, groups),
	}
	for i, p := range grouped {
		found.places[i], found.group[i] = p.place, p.group
	}
	return found
}

// fresh reports whether a group is to be found.
func (s *sharer) fresh(pairs []keyed) bool {
	if s.known == nil {
		return true
	}
	m := membersOf(pairs)
	if s.known[m] {
		return false
	}
	s.known[m] = true
	return true
}
