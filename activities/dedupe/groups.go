package dedupe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/rebased/rebased"
)

// Groups puts rows that say nearly the same together: rows of equal input after normalisation, rows that were made of one source row, and rows whose
// inputs have a Jaccard similarity of a threshold, of all their shingles; and what belongs to one of a group belongs to it. It holds some 180 bytes
// a row: of 1,000,000 rows 180 MB, and their shingles in a scratch file.
//
// Pairs are proposed by sorting the rows by pieces of their outlines, one byte of each MinHash value, and looking at the neighbours of each (as in an
// LSH forest, Bawa et al. 2005), so that rows which share a template cost no more than others. A pair right at the threshold is overlooked with a
// probability of about one in a thousand where few rows are alike. The groups do not depend on the order of the rows.
type Groups struct {
	makers   []groupMaker
	words    *words
	outlines [][]outline // in chunks, so that the list grows without being copied
	places   []place
	inputs   []digest
	sources  []uint64 // 0 = not known
	own      []uint64 // shingles; reused
}

// outline is the low byte of a hash of each MinHash value.
type outline [permutations]uint8

// place is where the shingles of a row stand.
type place struct{ block, from, size uint32 }

// NewGroups makes it for rows to come. scratch opens an empty file, at most once; it belongs to the caller.
func NewGroups(scratch func() (Scratch, error)) *Groups {
	g := &Groups{makers: make([]groupMaker, runtime.GOMAXPROCS(0)), words: &words{limit: InMemory, open: scratch}}
	hasher := newHasher()
	for i := range g.makers {
		g.makers[i] = groupMaker{hasher: hasher, normaliser: newNormaliser()}
	}
	return g
}

// groupMaker computes what is held of rows, one after the other.
type groupMaker struct {
	hasher     *hasher
	normaliser *normaliser
	scratch    []uint64
}

type grouped struct {
	input    digest
	source   uint64
	outline  outline
	shingles []uint64
}

func (m *groupMaker) group(e *rebased.Example) (g grouped) {
	input := m.normaliser.text(e.Input)
	if g.input = digestOf(input); e.Row != "" {
		source := fnv.New64a()
		_, _ = source.Write([]byte(e.Row)) // cannot fail
		g.source = source.Sum64()
	}
	if g.shingles, m.scratch = shingles(input, m.scratch); len(g.shingles) > 0 {
		for i, v := range m.hasher.sign(g.shingles) {
			g.outline[i] = uint8(mix(uint64(v), 0x9fb21c651e98df25)) //nolint:gosec // the low byte is meant
		}
	}
	return g
}

// Add takes in the next rows. Unavailable: the scratch file fails.
func (g *Groups) Add(rows []rebased.Example) error {
	made := make([]grouped, len(rows))
	var group sync.WaitGroup
	for w := range g.makers {
		group.Go(func() {
			for i := len(rows) * w / len(g.makers); i < len(rows)*(w+1)/len(g.makers); i++ {
				made[i] = g.makers[w].group(&rows[i])
			}
		})
	}
	group.Wait()
	var block []uint64
	number := uint32(len(g.words.starts)) //nolint:gosec // a number of parts
	for i := range made {
		m := &made[i]
		if len(g.inputs)%chunkRows == 0 {
			g.outlines = append(g.outlines, make([]outline, 0, chunkRows))
		}
		last := &g.outlines[len(g.outlines)-1]
		*last = append(*last, m.outline)
		g.inputs, g.sources = append(g.inputs, m.input), append(g.sources, m.source)
		g.places = append(g.places, place{number, uint32(len(block)), uint32(len(m.shingles))}) //nolint:gosec // of one part
		block = append(block, m.shingles...)
	}
	return g.words.add(block)
}

// Find gives for each row the number of its group's first row. A threshold over 1 leaves rows apart that are not equal and of different sources.
func (g *Groups) Find(ctx context.Context, threshold float64) ([]int32, error) {
	j := joined{of: make([]int32, len(g.inputs))}
	for i := range j.of {
		j.of[i] = int32(i) //nolint:gosec // rows fit in 31 bits
	}
	sorted := slices.Clone(j.of)
	j.equal(sorted, func(a, b int32) int {
		return bytes.Compare(g.inputs[a][:], g.inputs[b][:])
	})
	known := slices.DeleteFunc(sorted, func(row int32) bool { return g.sources[row] == 0 })
	j.equal(known, func(a, b int32) int { return cmp.Compare(g.sources[a], g.sources[b]) })
	if err := g.near(ctx, &j, threshold); err != nil {
		return nil, err
	}
	for i := range j.of {
		j.of[i] = j.root(int32(i)) //nolint:gosec // rows fit in 31 bits
	}
	return j.of, nil
}

