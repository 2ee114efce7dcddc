package ingest

import (
	"fmt"
	"strings"

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
	before []string          // columns of a row before; none occurs twice
	same   bool              // the columns so far are the first ones of before: then at is empty
	at     map[string]int    // column -> its place in cells
	names  map[string]string // columns, each once, copied
	joined map[int][]byte    // place -> text of a column with several values
	bytes  int
}

// NewRowCells makes an empty row that refuses to grow over the limits.
func NewRowCells(limits Limits) *RowCells {
	return &RowCells{limits: limits, at: map[string]int{}, names: map[string]string{}, joined: map[int][]byte{}}
}

// Reset makes the row empty again. What came from Cells is no longer good.
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

// Add puts a value into a column. The text must stay as it is until Reset; the column's name need not.
func (r *RowCells) Add(column, text string) error {
	r.bytes += len(text) + 1
	column, i, known := r.find(column)
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

// find gives the place of a column, and its name to keep. Rows that have the columns of the row before, in their order, need no map.
func (r *RowCells) find(column string) (name string, i int, known bool) {
	if n := len(r.cells); r.same {
		if n < len(r.before) && r.before[n] == column {
			return r.before[n], 0, false
		}
		r.same = false
		for i, cell := range r.cells {
			r.at[cell.Column] = i
		}
	}
	if i, known = r.at[column]; known {
		return column, i, known
	}
	return r.name(column), 0, false
}

const mostNames = 1 << 14 // that are kept for the rows to come

func (r *RowCells) name(column string) string {
	name, known := r.names[column]
	if !known {
		if len(r.names) == mostNames {
			clear(r.names)
		}
		name = strings.Clone(column)
		r.names[name] = name
	}
	return name
}

// Cells gives the cells in the order in which their columns came first. Slice and texts are good until Reset.
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

var errLongName = fmt.Errorf("a column's name is longer than %d bytes", maxNameBytes)

// DottedName is the name of a field inside a named value; the outermost name is "".
func DottedName(outer, field string) (string, error) {
	if len(outer)+1+len(field) > maxNameBytes {
		return "", errLongName
	}
	if outer == "" {
		return field, nil
	}
	return outer + "." + field, nil
}
