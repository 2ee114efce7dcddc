package ingest

import (
	"context"
	"fmt"
	"strconv"

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
	seen   map[uint64]struct{} // some 16 bytes a row, the one thing that grows with a split
	repeat map[uint64]int      // how often a row was there again

	open  []rebased.Row
	room  []rebased.Cell // of the last rows
	bytes int
	rows  int // all
	parts []rebased.Part
}

func newPartWriter(m *Importer, corpus string, dataset rebased.DatasetID) *partWriter {
	return &partWriter{
		table: m.Rows, objects: m.Objects, prefix: rebased.CorpusPartPrefix(corpus, dataset), dataset: dataset, limits: m.Limits,
		seen: map[uint64]struct{}{}, repeat: map[uint64]int{},
	}
}

const roomCells = 1024

// add takes a copy of the cells as the next row.
func (w *partWriter) add(ctx context.Context, cells []rebased.Cell) error {
	if w.hold(cells); w.full() {
		return w.flush(ctx)
	}
	return nil
}

// hold takes a copy of the cells as the next row, and writes nothing.
func (w *partWriter) hold(cells []rebased.Cell) {
	row := rebased.Row{ID: rebased.NewRowID(w.dataset, cells, 0), Dataset: w.dataset, Cells: w.keep(cells)}
	key := firstBits(row.ID)
	if _, known := w.seen[key]; known {
		w.repeat[key]++
		row.ID = rebased.NewRowID(w.dataset, cells, w.repeat[key])
	}
	w.seen[key] = struct{}{}
	w.open = append(w.open, row)
	w.rows++
	for _, cell := range cells {
		w.bytes += len(cell.Column) + len(cell.Text)
	}
}

// keep copies cells into a place that many rows share.
func (w *partWriter) keep(cells []rebased.Cell) []rebased.Cell {
	if cap(w.room)-len(w.room) < len(cells) {
		w.room = make([]rebased.Cell, 0, max(roomCells, len(cells)))
	}
	first := len(w.room)
	w.room = append(w.room, cells...)
	return w.room[first:len(w.room):len(w.room)]
}

// full says that the open part takes no more.
func (w *partWriter) full() bool {
	return len(w.open) >= w.limits.PartRows || w.bytes >= w.limits.PartBytes
}

// restart forgets the rows that were held; none may have been written.
func (w *partWriter) restart() {
	clear(w.seen)
	clear(w.repeat)
	w.open, w.bytes, w.rows = w.open[:0], 0, 0
}

// flush writes the open part; without rows there is none.
func (w *partWriter) flush(ctx context.Context) error {
	if len(w.open) == 0 {
		return nil
	}
	file, err := w.table.WriteHashed(ctx, w.prefix, w.open)
	if err != nil {
		return fmt.Errorf("write a part of %s: %w", w.dataset, err)
	}
	if err := rebased.PutPartIDs(ctx, w.objects, file, w.open); err != nil {
		return err
	}
	if err := w.change.part(file.Key, w.open); err != nil {
		return err
	}
	w.parts = append(w.parts, rebased.Part{File: file, Dataset: w.dataset, Frequent: Frequent(w.open)})
	w.open, w.bytes = w.open[:0], 0
	return nil
}

// firstBits takes 64 random bits of an id: its first 8 and last 8 hex digits.
func firstBits(id rebased.RowID) uint64 {
	bits, err := strconv.ParseUint(string(id[:8]+id[len(id)-8:]), 16, 64)
	if err != nil {
		panic(fmt.Sprintf("row id %q is no UUID", id)) // NewRowID makes no others
	}
	return bits
}
