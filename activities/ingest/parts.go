package ingest

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/rebased/rebased"
)

// partWriter numbers the rows of one split and writes them in parts.
type partWriter struct {
	table   rebased.Table[rebased.Row]
	objects rebased.Objects
	prefix  string
	dataset rebased.DatasetID
	limits  Limits
	change  *change // from the revision before; nil: not followed

	// Rows are known by 64 bits of their first id: a wrong hit costs nothing but a number that no row needed.
	seen   *keySet        // the one thing that grows with a split
	repeat map[uint64]int // how often a row was there again

	open *openPart
	rows int // all

	writing *errgroup.Group
	room    *semaphore.Weighted // bytes of the parts that are being written
	written chan *openPart      // their place can be taken again
	parts   []*rebased.Part
}

// partsAtOnce is how many parts of a split are written while the next is read, where they are small: all together may have the bytes of a large one.
const partsAtOnce = 2

// newPartWriter makes a writer whose parts are written by the goroutines of a group.
func newPartWriter(m *Importer, corpus string, dataset rebased.DatasetID, writing *errgroup.Group) *partWriter {
	return &partWriter{
		table: m.Rows, objects: m.Objects, prefix: rebased.CorpusPartPrefix(corpus, dataset), dataset: dataset, limits: m.Limits,
		seen: new(keySet), repeat: map[uint64]int{},
		open: new(openPart), writing: writing, room: semaphore.NewWeighted(int64(m.Limits.PartBytes)), written: make(chan *openPart, partsAtOnce),
	}
}

// add takes a copy of the cells as the next row.
func (w *partWriter) add(ctx context.Context, cells []rebased.Cell) error {
	if w.hold(cells); w.full() {
		return w.flush(ctx)
	}
	return nil
}

// hold takes a copy of the cells as the next row, and writes nothing.
func (w *partWriter) hold(cells []rebased.Cell) {
	id := rebased.NewRowID(w.dataset, cells, 0)
	key := firstBits(id)
	if w.seen.add(key) {
		w.repeat[key]++
		id = rebased.NewRowID(w.dataset, cells, w.repeat[key])
	}
	w.open.add(id, w.dataset, cells)
	w.rows++
}

// full says that the open part takes no more.
func (w *partWriter) full() bool {
	return len(w.open.rows) >= w.limits.PartRows || w.open.bytes >= w.limits.PartBytes
}

// restart forgets the rows that were held; none may have been written.
func (w *partWriter) restart() {
	w.seen = new(keySet)
	clear(w.repeat)
	w.open, w.rows = new(openPart), 0
}

// flush closes the open part and has it written beside what follows, once there is room; without rows there is none. Its error is that of close.
func (w *partWriter) flush(ctx context.Context) error {
	if len(w.open.rows) == 0 {
		return nil
	}
	size := int64(min(max(w.open.bytes, w.limits.PartBytes/partsAtOnce), w.limits.PartBytes))
	if err := w.room.Acquire(ctx, size); err != nil {
		return err
	}
	if err := w.change.part(w.open.rows); err != nil {
		w.room.Release(size)
		return err
	}
	full, part := w.open, new(rebased.Part)
	w.parts = append(w.parts, part)
	w.writing.Go(func() (err error) {
		defer w.room.Release(size)
		*part, err = w.write(ctx, full.rows)
		full.clear()
		select {
		case w.written <- full:
		default:
		}
		return err
	})
	select {
	case w.open = <-w.written:
	default:
		w.open = new(openPart)
	}
	return nil
}

// close waits until nothing is being written any more and gives the parts in their order.
func (w *partWriter) close() ([]rebased.Part, error) {
	if err := w.writing.Wait(); err != nil {
		return nil, err
	}
	parts := make([]rebased.Part, 0, len(w.parts))
	for _, part := range w.parts {
		parts = append(parts, *part)
	}
	return parts, nil
}

func (w *partWriter) write(ctx context.Context, rows []rebased.Row) (rebased.Part, error) {
	file, err := w.table.WriteHashed(ctx, w.prefix, rows)
	if err != nil {
		return rebased.Part{}, fmt.Errorf("write a part of %s: %w", w.dataset, err)
	}
	if err := rebased.PutPartIDs(ctx, w.objects, file, rows); err != nil {
		return rebased.Part{}, err
	}
	return rebased.Part{File: file, Dataset: w.dataset, Frequent: Frequent(rows)}, nil
}

// firstBits takes 64 random bits of an id: its first 8 and last 8 hex digits.
func firstBits(id rebased.RowID) uint64 {
	bits, err := strconv.ParseUint(string(id[:8]+id[len(id)-8:]), 16, 64)
	if err != nil {
		panic(fmt.Sprintf("row id %q is no UUID", id)) // NewRowID makes no others
	}
	return bits
}
