package dedupe

import (
	"encoding/binary"

	"github.com/rebased/rebased"
)

const wordBytes = 8

// words holds blocks of 64-bit words: in memory while they are few, then in a scratch file.
type words struct {
	limit  int // bytes in memory
	open   func() (Scratch, error)
	blocks [][]uint64 // by number; all empty once there is a file
	starts []int64    // of each block, in words
	size   int64      // of all blocks, in words
	file   Scratch
	bytes  []byte   // between words and the file
	out    []uint64 // what read gives of the file
}

// add makes a block the next one. It is not to be changed afterwards.
func (w *words) add(block []uint64) error {
	w.starts = append(w.starts, w.size)
	w.size += int64(len(block))
	if w.file == nil {
		w.blocks = append(w.blocks, block)
		if w.size*wordBytes <= int64(w.limit) {
			return nil
		}
		return w.spill()
	}
	return w.write(block)
}

// spill moves what is in memory into a file.
func (w *words) spill() (err error) {
	if w.file, err = w.open(); err != nil {
		return rebased.E(rebased.Unavailable, "open a scratch file for shingles: %w", err)
	}
	for i, block := range w.blocks {
		if err := w.write(block); err != nil {
			return err
		}
		w.blocks[i] = nil
	}
	w.blocks = nil
	return nil
}

// writeStep is how many words go into the file at once.
const writeStep = 8 << 10

func (w *words) write(block []uint64) error {
	for len(block) > 0 {
		step := block[:min(writeStep, len(block))]
		w.bytes = w.bytes[:0]
		for _, word := range step {
			w.bytes = binary.LittleEndian.AppendUint64(w.bytes, word)
		}
		if _, err := w.file.Write(w.bytes); err != nil {
			return rebased.E(rebased.Unavailable, "write shingles to a scratch file: %w", err)
		}
		block = block[len(step):]
	}
	return nil
}

// read gives so many words of a block, valid until the next call.
func (w *words) read(block, from, size int) ([]uint64, error) {
	if w.file == nil {
		return w.blocks[block][from : from+size], nil
	}
	if need := size * wordBytes; cap(w.bytes) < need {
		w.bytes = make([]byte, need)
	}
	w.bytes = w.bytes[:size*wordBytes]
	if n, err := w.file.ReadAt(w.bytes, (w.starts[block]+int64(from))*wordBytes); n < len(w.bytes) {
		return nil, rebased.E(rebased.Unavailable, "read shingles from a scratch file: %w", err)
	}
	w.out = w.out[:0]
	for i := 0; i < len(w.bytes); i += wordBytes {
		w.out = append(w.out, binary.LittleEndian.Uint64(w.bytes[i:]))
	}
	return w.out, nil
}
