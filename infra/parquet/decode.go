package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"github.com/rebased/rebased"
)

// maxGroupRows is many times what Encode puts into a row group, and what other writers put there by default.
const maxGroupRows = 1 << 20

// MaxDecoded is how much memory the rows of one file may take, in bytes; what is over it is Invalid.
const MaxDecoded = 2 << 30

// Decode reads the rows of a Parquet file; name is what an error calls it. Columns that the schema does not know are passed over. Bytes that are
// no such file, and a column that is missing or of another type, are Invalid.
//
// It reads columns and not the vendor's Arrow records: those are decoded on goroutines of their own, where the panics that damaged bytes lead to
// are beyond the reach of a recover.
func Decode[T any](s *Schema[T], name string, data []byte) ([]T, error) {
	return guard(s, name, data, nil)
}

// DecodeSome reads the rows at some places of a file, ascending; row groups without any are passed over, and of the other rows no text is made. A
// place that the file does not have is Invalid, as is all that Decode refuses.
func DecodeSome[T any](s *Schema[T], name string, data []byte, places []int32) ([]T, error) {
	if !slices.IsSorted(places) {
		return nil, rebased.E(rebased.Invalid, "read %s: places must ascend", name)
	}
	rows, err := guard(s, name, data, append([]int32{}, places...))
	if err == nil && len(rows) != len(places) {
		return nil, rebased.E(rebased.Invalid, "read %s: it has %d of the %d rows asked for", name, len(rows), len(places))
	}
	return rows, err
}

// guard decodes all rows, or those at some places.
func guard[T any](s *Schema[T], name string, data []byte, places []int32) (rows []T, err error) {
	defer func() {
		if r := recover(); r != nil {
			rows, err = nil, rebased.E(rebased.Invalid, "read %s: the Parquet file is damaged: %v", name, r)
		}
	}()
	rows, err = decode(s, data, places, MaxDecoded)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "read %s: %w", name, err)
	}
	return rows, nil
}

func decode[T any](s *Schema[T], data []byte, places []int32, limit int64) ([]T, error) {
	memory := &allocator{left: limit}
	properties := parquet.NewReaderProperties(memory)
	properties.BufferedStreamEnabled = true // else as much is allocated as a damaged file claims for a column
	r, err := file.NewParquetReader(bytes.NewReader(data), file.WithReadProps(properties))
	if err != nil {
		return nil, fmt.Errorf("not a Parquet file: %w", err)
	}
	s = s.without(func(c column[T]) bool { return r.MetaData().Schema.ColumnIndexByName(c.leaves[0].path) < 0 })
	indexes, err := s.find(r.MetaData().Schema)
	if err != nil {
		return nil, err
	}
	d := &decoding{left: limit}
	var rows []T
	first := int64(0)
	for g := range r.NumRowGroups() {
		n := r.RowGroup(g).NumRows()
		if places != nil && !d.choose(places, first, n) {
			first += n
			continue
		}
		first += n
		read, err := makeRows[T](d, n)
		if err != nil {
			return nil, err
		}
		for i, l := range s.leaves() {
			if err := readLeaf(l, r, g, indexes[i], d, memory, read); err != nil {
				return nil, fmt.Errorf("row group %d: column %s: %w", g, l.path, err)
			}
		}
		rows = append(rows, chosen(read, d.wanted)...)
	}
	return rows, nil
}

// choose marks the rows of a group that are wanted; none: the group need not be read.
func (d *decoding) choose(places []int32, first, n int64) bool {
	from, _ := slices.BinarySearch(places, int32(min(first, math.MaxInt32))) //nolint:gosec // bounded
	to, _ := slices.BinarySearch(places, int32(min(first+n, math.MaxInt32))) //nolint:gosec // bounded
	if d.wanted = nil; from >= to || n > maxGroupRows {
		return n > maxGroupRows // makeRows refuses it
	}
	d.wanted = make([]bool, n)
	for _, place := range places[from:to] {
		d.wanted[int64(place)-first] = true
	}
	return true
}

// chosen are the rows that are wanted; nil: all.
func chosen[T any](rows []T, wanted []bool) []T {
	if wanted == nil {
		return rows
	}
	kept := rows[:0]
	for i, row := range rows {
		if wanted[i] {
			kept = append(kept, row)
		}
	}
	return kept
}

// find gives the place of each leaf in a file, which must have it as the schema does.
func (s *Schema[T]) find(in *schema.Schema) ([]int, error) {
	want := schema.NewSchema(s.root())
	var indexes []int
	for i := range want.NumColumns() {
		ours := want.Column(i)
		at := in.ColumnIndexByName(ours.Path())
		if at < 0 {
			return nil, fmt.Errorf("column %s is missing", ours.Path())
		}
		theirs := in.Column(at)
		if theirs.PhysicalType() != ours.PhysicalType() || theirs.MaxDefinitionLevel() != ours.MaxDefinitionLevel() ||
			theirs.MaxRepetitionLevel() != ours.MaxRepetitionLevel() {
			return nil, fmt.Errorf("column %s is of another type: want %s", ours.Path(), describe(ours))
		}
		indexes = append(indexes, at)
	}
	return indexes, nil
}

func describe(c *schema.Column) string {
	if c.MaxRepetitionLevel() > 0 {
		return "required lists of required " + c.PhysicalType().String()
	}
	return "required " + c.PhysicalType().String()
}

func makeRows[T any](d *decoding, n int64) ([]T, error) {
	if n < 0 || n > maxGroupRows {
		return nil, fmt.Errorf("a row group has %d rows, at most %d can be read", n, maxGroupRows)
	}
	if err := d.take(n * sizeOf[T]()); err != nil {
		return nil, err
	}
	return make([]T, n), nil
}

// readLeaf puts one column of a row group into its rows.
func readLeaf[T any](l leaf[T], r *file.Reader, group, index int, d *decoding, memory *allocator, rows []T) error {
	b, err := openBatch(r, group, index, memory)
	if err != nil {
		return err
	}
	d.begin(l.repeat)
	for d.at = 0; len(rows) > 0; d.at += batchRows {
		n := min(batchRows, len(rows))
		if err := b.next(n); err != nil {
			return err
		}
		if err := l.read(b, d, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

var errTooLarge = errors.New("the rows take more memory than a file may")

// decoding counts what one Decode has taken and keeps recurring texts once.
type decoding struct {
	left  int64             // bytes
	known map[string]string // nil in a column whose texts do not recur

	wanted []bool // of the rows of the group; nil = all
	at     int    // place in the group of the batch's first row
}

// skips reports that the i-th row of the batch is not wanted.
func (d *decoding) skips(i int) bool { return d.wanted != nil && !d.wanted[d.at+i] }

func (d *decoding) begin(repeat bool) {
	d.known = nil
	if repeat {
		d.known = map[string]string{}
	}
}

func (d *decoding) take(n int64) error {
	if d.left -= n; d.left < 0 {
		return errTooLarge
	}
	return nil
}

// text copies a value, so that a string never keeps the page it came from in memory.
func (d *decoding) text(v []byte) (string, error) {
	if s, ok := d.known[string(v)]; ok {
		return s, nil
	}
	if err := d.take(int64(len(v))); err != nil {
		return "", err
	}
	s := string(v)
	if d.known != nil {
		d.known[s] = s
	}
	return s, nil
}

func sizeOf[T any]() int64 { return int64(reflect.TypeFor[T]().Size()) }
