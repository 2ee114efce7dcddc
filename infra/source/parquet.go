package source

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"

	"github.com/rebased/rebased/activities/ingest"
)

const batchRows = 256 // decoded at once, of every column

// Parquet reads Parquet files row by row. It implements ingest.Format.
type Parquet struct{}

var _ ingest.Format = Parquet{}

// Records implements ingest.Format. Memory is taken for a batch of rows and the pages that hold them, not for row groups.
func (Parquet) Records(ctx context.Context, section *io.SectionReader, limits ingest.Limits) iter.Seq2[ingest.Record, error] {
	return func(yield func(ingest.Record, error) bool) {
		table, err := openTable(section, limits)
		if err != nil {
			yield(ingest.Record{}, err)
			return
		}
		cells := ingest.NewRowCells(limits)
		for {
			rows, err := table.nextBatch(ctx)
			if err != nil {
				yield(ingest.Record{}, err)
				return
			}
			if rows == 0 {
				return
			}
			for range rows {
				if !table.yieldRow(cells, yield) {
					return
				}
			}
		}
	}
}

// table reads all columns of a file in step.
type table struct {
	file    *file.Reader
	columns []*column
	group   int   // number of the next row group
	left    int64 // rows of the current group that are not in a batch yet
	row     int   // number of the row read last, 1-based
}

func openTable(section *io.SectionReader, limits ingest.Limits) (t *table, err error) {
	err = contain(func() error {
		properties := parquet.NewReaderProperties(memory.NewGoAllocator())
		properties.BufferedStreamEnabled = true
		reader, err := file.NewParquetReader(section, file.WithReadProps(properties))
		if err != nil {
			return err
		}
		if err := withinLimits(reader, limits); err != nil {
			return err
		}
		t = &table{file: reader, columns: newColumns(reader.MetaData())}
		return nil
	})
	return t, err
}

func withinLimits(reader *file.Reader, limits ingest.Limits) error {
	meta := reader.MetaData()
	if n := meta.Schema.NumColumns(); n > limits.Columns {
		return fmt.Errorf("has %d columns, at most %d can be read", n, limits.Columns)
	}
	left := limits.Bytes
	for i := range reader.NumRowGroups() {
		size := meta.RowGroups[i].GetTotalByteSize()
		if size < 0 || size > left {
			return fmt.Errorf("decompresses to more than %d bytes", limits.Bytes)
		}
		left -= size
	}
	return nil
}

// nextBatch decodes the next rows of every column and gives their number, 0 at the end of the file.
func (t *table) nextBatch(ctx context.Context) (rows int64, err error) {
	err = contain(func() error {
		for t.left == 0 {
			if t.group == t.file.NumRowGroups() {
				return nil
			}
			if err := t.openGroup(); err != nil {
				return fmt.Errorf("row group %d: %w", t.group, err)
			}
		}
		rows = min(t.left, batchRows)
		for _, c := range t.columns {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.load(rows); err != nil {
				return fmt.Errorf("column %s after row %d: %w", c.name, t.row, err)
			}
		}
		t.left -= rows
		return nil
	})
	return rows, err
}

func (t *table) openGroup() error {
	group := t.file.RowGroup(t.group)
	t.group++
	t.left = group.NumRows()
	if t.left < 0 {
		return fmt.Errorf("has %d rows", t.left)
	}
	for i, c := range t.columns {
		pages, err := group.GetColumnPageReader(i)
		if err != nil {
			return err
		}
		c.open(pages, t.file.BufferPool())
	}
	return nil
}

// yieldRow gives the next row of the batch, and before it a note on every column whose first value that cannot be text is in it.
func (t *table) yieldRow(cells *ingest.RowCells, yield func(ingest.Record, error) bool) bool {
	t.row++
	cells.Reset()
	record := ingest.Record{Line: t.row, Cells: cells}
	for next := 0; next < len(t.columns); {
		err := contain(func() (err error) {
			for err == nil && next < len(t.columns) {
				c := t.columns[next]
				next++
				err = c.addRow(cells)
			}
			return err
		})
		if err != nil && record.Bad == "" {
			record.Bad = err.Error()
		}
	}
	for _, c := range t.columns {
		if c.note != "" && !yield(ingest.Record{Note: c.note}, nil) {
			return false
		}
		c.note = ""
	}
	return yield(record, nil)
}

// contain turns a panic into an error: the decoders of arrow/go panic on many kinds of damaged data.
func contain(read func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the file is damaged: %v", cause)
		}
	}()
	return read()
}
