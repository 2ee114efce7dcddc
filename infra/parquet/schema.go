package parquet

import (
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// Schema says which columns the rows of a noun have, and how each is taken from a row and put into it.
type Schema[T any] struct {
	columns []column[T]
}

// column is one top-level column: its place in the file's schema, and the leaves that Parquet stores for it, in order.
type column[T any] struct {
	node   schema.Node
	leaves []leaf[T]
	has    func(row *T) bool // whether a row needs the column; nil = every file has it
}

// leaf is one column of values in the file.
type leaf[T any] struct {
	path   string // dotted, as Parquet names it
	repeat bool   // few different values: kept in a dictionary on disk and once in memory
	see    func(row *T, text func(string))
	write  func(w file.ColumnChunkWriter, rows []T) error
	read   func(b *batch, d *decoding, rows []T) error // rows are those of the batch
}

// recurring marks a column of few different values.
func (c column[T]) recurring() column[T] {
	for i := range c.leaves {
		c.leaves[i].repeat = true
	}
	return c
}

// where leaves the column out of files whose rows do not need it: files from before there was such a column, and those of tasks that do not use it,
// have the same bytes.
func (c column[T]) where(has func(row *T) bool) column[T] {
	c.has = has
	return c
}

// of gives the schema of a file that begins with some rows.
func (s *Schema[T]) of(rows []T) *Schema[T] {
	return s.without(func(c column[T]) bool { return !needs(c, rows) })
}

func needs[T any](c column[T], rows []T) bool {
	for i := range rows {
		if c.has(&rows[i]) {
			return true
		}
	}
	return false
}

// lacks names a column that another schema has besides.
func (s *Schema[T]) lacks(other *Schema[T]) (name string, ok bool) {
	for _, c := range other.columns {
		if s.root().FieldIndexByName(c.node.Name()) < 0 {
			return c.node.Name(), true
		}
	}
	return "", false
}

// without leaves out the columns that not every file has, where gone says so.
func (s *Schema[T]) without(gone func(column[T]) bool) *Schema[T] {
	out := &Schema[T]{}
	for _, c := range s.columns {
		if c.has == nil || !gone(c) {
			out.columns = append(out.columns, c)
		}
	}
	return out
}

func (s *Schema[T]) leaves() []leaf[T] {
	var all []leaf[T]
	for _, c := range s.columns {
		all = append(all, c.leaves...)
	}
	return all
}

// root is the schema in Parquet's terms. Nothing in it is optional.
func (s *Schema[T]) root() *schema.GroupNode {
	nodes := make(schema.FieldList, 0, len(s.columns))
	for _, c := range s.columns {
		nodes = append(nodes, c.node)
	}
	return schema.MustGroup(schema.NewGroupNode("schema", parquet.Repetitions.Required, nodes, noID))
}

// noID is the field id of a column that is known by its name.
const noID = -1

func stringNode(name string) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, schema.StringLogicalType{},
		parquet.Types.ByteArray, 0, noID))
}

func listNode(name string, element schema.Node) schema.Node {
	return schema.MustGroup(schema.ListOfWithName(name, element, parquet.Repetitions.Required, noID))
}

// pageBatch is after how many values the size of a page is looked at; a page holds up to so many values more than its 1 MiB.
const pageBatch = 64

// settings are those of every file. Long texts have neither dictionary nor statistics, which would cost more than they save.
func (s *Schema[T]) settings() *parquet.WriterProperties {
	options := []parquet.WriterProperty{
		parquet.WithCreatedBy("rebased version 1"),
		parquet.WithRootRepetition(parquet.Repetitions.Required),
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithBatchSize(pageBatch),
		parquet.WithDictionaryDefault(false),
		parquet.WithDictionaryPageSizeLimit(maxPage), // none ends midway: the vendor lists the encodings of such a column in any order
		parquet.WithStats(false),
	}
	for _, l := range s.leaves() {
		options = append(options, parquet.WithDictionaryFor(l.path, l.repeat), parquet.WithStatsFor(l.path, l.repeat || l.see == nil))
	}
	return parquet.NewWriterProperties(options...)
}
