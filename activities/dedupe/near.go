package dedupe

import (
	"context"
	"slices"
)

// similar finds kept rows that are like a row: locality sensitive hashing proposes them, their true similarity decides. Rows are numbered by their
// place, the best row first, and are asked for in that order.
type similar struct {
	*table
	measure
	threshold float64
	rows      []int32 // by place
	bands     []*shared
	entries   []int32 // of the row that was entered last, by band
	proposed  []int32 // places; reused
	own       []uint64
	cache     cache
}

// measure is one way of being alike.
type measure struct {
	cause cause
	// words gives what a row is compared by, valid until the next call; blank tells rows that have nothing of it, which are like none.
	words func(row int32) ([]uint64, error)
	blank func(f *fact) bool
	// apart reports that two rows cannot be like each other, from their facts alone.
	apart func(a, b *fact) bool
	// like gives the similarity of two rows if it reaches the threshold.
	like func(a, b []uint64, threshold float64) (similarity float64, reached bool)
}

// newIndexes makes the indexes of the rules that are on, in the order in which they are asked.
func newIndexes(ctx context.Context, c Config, t *table, rows []int32, s *sharer) ([]*similar, error) {
	var indexes []*similar
	add := func(threshold float64, first, bands int, m measure) error {
		x := &similar{
			table: t, measure: m, threshold: threshold, rows: rows, bands: make([]*shared, bands), entries: make([]int32, bands),
			cache: cache{sets: map[int32][]uint64{}},
		}
		indexes = append(indexes, x)
		return x.fill(ctx, first, s, c.Prints)
	}
	if near := t.sketch.near; near.bands > 0 {
		if err := add(c.MinHash, 0, near.bands, jaccards(t, c.MinHash)); err != nil {
			return nil, err
		}
	}
	if semantic := t.sketch.semantic; semantic.bands > 0 {
		if err := add(c.Semantic.Least(), t.sketch.near.bands, semantic.bands, cosines(t)); err != nil {
			return nil, err
		}
	}
	return indexes, nil
}

// fill finds for each band, numbered from first, the rows that share a key. Rows that are alike share many bands, of which one is enough to
// propose them.
func (x *similar) fill(ctx context.Context, first int, s *sharer, prints *Prints) error {
	keys := make([]uint32, len(x.rows))
	s.known = map[members]bool{}
	if prints != nil {
		places := make([]int32, len(x.rows)) // by row
		for place, row := range x.rows {
			places[row] = int32(place) //nolint:gosec // rows fit in 31 bits
		}
		return prints.each(ctx, x.sketch.bands(), first, len(x.bands), func(band int, rows, group []int32) {
			x.bands[band-first] = s.take(rows, group, places)
		})
	}
	for band := range x.bands {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := x.column(first+band, keys); err != nil {
			return err
		}
		x.bands[band] = s.find(func(place int32) uint64 { return uint64(keys[x.rows[place]]) })
	}
	return nil
}

// enter finds where the row of the next place stands in each band.
func (x *similar) enter(place int32) {
	blank := x.blank(x.at(x.rows[place]))
	for band, s := range x.bands {
		if x.entries[band] = -1; !blank {
			x.entries[band] = s.entry(place)
		}
	}
}

// keep makes the row that was entered last one that others are compared with.
func (x *similar) keep() {
	for band, entry := range x.entries {
		if entry >= 0 {
			x.bands[band].keep(entry)
		}
	}
}

// propose lists the kept rows that share a band with the row that was entered last, each once.
func (x *similar) propose() {
	x.proposed = x.proposed[:0]
	for band, entry := range x.entries {
		if entry >= 0 {
			x.proposed = x.bands[band].appendKept(x.proposed, entry)
		}
	}
	slices.Sort(x.proposed)
	x.proposed = slices.Compact(x.proposed)
}

// closest gives the kept row most like the row that was entered last, at or above the threshold, the better row among equals; -1 when there is none.
func (x *similar) closest(place int32) (kept int32, similarity float64, err error) {
	kept = -1
	if x.propose(); len(x.proposed) == 0 {
		return kept, 0, nil
	}
	row := x.rows[place]
	words, err := x.measure.words(row)
	if err != nil {
		return -1, 0, err
	}
	x.own = append(x.own[:0], words...)
	for _, other := range x.proposed {
		if x.apart(x.at(row), x.at(x.rows[other])) {
			continue
		}
		words, err := x.cached(x.rows[other])
		if err != nil {
			return -1, 0, err
		}
		if s, near := x.like(x.own, words, x.threshold); near && s > similarity {
			kept, similarity = other, s
		}
	}
	return kept, similarity, nil
}

// jaccards compares rows by their shingles.
func jaccards(t *table, threshold float64) measure {
	return measure{
		cause: nearDuplicate, words: t.shingles, like: jaccard,
		blank: func(f *fact) bool { return f.size == 0 },
		apart: func(a, b *fact) bool { // at best the smaller set is part of the larger
			return float64(min(a.size, b.size))/float64(max(a.size, b.size)) < threshold
		},
	}
}

// cacheWords is how much of the scratch file is held in memory.
const cacheWords = 1 << 20

// cache holds what was read of kept rows from the scratch file: one of a large family is compared with many others.
type cache struct {
	sets map[int32][]uint64 // by row
	size int                // words
}

// cached gives what a kept row is compared by.
func (x *similar) cached(row int32) ([]uint64, error) {
	if x.table.words.file == nil {
		return x.measure.words(row)
	}
	c := &x.cache
	if set, ok := c.sets[row]; ok {
		return set, nil
	}
	set, err := x.measure.words(row)
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
