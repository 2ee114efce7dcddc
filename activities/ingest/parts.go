package ingest

import (
	"context"
	"fmt"
	"slices"
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

	seen  map[uint64]int // how often a row was there, by 64 bits of its first id: a wrong hit costs nothing but a number that no row needed
	open  []rebased.Row
	bytes int
	rows  int // all
	parts []rebased.Part
}

func newPartWriter(m *Importer, corpus string, dataset rebased.DatasetID) *partWriter {
	return &partWriter{
		table: m.Rows, objects: m.Objects, prefix: rebased.CorpusPartPrefix(corpus, dataset), dataset: dataset, limits: m.Limits, seen: map[uint64]int{},
	}
}

// add takes a copy of the cells as the next row.
func (w *partWriter) add(ctx context.Context, cells []rebased.Cell) error {
	row := rebased.Row{ID: rebased.NewRowID(w.dataset, cells, 0), Dataset: w.dataset, Cells: slices.Clone(cells)}
	key := firstBits(row.ID)
	if occurrence := w.seen[key]; occurrence > 0 {
		row.ID = rebased.NewRowID(w.dataset, cells, occurrence)
	}
	w.seen[key]++
	w.open = append(w.open, row)
	w.rows++
	for _, cell := range cells {
		w.bytes += len(cell.Column) + len(cell.Text)
	}
	if len(w.open) == w.limits.PartRows || w.bytes >= w.limits.PartBytes {
		return w.flush(ctx)
	}
	return nil
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
