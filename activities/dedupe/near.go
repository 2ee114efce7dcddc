package dedupe

import (
	"context"
	"slices"
)

// nearIndex finds kept rows that are near-duplicates of a row: locality sensitive hashing proposes them, their true Jaccard decides.
// Rows are numbered by their place, the best row first, and are asked for in that order.
type nearIndex struct {
	*table
	threshold float64
	rows      []int32 // by place
	bands     []*shared
	entries   []int32 // of the row asked for last, by band
	proposed  []int32 // places; reused
	own       []uint64
	cache     cache
}

// newNearIndex finds for each band the rows that share a key. Near-duplicates share many bands, of which one is enough to propose them.
func newNearIndex(ctx context.Context, threshold float64, t *table, rows []int32, s *sharer) (*nearIndex, error) {
	x := &nearIndex{
		table: t, threshold: threshold, rows: rows, bands: make([]*shared, t.banding.bands), entries: make([]int32, t.banding.bands),
		cache: cache{sets: map[int32][]uint64{}},
	}
	keys := make([]uint32, len(rows))
	s.known = map[members]bool{}
	for band := range x.bands {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := t.column(band, keys); err != nil {
			return nil, err
		}
		x.bands[band] = s.find(func(place int32) uint64 { return uint64(keys[rows[place]]) })
	}
	return x, nil
}

// keep makes the row asked for last one that others are compared with. A row without text has nothing to resemble.
func (x *nearIndex) keep() {
	for band, entry := range x.entries {
		if entry >= 0 {
			x.bands[band].keep(entry)
		}
	}
}

// propose lists the kept rows that share a band with a row, each once.
func (x *nearIndex) propose(place int32) {
	x.proposed = x.proposed[:0]
	for band, s := range x.bands {
		x.entries[band] = -1
		if x.at(x.rows[place]).size == 0 {
			continue
		}
		if x.entries[band] = s.entry(place); x.entries[band] >= 0 {
			x.proposed = s.appendKept(x.proposed, x.entries[band])
		}
	}
	slices.Sort(x.proposed)
	x.proposed = slices.Compact(x.proposed)
}

// closest gives the kept row of the highest Jaccard at or above the threshold, the better row among equals; -1 when there is none.
func (x *nearIndex) closest(place int32) (kept int32, similarity float64, err error) {
	kept = -1
	if x.propose(place); len(x.proposed) == 0 {
		return kept, 0, nil
	}
	set, err := x.shingles(x.rows[place])
	if err != nil {
		return -1, 0, err
	}
	x.own = append(x.own[:0], set...)
	for _, other := range x.proposed {
		if x.apart(place, other) {
			continue
		}
		set, err := x.cache.shingles(x.table, x.rows[other])
		if err != nil {
			return -1, 0, err
		}
		if s, near := jaccard(x.own, set, x.threshold); near && s > similarity {
			kept, similarity = other, s
		}
	}
	return kept, similarity, nil
}

// apart reports that two sets differ too much in size to be near: at best the smaller one is part of the larger.
func (x *nearIndex) apart(a, b int32) bool {
	one, other := x.at(x.rows[a]).size, x.at(x.rows[b]).size
	return float64(min(one, other))/float64(max(one, other)) < x.threshold
}

// cacheWords is how much of the scratch file is held in memory.
const cacheWords = 1 << 20

// cache holds sets that were read from the scratch file: a kept row of a large family is compared with many others.
type cache struct {
	sets map[int32][]uint64 // by row
	size int                // words
}

func (c *cache) shingles(t *table, row int32) ([]uint64, error) {
	if t.words.file == nil {
		return t.shingles(row)
	}
	if set, ok := c.sets[row]; ok {
		return set, nil
	}
	set, err := t.shingles(row)
	if err != nil {
		return nil, err
	}
	if c.size += len(set); c.size > cacheWords {
		clear(c.sets)
		c.size = len(set)
	}
	c.sets[row] = slices.Clone(set)
	return c.sets[row], nil
}
