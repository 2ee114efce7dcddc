package dedupe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/rebased/rebased"
)

// digest stands for a normalised text: long enough that two texts never share one.
type digest [16]byte

func digestOf(text string) digest {
	sum := sha256.Sum256([]byte(text))
	return digest(sum[:])
}

// fact is what is held of a row.
type fact struct {
	input, output digest
	id            rebased.RowKey
	score         float32
	rank          int32
	length        uint32 // bytes of the compared text
	part          int32
	from, size    uint32 // where the row's shingles stand in the block of its part, behind the keys, and how many they are
	verified      bool
	blank         bool // its vector is zero
}

// chunkRows is how many facts are allocated together: the list grows without being copied.
const chunkRows = 4096

// table is the facts of all rows. Rows are numbered in the order in which they were read.
type table struct {
	chunks  [][]fact
	rows    int
	first   []int32 // by part: its first row; one more at the end
	words   *words
	sketch  sketch
	keyless bool     // the blocks hold no keys
	parts   int      // of the build; further ones are given
	given   []string // by given part: where its rows stand
}

// isGiven reports whether a row is not of the build.
func (t *table) isGiven(row int32) bool { return int(t.at(row).part) >= t.parts }

// name is what a row is called: its id, and where it stands when it is a given one.
func (t *table) name(row int32) rebased.RowID {
	f := t.at(row)
	switch {
	case !t.isGiven(row):
		return f.id.ID()
	case f.id == rebased.RowKey{}:
		return rebased.RowID(fmt.Sprintf("%s:%d", t.given[int(f.part)-t.parts], f.rank))
	}
	return rebased.RowID(t.given[int(f.part)-t.parts]) + "/" + f.id.ID()
}

func (t *table) at(row int32) *fact { return &t.chunks[row/chunkRows][row%chunkRows] }

func (t *table) add(f fact) {
	if t.rows%chunkRows == 0 {
		t.chunks = append(t.chunks, make([]fact, 0, chunkRows))
	}
	last := &t.chunks[len(t.chunks)-1]
	*last = append(*last, f)
	t.rows++
}

// all numbers the rows from 0 on.
func (t *table) all() []int32 {
	rows := make([]int32, t.rows)
	for i := range rows {
		rows[i] = int32(i) //nolint:gosec // rows fit in 31 bits
	}
	return rows
}

// bestFirst gives the rows from the best to the worst: those given in their order, then the others. The digests come last, so that the order is total
// even where ids repeat.
func (t *table) bestFirst() []int32 {
	rows := t.all()
	slices.SortFunc(rows, func(i, j int32) int {
		a, b := t.at(i), t.at(j)
		switch given, other := t.isGiven(i), t.isGiven(j); {
		case given && other:
			return cmp.Compare(i, j)
		case given != other:
			return before(given)
		case a.verified != b.verified:
			return before(a.verified)
		}
		if c := cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.length, a.length), bytes.Compare(a.id[:], b.id[:])); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.rank, b.rank), bytes.Compare(a.input[:], b.input[:]), bytes.Compare(a.output[:], b.output[:]), cmp.Compare(i, j))
	})
	return rows
}

func before(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

// byRank gives the places of the build's rows, of a list of all rows, in the order of their ranks, then of their ids.
func (t *table) byRank(rows []int32) []int32 {
	places := slices.DeleteFunc(t.all(), func(place int32) bool { return t.isGiven(rows[place]) })
	slices.SortFunc(places, func(i, j int32) int {
		a, b := t.at(rows[i]), t.at(rows[j])
		return cmp.Or(cmp.Compare(a.rank, b.rank), bytes.Compare(a.id[:], b.id[:]), cmp.Compare(i, j))
	})
	return places
}

// keyWords is how many words of a block its keys take.
func (t *table) keyWords(part int32) int {
	if t.keyless {
		return 0
	}
	return t.sketch.bands() * columnWords(int(t.first[part+1]-t.first[part]))
}

// shingles gives the sorted set of a row, which is valid until the next call.
func (t *table) shingles(row int32) ([]uint64, error) {
	f := t.at(row)
	return t.words.read(int(f.part), t.keyWords(f.part)+int(f.from), int(f.size))
}

// vector gives the vector of a row, two values a word, valid until the next call.
func (t *table) vector(row int32) ([]uint64, error) {
	part, size := t.at(row).part, t.sketch.vectorWords()
	return t.words.read(int(part), t.keyWords(part)+int(row-t.first[part])*size, size)
}