// joined is a forest of groups; the root of each is its first row.
type joined struct{ of []int32 }

func (j *joined) root(row int32) int32 {
	for j.of[row] != row {
		j.of[row] = j.of[j.of[row]]
		row = j.of[row]
	}
	return row
}

func (j *joined) join(a, b int32) {
	a, b = j.root(a), j.root(b)
	j.of[max(a, b)] = min(a, b)
}

// equal joins the rows that compare equal.
func (j *joined) equal(rows []int32, compare func(a, b int32) int) {
	slices.SortFunc(rows, compare)
	for i := 1; i < len(rows); i++ {
		if compare(rows[i-1], rows[i]) == 0 {
			j.join(rows[i-1], rows[i])
		}
	}
}

const (
	treeStep   = 3 // values that one tree begins behind the one before
	treeDeep   = 8 // values that a tree sorts by
	treeShared = 3 // values that two neighbours share at least
	neighbours = 8 // that a row is compared with in a tree, behind it
)

// leastAlike is how many values of two outlines agree at least where their shingles are compared: three standard deviations less than the threshold's.
func leastAlike(threshold float64) int {
	return int(permutations*threshold - 3*math.Sqrt(permutations*threshold*(1-threshold)))
}

// near joins the rows whose inputs are near.
func (g *Groups) near(ctx context.Context, j *joined, threshold float64) error {
	if threshold > 1 {
		return nil
	}
	entries := make([]entry, 0, len(g.places))
	for from := 0; from < permutations; from += treeStep {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		entries = entries[:0]
		for row, p := range g.places {
			if p.size > 0 {
				row := int32(row) //nolint:gosec // rows fit in 31 bits
				entries = append(entries, entry{g.outline(row).key(from), row})
			}
		}
		slices.SortFunc(entries, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.key, b.key), bytes.Compare(g.inputs[a.row][:], g.inputs[b.row][:]))
		})
		if err := g.tree(entries, j, threshold); err != nil {
			return err
		}
	}
	return nil
}

// entry is a row in a tree.
type entry struct {
	key uint64
	row int32
}

// tree joins the neighbours in a sorted tree that are near.
func (g *Groups) tree(entries []entry, j *joined, threshold float64) error {
	least := leastAlike(threshold)
	for i, e := range entries {
		for _, other := range entries[i+1 : min(len(entries), i+1+neighbours)] {
			if bits.LeadingZeros64(e.key^other.key) < 8*treeShared {
				break
			}
			if j.root(e.row) == j.root(other.row) || g.outline(e.row).alike(g.outline(other.row)) < least {
				continue
			}
			near, err := g.compare(e.row, other.row, threshold)
			if err != nil {
				return err
			}
			if near {
				j.join(e.row, other.row)
			}
		}
	}
	return nil
}

// compare reports whether two rows are near by all their shingles.
func (g *Groups) compare(a, b int32, threshold float64) (bool, error) {
	one, other := g.places[a], g.places[b]
	set, err := g.words.read(int(one.block), int(one.from), int(one.size))
	if err != nil {
		return false, err
	}
	g.own = append(g.own[:0], set...)
	if set, err = g.words.read(int(other.block), int(other.from), int(other.size)); err != nil {
		return false, err
	}
	_, near := jaccard(g.own, set, threshold)
	return near, nil
}

func (g *Groups) outline(row int32) *outline { return &g.outlines[row/chunkRows][row%chunkRows] }

// key is the values of a tree, in the order that it sorts by.
func (s *outline) key(from int) uint64 {
	var piece [treeDeep]byte
	for i := range piece {
		piece[i] = s[(from+i)%permutations]
	}
	return binary.BigEndian.Uint64(piece[:])
}

// alike counts the values that agree.
func (s *outline) alike(other *outline) (n int) {
	for i := range s {
		if s[i] == other[i] {
			n++
		}
	}
	return n
}
