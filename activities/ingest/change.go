package ingest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// How much of a change is told. What is not told is found out by who reads both revisions.
const (
	followedRows = 2 << 20 // rows that a split had, 17 bytes each in memory
	toldRows     = 1 << 16 // rows of a split that came or went one by one
	toldInAll    = 1 << 20 // the same, of all splits
	copiedShare  = 4       // rows of a part are copied where they are at most one in so many of it
	copiedBytes  = 8 << 20 // of text that one run copies
	idReaders    = 8       // lists of ids read at once
)

// change is what is found out about a split while its parts are written, in any order, several at once: which of their rows the revision before
// has.
type change struct {
	copies *copies
	old    []rebased.RowKey // ascending
	still  []bool           // by place in old
	parts  []string         // keys of the parts before, ordered
	told   int
	came   []rebased.PartDifference // of each part, in order, without its key
	out    rebased.SplitDifference
}

// copies are the rows that a run of an import copies into one table.
type copies struct {
	rows  []rebased.Row
	bytes int
}

// follow prepares to find out what changes in a split. nil: the revision before does not have it, or it is too large.
func (r *Run) follow(ctx context.Context, id rebased.DatasetID) (*change, error) {
	c := &change{copies: &r.copies, out: rebased.SplitDifference{Dataset: id}}
	parts, rows := r.before.parts[id], 0
	for _, part := range parts {
		rows += part.Rows
		c.parts = append(c.parts, part.Key)
	}
	if rows == 0 || rows > followedRows {
		return nil, nil //nolint:nilnil // documented
	}
	slices.Sort(c.parts)
	read := make([][]rebased.RowKey, len(parts))
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(idReaders)
	for i, part := range parts {
		group.Go(func() (err error) {
			read[i], err = rebased.ReadPartIDs(work, r.importer.Objects, r.importer.Rows, part.File)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if kind := rebased.KindOf(err); kind == rebased.NotFound || kind == rebased.Invalid { // the split is made anew in any case
			return nil, nil //nolint:nilnil // documented
		}
		return nil, err
	}
	c.old = slices.Concat(read...)
	slices.SortFunc(c.old, compareKeys)
	c.still = make([]bool, len(c.old))
	return c, nil
}

func compareKeys(a, b rebased.RowKey) int { return bytes.Compare(a[:], b[:]) }

// part takes the rows of the next part in.
func (c *change) part(rows []rebased.Row) error {
	if c == nil {
		return nil
	}
	var came rebased.PartDifference
	for i, row := range rows {
		id, err := row.ID.Key()
		if err != nil {
			return err
		}
		if at, ok := slices.BinarySearchFunc(c.old, id, compareKeys); ok {
			c.still[at] = true
			continue
		}
		came.Rows = append(came.Rows, int32(i)) //nolint:gosec // rows of a part are not that many
	}
	switch n := len(came.Rows); {
	case n == len(rows):
		came.All, came.Rows = true, nil
	case n > 0:
		c.told += n
		if n*copiedShare <= len(rows) {
			came.At, came.Copied = c.copies.add(rows, came.Rows)
		}
	}
	c.came = append(c.came, came)
	return nil
}

// add copies the rows at some places, if there is room, and says where the first of them stands.
func (c *copies) add(rows []rebased.Row, places []int32) (at int, ok bool) {
	size := 0
	for _, place := range places {
		for _, cell := range rows[place].Cells {
			size += len(cell.Column) + len(cell.Text)
		}
	}
	if c.bytes+size > copiedBytes {
		return 0, false
	}
	at = len(c.rows)
	c.bytes += size
	for _, place := range places {
		row := rows[place]
		row.Cells = slices.Clone(row.Cells)
		for i := range row.Cells {
			row.Cells[i].Text = strings.Clone(row.Cells[i].Text) // the text may be a piece of a file's
		}
		c.rows = append(c.rows, row)
	}
	return at, true
}

// found gives what has changed once all parts are written; nil: not known, or too much to tell one by one.
func (c *change) found(parts []rebased.Part) *rebased.SplitDifference {
	if c == nil {
		return nil
	}
	for i, part := range parts {
		if at, there := slices.BinarySearch(c.parts, part.Key); there {
			c.parts = slices.Delete(c.parts, at, at+1)
			continue
		}
		c.came[i].Key = part.Key
		c.out.Came = append(c.out.Came, c.came[i])
	}
	for i, still := range c.still {
		if !still {
			c.out.Gone = append(c.out.Gone, c.old[i][:]...)
			c.told++
		}
	}
	if c.told > toldRows {
		return nil
	}
	c.out.Went = c.parts
	slices.SortFunc(c.out.Came, func(a, b rebased.PartDifference) int { return cmp.Compare(a.Key, b.Key) })
	return &c.out
}

// WriteCopies stores the rows that were copied and tells the splits in which table they are.
func (r *Run) WriteCopies(ctx context.Context, converted []Converted) error {
	if len(r.copies.rows) == 0 {
		return nil
	}
	file, err := r.importer.Rows.WriteHashed(ctx, rebased.CorpusCopiesPrefix(r.imp.Corpus), r.copies.rows)
	if err != nil {
		return fmt.Errorf("write the rows that came: %w", err)
	}
	for _, c := range converted {
		if c.Change != nil && slices.ContainsFunc(c.Change.Came, func(p rebased.PartDifference) bool { return p.Copied }) {
			c.Change.Copies = file.Key
		}
	}
	return nil
}

// tellChange writes what a revision changes in the one that the import began with.
func (m *Importer) tellChange(ctx context.Context, imp Import, revision string, converted []Converted) error {
	d := rebased.Difference{From: imp.Base, To: revision}
	room := toldInAll
	for _, c := range converted {
		if c.Change == nil || c.Dataset.Rows == 0 {
			continue
		}
		told := len(c.Change.Gone) / len(rebased.RowKey{})
		for _, part := range c.Change.Came {
			told += len(part.Rows)
		}
		if room -= told; room < 0 {
			break
		}
		d.Splits = append(d.Splits, *c.Change)
	}
	if imp.Base == "" || len(d.Splits) == 0 {
		return nil
	}
	return rebased.PutDifference(ctx, m.Objects, imp.Corpus, d)
}
