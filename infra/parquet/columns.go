package parquet

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// text is a column of strings.
func text[T any, S ~string](name string, at func(*T) *S) column[T] {
	return column[T]{node: stringNode(name), leaves: []leaf[T]{{
		path: name,
		see:  func(row *T, text func(string)) { text(string(*at(row))) },
		write: func(w file.ColumnChunkWriter, rows []T) error {
			return writeAll(w, rows, func(row *T) parquet.ByteArray { return bytesOf(string(*at(row))) })
		},
		read: func(b *batch, d *decoding, rows []T) error {
			values, err := b.texts()
			if err != nil {
				return err
			}
			for i := range rows {
				if d.skips(i) {
					continue
				}
				s, err := d.text(values.Value(i))
				if err != nil {
					return err
				}
				*at(&rows[i]) = S(s)
			}
			return nil
		},
	}}}
}

// bytesOf gives the bytes of a text without a copy, for a writer that does not change them.
func bytesOf(text string) parquet.ByteArray {
	if text == "" {
		return parquet.ByteArray{} // statistics take nil for no text
	}
	return unsafe.Slice(unsafe.StringData(text), len(text)) //nolint:gosec // the one copy of all texts would be a tenth of writing them
}

// integer is a column of 64-bit integers.
func integer[T any, I int | int64](name string, at func(*T) *I) column[T] {
	node := schema.NewInt64Node(name, parquet.Repetitions.Required, noID)
	return column[T]{node: node, leaves: []leaf[T]{{
		path: name,
		write: func(w file.ColumnChunkWriter, rows []T) error {
			return writeAll(w, rows, func(row *T) int64 { return int64(*at(row)) })
		},
		read: func(b *batch, _ *decoding, rows []T) error {
			for i, v := range b.integers() {
				*at(&rows[i]) = I(v)
			}
			return nil
		},
	}}}
}

// score is a column of 32-bit floats.
func score[T any](name string, at func(*T) *float32) column[T] {
	node := schema.NewFloat32Node(name, parquet.Repetitions.Required, noID)
	return column[T]{node: node, leaves: []leaf[T]{{
		path: name,
		write: func(w file.ColumnChunkWriter, rows []T) error {
			return writeAll(w, rows, func(row *T) float32 { return *at(row) })
		},
		read: func(b *batch, _ *decoding, rows []T) error {
			for i, v := range b.floats() {
				*at(&rows[i]) = v
			}
			return nil
		},
	}}}
}

// double is a column of 64-bit floats.
func double[T any](name string, at func(*T) *float64) column[T] {
	node := schema.NewFloat64Node(name, parquet.Repetitions.Required, noID)
	return column[T]{node: node, leaves: []leaf[T]{{
		path: name,
		write: func(w file.ColumnChunkWriter, rows []T) error {
			return writeAll(w, rows, func(row *T) float64 { return *at(row) })
		},
		read: func(b *batch, _ *decoding, rows []T) error {
			for i, v := range b.doubles() {
				*at(&rows[i]) = v
			}
			return nil
		},
	}}}
}

// writer is what the vendor's typed column writers have in common. A required column has no levels.
type writer[V any] interface {
	WriteBatch(values []V, definition, repetition []int16) (int64, error)
}

func writeAll[T, V any](w file.ColumnChunkWriter, rows []T, get func(*T) V) error {
	typed, ok := w.(writer[V])
	if !ok {
		return fmt.Errorf("a column of %s cannot hold %T", w.Type(), *new(V))
	}
	values := make([]V, 0, min(len(rows), writtenAtOnce))
	for len(rows) > 0 {
		some := rows[:min(len(rows), writtenAtOnce)]
		values, rows = values[:0], rows[len(some):]
		for i := range some {
			values = append(values, get(&some[i]))
		}
		if _, err := typed.WriteBatch(values, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// writtenAtOnce is how many values are handed to the vendor's writer at once. It is a multiple of pageBatch, so that it moves no border of a page.
const writtenAtOnce = 16 * pageBatch
