package ingest

import (
	"fmt"

	"github.com/rebased/rebased"
)

const (
	maxDepth     = 32   // of nested values
	maxNameBytes = 1024 // of a dotted column name
)

// RowCells collects the cells of one record. It is the one place of the rule in the package's comment: what falls on one name is joined.
type RowCells struct {
	limits Limits
	cells  []rebased.Cell
	before []string       // columns of a row before; none occurs twice
	same   bool           // the columns so far are the first ones of before: then at is empty
	at     map[string]int // column -> its place in cells
	joined map[int][]byte // place -> text of a column with several values
	bytes  int
}

// NewRowCells makes an empty row that refuses to grow over the limits.
func NewRowCells(limits Limits) *RowCells {
	return &RowCells{limits: limits, at: map[string]int{}, joined: map[int][]byte{}}
}

// Reset makes the row empty again. Slices from Cells are no longer good.
func (r *RowCells) Reset() {
	if !r.same {
		r.before = r.before[:0]
		for _, cell := range r.cells {
			r.before = append(r.before, cell.Column)
		}
		clear(r.at)
	}
	r.cells, r.bytes, r.same = r.cells[:0], 0, true
	if len(r.joined) > 0 {
		clear(r.joined)
	}
}

// Add puts a value into a column.
func (r *RowCells) Add(column, text string) error {
	r.bytes += len(text) + 1
	i, known := r.find(column)
	if !known {
		r.bytes += len(column)
	}
	if r.bytes > r.limits.RowBytes {
		return fmt.Errorf("the row is larger than %d bytes", r.limits.RowBytes)
	}
	if known {
		if r.joined[i] == nil {
			r.joined[i] = []byte(r.cells[i].Text)
		}
		r.joined[i] = append(append(r.joined[i], '\n'), text...)
		return nil
	}
	if len(r.cells) == r.limits.Columns {
		return fmt.Errorf("the row has more than %d columns", r.limits.Columns)
	}
	if !r.same {
		r.at[column] = len(r.cells)
	}
	r.cells = append(r.cells, rebased.Cell{Column: column, Text: text})
	return nil
}

// find gives the place of a column. Rows that have the columns of the row before, in their order, need no map.
func (r *RowCells) find(column string) (i int, known bool) {
	if n := len(r.cells); r.same {
		if n < len(r.before) && r.before[n] == column {
			return 0, false
		}
		r.same = false
		for i, cell := range r.cells {
			r.at[cell.Column] = i
		}
	}
	i, known = r.at[column]
	return i, known
}

// Cells gives the cells in the order in which their columns came first. The slice is good until Reset; its strings stay good.
func (r *RowCells) Cells() []rebased.Cell {
	if len(r.joined) > 0 {
		for i, text := range r.joined {
			r.cells[i].Text = string(text)
		}
		clear(r.joined)
	}
	return r.cells
}

// Len is the number of cells.
func (r *RowCells) Len() int { return len(r.cells) }

// DottedName is the name of a field inside a named value; the outermost name is "".
func DottedName(outer, field string) (string, error) {
	if len(outer)+1+len(field) > maxNameBytes {
		return "", fmt.Errorf("a column's name is longer than %d bytes", maxNameBytes)
	}
	if outer == "" {
		return field, nil
	}
	return outer + "." + field, nil
}
