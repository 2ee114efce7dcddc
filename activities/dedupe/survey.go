package dedupe

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/rebased/rebased"
)

// fingerprint is a row and all that it is compared by.
type fingerprint struct {
	fact
	shingles []uint64 // sorted; nil when near-duplicates stay
	bands    []uint32 // one hash a band of its signature
	err      error
}

// survey reads all parts once. The block of a part holds, for each band, the keys of its rows, two to a word, and then the rows' shingles.
func survey(ctx context.Context, c Config, files Files) (*table, error) {
	t := &table{words: &words{limit: c.InMemory, open: files.Scratch}}
	if c.MinHash > 0 {
		t.banding = newBanding(c.MinHash)
	}
	makers := newPrintMakers(t.banding)
	for part := range c.Parts {
		examples, err := files.Read(ctx, part)
		if err != nil {
			return nil, err
		}
		prints, err := fingerprints(ctx, makers, examples)
		if err != nil {
			return nil, err
		}
		if err := t.enter(part, prints); err != nil {
			return nil, err
		}
	}
	t.first = append(t.first, int32(t.rows)) //nolint:gosec // rows fit in 31 bits
	return t, nil
}

// enter adds the rows of the next part.
func (t *table) enter(part int, prints []fingerprint) error {
	t.first = append(t.first, int32(t.rows)) //nolint:gosec // rows fit in 31 bits
	column := columnWords(len(prints))
	size := t.banding.bands * column
	for _, p := range prints {
		size += len(p.shingles)
	}
	block := make([]uint64, t.banding.bands*column, size)
	for i, p := range prints {
		if p.err != nil {
			return p.err
		}
		for band, key := range p.bands {
			block[band*column+i/2] |= uint64(key) << (32 * (i % 2)) //nolint:gosec // 0 or 32
		}
		p.part, p.from, p.size = int32(part), uint32(len(block)), uint32(len(p.shingles)) //nolint:gosec // of one part
		block = append(block, p.shingles...)
		t.add(p.fact)
	}
	return t.words.add(block)
}

// columnWords is how many words the keys of so many rows take.
func columnWords(rows int) int { return (rows + 1) / 2 }

// column puts the keys of one band into a list, by row.
func (t *table) column(band int, keys []uint32) error {
	for part := range len(t.first) - 1 {
		from, to := t.first[part], t.first[part+1]
		column := columnWords(int(to - from))
		packed, err := t.words.read(part, band*column, column)
		if err != nil {
			return err
		}
		for i := range keys[from:to] {
			keys[int(from)+i] = uint32(packed[i/2] >> (32 * (i % 2))) //nolint:gosec // one of the two halves
		}
	}
	return nil
}

// fingerprints computes one for each example, on every processor.
func fingerprints(ctx context.Context, makers []printMaker, examples []rebased.Example) ([]fingerprint, error) {
	prints := make([]fingerprint, len(examples))
	var group sync.WaitGroup
	for w := range makers {
		group.Go(func() {
			from, to := len(examples)*w/len(makers), len(examples)*(w+1)/len(makers)
			for i := from; i < to; i++ {
				if i%256 == 0 && ctx.Err() != nil {
					return
				}
				prints[i] = makers[w].print(&examples[i])
			}
		})
	}
	group.Wait()
	return prints, ctx.Err()
}

// printMaker computes fingerprints one after the other.
type printMaker struct {
	hasher     *hasher
	banding    banding // of no bands when near-duplicates stay
	normaliser *normaliser
	scratch    []uint64
}

// newPrintMakers makes one for each processor.
func newPrintMakers(b banding) []printMaker {
	makers := make([]printMaker, runtime.GOMAXPROCS(0))
	hasher := newHasher()
	for i := range makers {
		makers[i] = printMaker{hasher: hasher, banding: b, normaliser: newNormaliser()}
	}
	return makers
}

func (m *printMaker) print(e *rebased.Example) (f fingerprint) {
	id, err := e.Row.Key()
	if err != nil {
		f.err = fmt.Errorf("rank %d: %w", e.Rank, err)
		return f
	}
	input, output := m.normaliser.text(e.Input), m.normaliser.text(e.Output)
	f.fact = fact{
		input: digestOf(input), output: digestOf(output), id: id, score: e.Score,
		rank: int32(e.Rank), length: uint32(len(input) + len(output)), //nolint:gosec // fewer rows than 2^31, of less than 2 GiB
	}
	if m.banding.bands > 0 {
		f.shingles, m.scratch = shingles(compared(input, output), m.scratch)
		f.bands = m.banding.keys(m.hasher.sign(f.shingles))
	}
	return f
}

// compared joins what near-duplicates are compared by.
func compared(input, output string) string {
	if input == "" || output == "" {
		return input + output
	}
	return input + " " + output
}
