package dedupe

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/rebased/rebased"
)

// sketch says what is made of each row: a band's key for every band of the rules by likeness that are on, and what they compare.
type sketch struct {
	near, semantic banding // of no bands where the rule is off
	dimensions     int     // of vectors
}

func newSketch(c Config) (s sketch, err error) {
	if c.MinHash > 0 {
		s.near = newBanding(c.MinHash, permutations)
	}
	if c.Semantic != nil {
		if c.Encoder == nil {
			return s, rebased.E(rebased.Invalid, "dedupe.semantic: no encoder is open for it")
		}
		s.semantic, s.dimensions = newBanding(sameSide(c.Semantic.Least()), planeCount), c.Encoder.Dimensions()
	}
	return s, nil
}

func (s sketch) bands() int { return s.near.bands + s.semantic.bands }

// vectorWords is how many words a vector takes.
func (s sketch) vectorWords() int { return (s.dimensions + 1) / 2 }

// rowPrint is a row and all that it is compared by.
type rowPrint struct {
	fact
	shingles []uint64 // sorted; nil when near-duplicates stay
	vector   []float32
	bands    []uint32 // one hash a band
	text     string   // what is encoded
	err      error
}

// block is what is known of the rows of one part: their facts, and the words of a block: for each band the keys of its rows, two to a word, then the
// rows' vectors, then their shingles.
type block struct {
	source string // of given rows
	facts  []fact
	words  []uint64
}

// newBlock puts together the prints of a part.
func (s sketch) newBlock(prints []rowPrint) (block, error) {
	column := columnWords(len(prints))
	size := s.bands()*column + len(prints)*s.vectorWords()
	for _, p := range prints {
		size += len(p.shingles)
	}
	b := block{facts: make([]fact, len(prints)), words: make([]uint64, s.bands()*column, size)}
	for i, p := range prints {
		if p.err != nil {
			return block{}, p.err
		}
		for band, key := range p.bands {
			b.words[band*column+i/2] |= uint64(key) << (32 * (i % 2)) //nolint:gosec // 0 or 32
		}
		if s.dimensions > 0 {
			b.words, prints[i].blank = appendVector(b.words, p.vector)
		}
	}
	for i, p := range prints {
		b.facts[i] = p.fact
		b.facts[i].from, b.facts[i].size = uint32(len(b.words)-s.bands()*column), uint32(len(p.shingles)) //nolint:gosec // of one part
		b.words = append(b.words, p.shingles...)
	}
	return b, nil
}

// survey learns all about the rows, by reading them once, or by what others have made of them.
func survey(ctx context.Context, c Config, files Files) (*table, error) {
	if c.InMemory == 0 {
		c.InMemory = InMemory
	}
	t := &table{words: &words{limit: c.InMemory, open: files.Scratch}, parts: c.Parts}
	var err error
	if t.sketch, err = newSketch(c); err != nil {
		return nil, err
	}
	if t.keyless = c.Prints != nil; t.keyless {
		err = c.Prints.blocks(ctx, t.enter)
	} else {
		err = eachBlock(ctx, c, files.Read, t.enter)
	}
	t.first = append(t.first, int32(t.rows)) //nolint:gosec // rows fit in 31 bits
	return t, err
}

// eachBlock makes the blocks of all parts, then those of the given rows.
func eachBlock(ctx context.Context, c Config, read func(ctx context.Context, n int) ([]rebased.Example, error), visit func(block) error) error {
	printer, err := newPrinter(c)
	if err != nil {
		return err
	}
	for part := range c.Parts {
		rows, err := read(ctx, part)
		if err != nil {
			return err
		}
		b, err := printer.block(ctx, rows, false)
		if err != nil {
			return err
		}
		if err := visit(b); err != nil {
			return err
		}
	}
	if c.Given == nil {
		return nil
	}
	for given, err := range c.Given {
		if err != nil {
			return err
		}
		b, err := printer.block(ctx, given.Rows, true)
		if err != nil {
			return fmt.Errorf("%s: %w", given.Source, err)
		}
		b.source = given.Source
		if err := visit(b); err != nil {
			return err
		}
	}
	return nil
}

