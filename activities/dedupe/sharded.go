package dedupe

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/rebased/rebased"
)

// What many workers do for one deduplication. Each prints some of the parts (Print), then each looks for the rows that have bands of its range in
// common (Group), then one judges (Rows with Config.Prints). What they hand on stands in files of one chunk of parts: facts and what rows are compared
// by in one, the keys of each range of bands in others. The result is the same as without them, since candidates are judged alike and there are none more.

// Store is where what workers hand on stands, by name. What was written is replaced by what is written again.
type Store interface {
	Write(ctx context.Context, name string, body []byte) error
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Prints names what workers have made: so many chunks, and so many ranges of bands.
type Prints struct {
	Store  Store
	Chunks int
	Ranges int
}

func printsName(chunk int) string     { return fmt.Sprintf("prints-%05d", chunk) }
func keysName(chunk, rng int) string  { return fmt.Sprintf("keys-%05d-%02d", chunk, rng) }
func groupsName(rng int) string       { return fmt.Sprintf("groups-%02d", rng) }
func border(n, pieces, piece int) int { return n * piece / pieces }

// maxChunk closes a chunk of given rows, in bytes of its words.
const maxChunk = 64 << 20

// Print makes the prints of c.Parts parts that read gives, and of the given rows, as chunks from first on, and gives how many chunks. Parts make one
// chunk, given rows as many as they need.
func Print(ctx context.Context, c Config, into Prints, first int, read func(ctx context.Context, n int) ([]rebased.Example, error)) (chunks int, err error) {
	s, err := newSketch(c)
	if err != nil {
		return 0, err
	}
	k := chunk{sketch: s, into: into, number: first, keys: make([][]byte, into.Ranges)}
	err = eachBlock(ctx, c, read, func(b block) error {
		if c.Parts == 0 && len(k.prints) > maxChunk {
			if err := k.write(ctx); err != nil {
				return err
			}
		}
		k.add(b)
		return nil
	})
	if err == nil && len(k.prints) > 0 {
		err = k.write(ctx)
	}
	return k.number - first, err
}

// chunk is what is written together.
type chunk struct {
	sketch sketch
	into   Prints
	number int
	prints []byte
	keys   [][]byte // by range
}

func (k *chunk) add(b block) {
	column := columnWords(len(b.facts))
	for rng := range k.keys {
		from, to := border(k.sketch.bands(), k.into.Ranges, rng), border(k.sketch.bands(), k.into.Ranges, rng+1)
		k.keys[rng] = appendUint32(k.keys[rng], uint32(len(b.facts))) //nolint:gosec // of one part
		k.keys[rng] = appendUint64s(k.keys[rng], b.words[from*column:to*column])
	}
	rest := b.words[k.sketch.bands()*column:]
	k.prints = append(appendUint32(k.prints, uint32(len(b.source))), b.source...) //nolint:gosec // a name
	k.prints = appendUint32(k.prints, uint32(len(b.facts)))                       //nolint:gosec // of one part
	k.prints = appendUint32(k.prints, uint32(len(rest)))                          //nolint:gosec // of one part
	for _, f := range b.facts {
		k.prints = f.append(k.prints)
	}
	k.prints = appendUint64s(k.prints, rest)
}

func (k *chunk) write(ctx context.Context) error {
	for rng, keys := range k.keys {
		if err := k.into.Store.Write(ctx, keysName(k.number, rng), keys); err != nil {
			return fmt.Errorf("write the keys of chunk %d: %w", k.number, err)
		}
		k.keys[rng] = keys[:0]
	}
	if err := k.into.Store.Write(ctx, printsName(k.number), k.prints); err != nil {
		return fmt.Errorf("write the prints of chunk %d: %w", k.number, err)
	}
	k.prints = k.prints[:0]
	k.number++
	return nil
}

// Group finds, for the bands of one range, the rows that have a key in common, over all chunks.
func Group(ctx context.Context, c Config, p Prints, rng int) error {
	s, err := newSketch(c)
	if err != nil {
		return err
	}
	from, to := border(s.bands(), p.Ranges, rng), border(s.bands(), p.Ranges, rng+1)
	columns := make([][]uint32, to-from)
	for chunk := range p.Chunks {
		if from == to {
			break
		}
		if err := p.columns(ctx, chunk, rng, columns); err != nil {
			return err
		}
	}
	out := []byte{}
	if len(columns) > 0 {
		sharer := newSharer(len(columns[0]))
		for i, keys := range columns {
			if band := from + i; i == 0 || band == s.near.bands { // of rows alike by one measure nothing is known by another
				sharer.known = map[members]bool{}
			}
			out = sharer.find(func(row int32) uint64 { return uint64(keys[row]) }).append(out)
		}
	}
	if err := p.Store.Write(ctx, groupsName(rng), out); err != nil {
		return fmt.Errorf("write the groups of bands %d to %d: %w", from, to-1, err)
	}
	return nil
}

// columns adds the keys of a chunk to those of the chunks before, by band of a range.
func (p Prints) columns(ctx context.Context, chunk, rng int, columns [][]uint32) error {
	return p.read(ctx, keysName(chunk, rng), func(r *reader) error {
		rows := int(r.uint32())
		packed := make([]uint64, columnWords(rows))
		for i := range columns {
			r.words(packed)
			columns[i] = append(columns[i], make([]uint32, rows)...)
			unpack(packed, columns[i][len(columns[i])-rows:])
		}
		return nil
	})
}

// append writes groups of rows: how many rows have company, and for each its number and its group.
func (s *shared) append(out []byte) []byte {
	out = appendUint32(out, uint32(len(s.places))) //nolint:gosec // rows fit in 31 bits
	for i, row := range s.places {
		out = appendUint32(out, uint32(row))        //nolint:gosec // never negative
		out = appendUint32(out, uint32(s.group[i])) //nolint:gosec // never negative
	}
	return out
}

// each visits so many of all bands from first on: the rows that have company there, and their groups.
func (p Prints) each(ctx context.Context, all, first, bands int, visit func(band int, rows, group []int32)) error {
	for rng := range p.Ranges {
		from, to := border(all, p.Ranges, rng), border(all, p.Ranges, rng+1)
		if to <= first || from >= first+bands {
			continue
		}
		band := from
		err := p.read(ctx, groupsName(rng), func(r *reader) error {
			rows := make([]int32, r.uint32())
			group := make([]int32, len(rows))
			for i := range rows {
				rows[i], group[i] = int32(r.uint32()), int32(r.uint32()) //nolint:gosec // as they were written
			}
			if r.err == nil && band >= first && band < first+bands {
				visit(band, rows, group)
			}
			band++
			return nil
		})
		if err != nil {
			return err
		}
		if band != to {
			return rebased.E(rebased.Unavailable, "%s holds %d bands of %d: run the step again", groupsName(rng), band-from, to-from)
		}
	}
	return nil
}

// blocks visits all blocks in the order of their rows. Their words have no keys.
func (p Prints) blocks(ctx context.Context, visit func(block) error) error {
	for chunk := range p.Chunks {
		err := p.read(ctx, printsName(chunk), func(r *reader) error {
			b := block{source: r.text(int(r.uint32()))}
			b.facts = make([]fact, r.uint32())
			b.words = make([]uint64, r.uint32())
			for i := range b.facts {
				b.facts[i] = r.fact()
			}
			if r.words(b.words); r.err == nil {
				return visit(b)
			}
			return nil // read tells
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read visits the records of a file until it ends.
func (p Prints) read(ctx context.Context, name string, visit func(*reader) error) error {
	body, err := p.Store.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("read %s of the deduplication: %w", name, err)
	}
	defer body.Close() //nolint:errcheck // it is read only
	r := &reader{from: bufio.NewReaderSize(body, 1<<20)}
	for {
		if _, err := r.from.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		if err := visit(r); err != nil {
			return err
		}
		if r.err != nil {
			return fmt.Errorf("read %s of the deduplication: %w", name, r.err)
		}
	}
}

// reader reads little-endian numbers; after an error it gives zeros.
type reader struct {
	from *bufio.Reader
	buf  [factBytes]byte
	err  error
}

func (r *reader) next(n int) []byte {
	if r.err == nil {
		_, r.err = io.ReadFull(r.from, r.buf[:n])
	}
	if r.err != nil {
		clear(r.buf[:])
	}
	return r.buf[:n]
}

func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.next(4)) }

func (r *reader) words(into []uint64) {
	for i := range into {
		into[i] = binary.LittleEndian.Uint64(r.next(wordBytes))
	}
}

func (r *reader) text(bytes int) string {
	text := make([]byte, bytes)
	if r.err == nil {
		_, r.err = io.ReadFull(r.from, text)
	}
	return string(text)
}

func appendUint32(out []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(out, v) }

func appendUint64s(out []byte, words []uint64) []byte {
	for _, w := range words {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// factBytes is the size of a fact in a file.
const factBytes = 3*16 + 5*4 + 2

// append writes all of a fact but its part.
func (f *fact) append(out []byte) []byte {
	out = append(append(append(out, f.input[:]...), f.output[:]...), f.id[:]...)
	for _, v := range []uint32{math.Float32bits(f.score), uint32(f.rank), f.length, f.from, f.size} { //nolint:gosec // bit for bit
		out = appendUint32(out, v)
	}
	for _, v := range []bool{f.verified, f.blank} {
		if v {
			out = append(out, 1)
		} else {
			out = append(out, 0)
		}
	}
	return out
}

func (r *reader) fact() (f fact) {
	body := r.next(factBytes)
	copy(f.input[:], body)
	copy(f.output[:], body[16:])
	copy(f.id[:], body[32:])
	number := func(n int) uint32 { return binary.LittleEndian.Uint32(body[48+4*n:]) }
	f.score, f.rank = math.Float32frombits(number(0)), int32(number(1)) //nolint:gosec // bit for bit
	f.length, f.from, f.size = number(2), number(3), number(4)
	f.verified, f.blank = body[68] == 1, body[69] == 1
	return f
}
