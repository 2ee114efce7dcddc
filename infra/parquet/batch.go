package parquet

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// batchRows is how many rows of a column are decoded at a time.
const batchRows = 4096

// batch holds the decoded values of the next rows of one column of a row group.
//
// It stands on the vendor's record reader: the simpler readers of values never return when a page holds less than its header says.
type batch struct {
	column *schema.Column
	reader file.RecordReader
	rows   int
}

func openBatch(r *file.Reader, group, index int, memory *allocator) (*batch, error) {
	pages, err := r.RowGroup(group).GetColumnPageReader(index)
	if err != nil {
		return nil, err
	}
	column := r.MetaData().Schema.Column(index)
	levels := file.LevelInfo{
		NullSlotUsage: 1, DefLevel: column.MaxDefinitionLevel(), RepLevel: column.MaxRepetitionLevel(),
		RepeatedAncestorDefLevel: column.MaxDefinitionLevel(), // values come without gaps: nothing is nullable
	}
	reader := file.NewRecordReader(column, levels, arrow.BinaryTypes.Binary, memory, r.BufferPool())
	reader.SetPageReader(pages)
	return &batch{column: column, reader: reader}, nil
}

var errShort = errors.New("the column ends before its row group does")

// next decodes so many rows.
func (b *batch) next(rows int) error {
	b.reader.Reset()
	if err := b.reader.Reserve(int64(rows)); err != nil {
		return err
	}
	read, err := b.reader.ReadRecords(int64(rows))
	if err != nil {
		return err
	}
	if read != int64(rows) {
		return errShort
	}
	b.rows = rows
	return nil
}

func (b *batch) integers() []int64 {
	return arrow.Int64Traits.CastFromBytes(b.reader.Values())[:b.rows]
}

func (b *batch) floats() []float32 {
	return arrow.Float32Traits.CastFromBytes(b.reader.Values())[:b.rows]
}

func (b *batch) doubles() []float64 {
	return arrow.Float64Traits.CastFromBytes(b.reader.Values())[:b.rows]
}

// texts are the values of a column of bytes, valid until the next batch.
type texts interface {
	Len() int
	Value(i int) []byte
}

func (b *batch) texts() (texts, error) {
	if binary, ok := b.reader.(file.BinaryRecordReader); ok {
		if chunks := binary.GetBuilderChunks(); len(chunks) == 1 {
			if values, ok := chunks[0].(texts); ok {
				return values, nil
			}
		}
	}
	return nil, errors.New("the values are no texts")
}

// lengths are the lengths of the rows' lists: each row begins with repetition 0, and each element has the greatest definition.
func (b *batch) lengths() ([]int, error) {
	levels := b.reader.LevelsPos()
	definition, repetition := b.reader.DefLevels()[:levels], b.reader.RepLevels()[:levels]
	lengths := make([]int, 0, b.rows)
	for i, repeated := range repetition {
		if repeated == 0 {
			lengths = append(lengths, 0)
		}
		if len(lengths) == 0 {
			return nil, errors.New("a list goes on that has not begun")
		}
		if definition[i] == b.column.MaxDefinitionLevel() {
			lengths[len(lengths)-1]++
		}
	}
	if len(lengths) != b.rows {
		return nil, errShort
	}
	return lengths, nil
}
