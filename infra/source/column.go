package source

import (
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/metadata"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"github.com/rebased/rebased/activities/ingest"
)

// column reads the values of one leaf column in the order of rows.
//
// It stands on file.RecordReader and not on the simpler ReadBatch, which never returns when a page holds fewer levels than its header says.
type column struct {
	name string
	leaf *schema.Column
	text texts

	reader     file.RecordReader
	defs, reps []int16 // levels of the batch; a value is there where its definition level is the leaf's greatest
	level      int     // place in them
	slot       int     // place among the values of the batch

	value  func(slot int) (string, bool) // of the batch, good until the next
	isUTF8 bool                          // all values of the batch are known to be
	note   string                        // to be told with the row
	noted  bool                          // once is enough
}

// newColumns makes the columns of a file in the order of its schema.
func newColumns(meta *metadata.FileMetaData) []*column {
	names := leafNames(meta.Schema.Root())
	labels := classLabels(meta.KeyValueMetadata())
	columns := make([]*column, meta.Schema.NumColumns())
	for i := range columns {
		leaf := meta.Schema.Column(i)
		columns[i] = &column{name: names[i], leaf: leaf, text: textsOf(leaf, labels[names[i]])}
	}
	return columns
}

// open goes to the pages of the next row group.
func (c *column) open(pages file.PageReader, pool *sync.Pool) {
	if c.reader != nil {
		c.reader.Release()
	}
	info := file.LevelInfo{NullSlotUsage: 1, DefLevel: c.leaf.MaxDefinitionLevel(), RepLevel: c.leaf.MaxRepetitionLevel()}
	if info.RepLevel > 0 {
		info.RepeatedAncestorDefLevel = info.DefLevel // repeated values come without gaps for null, others with
	}
	c.reader = file.NewRecordReader(c.leaf, info, arrow.BinaryTypes.Binary, memory.NewGoAllocator(), pool)
	c.reader.SetPageReader(pages)
}

// load decodes the values of the next rows.
func (c *column) load(rows int64) error {
	c.reader.Reset()
	if err := c.reader.Reserve(rows); err != nil {
		return err
	}
	read, err := c.reader.ReadRecords(rows)
	if err != nil {
		return err
	}
	if read != rows {
		return errors.New("the column ends early")
	}
	c.level, c.slot, c.defs, c.reps = 0, 0, nil, nil
	if c.leaf.MaxDefinitionLevel() > 0 {
		c.defs = c.reader.DefLevels()[:c.reader.LevelsPos()]
	}
	if c.leaf.MaxRepetitionLevel() > 0 {
		c.reps = c.reader.RepLevels()[:c.reader.LevelsPos()]
	}
	return c.takeValues()
}

// takeValues gives the decoded batch its textual form.
func (c *column) takeValues() error {
	switch c.leaf.PhysicalType() {
	case parquet.Types.ByteArray, parquet.Types.FixedLenByteArray:
		chunks := c.reader.(file.BinaryRecordReader).GetBuilderChunks()
		if len(chunks) != 1 {
			return fmt.Errorf("the values come in %d chunks", len(chunks))
		}
		values, ok := chunks[0].(slots)
		if !ok {
			return fmt.Errorf("the values come as %s", chunks[0].DataType())
		}
		c.isUTF8 = areUTF8(values)
		c.value = func(slot int) (string, bool) { return c.text.bytes(values.Value(slot)) }
	case parquet.Types.Boolean:
		values := c.reader.Values()
		c.value = func(slot int) (string, bool) { return boolText(values[slot] != 0), true }
	case parquet.Types.Int32:
		values := arrow.Int32Traits.CastFromBytes(c.reader.Values())
		c.value = func(slot int) (string, bool) { return c.text.integer(int64(values[slot])), true }
	case parquet.Types.Int64:
		values := arrow.Int64Traits.CastFromBytes(c.reader.Values())
		c.value = func(slot int) (string, bool) { return c.text.integer(values[slot]), true }
	case parquet.Types.Int96:
		values := parquet.Int96Traits.CastFromBytes(c.reader.Values())
		c.value = func(slot int) (string, bool) { return values[slot].ToTime().Format(timestampLayout), true }
	case parquet.Types.Float:
		values := arrow.Float32Traits.CastFromBytes(c.reader.Values())
		c.value = func(slot int) (string, bool) { return floatText(float64(values[slot]), 32) }
	case parquet.Types.Double:
		values := arrow.Float64Traits.CastFromBytes(c.reader.Values())
		c.value = func(slot int) (string, bool) { return floatText(values[slot], 64) }
	default:
		return fmt.Errorf("its type %s cannot be read", c.leaf.PhysicalType())
	}
	return nil
}

// slots are byte strings one behind another; an absent one is empty.
type slots interface {
	Len() int
	Value(slot int) []byte
}

// areUTF8 looks at all values at once, which is faster than one by one. False may be wrong.
func areUTF8(values slots) bool {
	if all, ok := values.(interface{ ValueBytes() []byte }); !ok || !utf8.Valid(all.ValueBytes()) {
		return false
	}
	for i := range values.Len() {
		if v := values.Value(i); len(v) > 0 && !utf8.RuneStart(v[0]) { // then the value before may end within a letter
			return false
		}
	}
	return true
}

// addRow puts the values of the next row of the batch into its cells. After an error it stands at the next row all the same.
func (c *column) addRow(cells *ingest.RowCells) (err error) {
	if c.defs == nil {
		return c.addValue(cells)
	}
	for first := true; first || c.reps != nil && c.level < len(c.reps) && c.reps[c.level] > 0; first = false {
		present := c.defs[c.level] == c.leaf.MaxDefinitionLevel()
		c.level++
		switch {
		case present && err == nil:
			err = c.addValue(cells)
		case present, c.reps == nil:
			c.slot++
		}
	}
	return err
}

func (c *column) addValue(cells *ingest.RowCells) error {
	text, ok := c.value(c.slot)
	c.slot++
	switch {
	case !ok && c.text.kind == kindBytes:
		if !c.noted {
			c.note, c.noted = fmt.Sprintf("column %s holds bytes that are no text: they are left out", c.name), true
		}
		return nil
	case !ok:
		return nil
	case !c.isUTF8 && !utf8.ValidString(text):
		return fmt.Errorf("column %s is not UTF-8", c.name)
	}
	return cells.Add(c.name, text)
}
