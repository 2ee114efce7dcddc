package parquet

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"github.com/rebased/rebased"
)

// A list is stored as Parquet's three-level list of required elements. Each value has two levels: definition 0 stands for an empty list and 1 for
// an element, repetition 0 begins a row's list and 1 goes on with it.

// list is a column of lists of strings.
func list[T any](name string, at func(*T) *[]string) column[T] {
	self := func(s *string) *string { return s }
	return column[T]{
		node:   listNode(name, stringNode("element")),
		leaves: []leaf[T]{element(name+".list.element", at, self, true)},
	}
}

// lists is a column of lists where a file that has it has a list of each row, be it an empty one: none is told from nil.
func lists[T any](name string, at func(*T) *[]string) column[T] {
	c := list(name, at).where(func(row *T) bool { return *at(row) != nil })
	read := c.leaves[0].read
	c.leaves[0].read = func(b *batch, d *decoding, rows []T) error {
		for i := range rows {
			*at(&rows[i]) = []string{}
		}
		return read(b, d, rows)
	}
	return c
}

// cells is a column of lists of {column, text}. The names of columns recur.
func cells[T any](name string, at func(*T) *[]rebased.Cell) column[T] {
	cell := schema.MustGroup(schema.NewGroupNode("element", parquet.Repetitions.Required,
		schema.FieldList{stringNode("column"), stringNode("text")}, noID))
	names := element(name+".list.element.column", at, func(c *rebased.Cell) *string { return &c.Column }, true)
	names.repeat = true
	return column[T]{
		node: listNode(name, cell),
		leaves: []leaf[T]{
			names,
			element(name+".list.element.text", at, func(c *rebased.Cell) *string { return &c.Text }, false),
		},
	}
}

// element is the leaf of one string of each element. The first leaf of a list makes it when reading; the others must agree with its length.
func element[T, E any](path string, at func(*T) *[]E, text func(*E) *string, first bool) leaf[T] {
	return leaf[T]{
		path: path,
		see: func(row *T, see func(string)) {
			elements := *at(row)
			for i := range elements {
				see(*text(&elements[i]))
			}
		},
		write: func(w file.ColumnChunkWriter, rows []T) error { return writeLists(w, rows, at, text) },
		read: func(b *batch, d *decoding, rows []T) error {
			if first {
				if err := makeLists(b, d, rows, at); err != nil {
					return err
				}
			}
			return readLists(b, d, rows, at, text)
		},
	}
}

func writeLists[T, E any](w file.ColumnChunkWriter, rows []T, at func(*T) *[]E, text func(*E) *string) error {
	typed, ok := w.(writer[parquet.ByteArray])
	if !ok {
		return fmt.Errorf("a column of %s cannot hold strings", w.Type())
	}
	values := make([]parquet.ByteArray, 0, writtenAtOnce)
	definition, repetition := make([]int16, 0, writtenAtOnce), make([]int16, 0, writtenAtOnce)
	flush := func() error {
		_, err := typed.WriteBatch(values, definition, repetition)
		values, definition, repetition = values[:0], definition[:0], repetition[:0]
		return err
	}
	for i := range rows {
		elements := *at(&rows[i])
		for j := range max(1, len(elements)) {
			if len(definition) == writtenAtOnce {
				if err := flush(); err != nil {
					return err
				}
			}
			if len(elements) == 0 {
				definition, repetition = append(definition, 0), append(repetition, 0)
				continue
			}
			values = append(values, bytesOf(*text(&elements[j])))
			definition, repetition = append(definition, 1), append(repetition, int16(min(j, 1))) //nolint:gosec // 0 or 1
		}
	}
	return flush()
}

func makeLists[T, E any](b *batch, d *decoding, rows []T, at func(*T) *[]E) error {
	lengths, err := b.lengths()
	if err != nil {
		return err
	}
	for i, n := range lengths {
		if n == 0 || d.skips(i) {
			continue
		}
		if err := d.take(int64(n) * sizeOf[E]()); err != nil {
			return err
		}
		*at(&rows[i]) = make([]E, n)
	}
	return nil
}

func readLists[T, E any](b *batch, d *decoding, rows []T, at func(*T) *[]E, text func(*E) *string) error {
	lengths, err := b.lengths()
	if err != nil {
		return err
	}
	values, err := b.texts()
	if err != nil {
		return err
	}
	next := 0
	for i, n := range lengths {
		if d.skips(i) {
			next += n
			continue
		}
		elements := *at(&rows[i])
		if len(elements) != n || next+n > values.Len() {
			return errors.New("the columns of a list differ in length")
		}
		for j := range elements {
			if *text(&elements[j]), err = d.text(values.Value(next)); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}