// enter adds the rows of the next part.
func (t *table) enter(b block) error {
	part := int32(len(t.first))              //nolint:gosec // fewer than rows
	t.first = append(t.first, int32(t.rows)) //nolint:gosec // rows fit in 31 bits
	if int(part) >= t.parts {
		t.given = append(t.given, b.source)
	}
	for _, f := range b.facts {
		f.part = part
		t.add(f)
	}
	return t.words.add(b.words)
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
		unpack(packed, keys[from:to])
	}
	return nil
}

// unpack takes keys apart that stand two to a word.
func unpack(packed []uint64, keys []uint32) {
	for i := range keys {
		keys[i] = uint32(packed[i/2] >> (32 * (i % 2))) //nolint:gosec // one of the two halves
	}
}

// printer makes blocks, on every processor.
type printer struct {
	sketch   sketch
	verified func(*rebased.Example) bool
	encoder  rebased.Encoder
	planes   *planes
	makers   []printMaker
}

func newPrinter(c Config) (*printer, error) {
	s, err := newSketch(c)
	if err != nil {
		return nil, err
	}
	p := &printer{sketch: s, verified: c.Verified, encoder: c.Encoder, makers: make([]printMaker, runtime.GOMAXPROCS(0))}
	if s.dimensions > 0 {
		p.planes = newPlanes(s.dimensions)
	}
	hasher := newHasher()
	for i := range p.makers {
		p.makers[i] = printMaker{hasher: hasher, sketch: s, normaliser: newNormaliser()}
	}
	return p, nil
}

// block makes the block of some rows. Given ones need no id.
func (p *printer) block(ctx context.Context, rows []rebased.Example, given bool) (block, error) {
	prints := make([]rowPrint, len(rows))
	err := p.each(ctx, len(rows), func(m *printMaker, i int) {
		prints[i] = m.print(&rows[i], given)
		prints[i].verified = p.verified != nil && p.verified(&rows[i])
	})
	if err != nil || p.planes == nil {
		return p.finish(prints, err)
	}
	texts := make([]string, len(prints))
	for i := range prints {
		texts[i], prints[i].text = prints[i].text, ""
	}
	found, err := vectors(ctx, p.encoder, texts)
	if err != nil {
		return block{}, err
	}
	err = p.each(ctx, len(prints), func(_ *printMaker, i int) {
		prints[i].vector = found[i]
		prints[i].bands = p.sketch.semantic.appendKeys(prints[i].bands, p.planes.sides(found[i]))
	})
	return p.finish(prints, err)
}

func (p *printer) finish(prints []rowPrint, err error) (block, error) {
	if err != nil {
		return block{}, err
	}
	return p.sketch.newBlock(prints)
}

// each does something for so many rows, on every processor.
func (p *printer) each(ctx context.Context, rows int, do func(m *printMaker, i int)) error {
	var group sync.WaitGroup
	for w := range p.makers {
		group.Go(func() {
			from, to := rows*w/len(p.makers), rows*(w+1)/len(p.makers)
			for i := from; i < to; i++ {
				if i%256 == 0 && ctx.Err() != nil {
					return
				}
				do(&p.makers[w], i)
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// printMaker makes prints one after the other.
type printMaker struct {
	hasher     *hasher
	sketch     sketch
	normaliser *normaliser
	scratch    []uint64
}

// print makes all of a row's print but its vector.
func (m *printMaker) print(e *rebased.Example, given bool) (p rowPrint) {
	var id rebased.RowKey
	if !given || e.Row != "" {
		if id, p.err = e.Row.Key(); p.err != nil {
			p.err = fmt.Errorf("rank %d: %w", e.Rank, p.err)
			return p
		}
	}
	input, output := m.normaliser.text(e.Input), m.normaliser.text(e.Output)
	p.fact = fact{
		input: digestOf(input), output: digestOf(output), id: id, score: e.Score,
		rank: int32(e.Rank), length: uint32(len(input) + len(output)), //nolint:gosec // fewer rows than 2^31, of less than 2 GiB
	}
	text := compared(input, output)
	if near := m.sketch.near; near.bands > 0 {
		p.shingles, m.scratch = shingles(text, m.scratch)
		p.bands = near.appendKeys(make([]uint32, 0, m.sketch.bands()), m.hasher.sign(p.shingles)[:])
	}
	if m.sketch.dimensions > 0 {
		p.text = text
	}
	return p
}

// compared joins what rows are compared by.
func compared(input, output string) string {
	if input == "" || output == "" {
		return input + output
	}
	return input + " " + output
}
