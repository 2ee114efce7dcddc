package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/metadata"
)

// maxDictionary is the size of the largest dictionary of a column chunk, in bytes as they are stored. The texts of a column with more are given to the vendor.
const maxDictionary = 1 << 20

// recurring gives texts numbers in the order in which they come first: as many as fit into a dictionary.
type recurring struct {
	numbers map[string]int32
	texts   []parquet.ByteArray
	indices []int32
	size    int
	recent  [64]recent // what came last at a place of a list, which is what comes next as a rule
}

type recent struct {
	text   string
	number int32 // 0: none yet, else one more than the index
}

// add takes the next text, which stands at a place of its row's list; false when the dictionary is full.
func (r *recurring) add(text string, place int) bool {
	last := &r.recent[place%len(r.recent)]
	if last.number == 0 || last.text != text {
		number, known := r.numbers[text]
		if !known {
			if r.size += len(text) + arrow.Uint32SizeBytes; r.size >= maxDictionary {
				return false
			}
			number = int32(len(r.texts)) //nolint:gosec // bounded by the size
			r.numbers[text] = number
			r.texts = append(r.texts, bytesOf(text))
		}
		*last = recent{text, number + 1}
	}
	r.indices = append(r.indices, last.number-1)
	return true
}

// writeRecurring writes a column of few different texts; false, and nothing is written, when their dictionary would be too large. It gives the bytes that
// the vendor's writer gives of the texts themselves, which hashes each: of the names of cells there are many times as many as rows.
func writeRecurring[T any](l leaf[T], w file.ColumnChunkWriter, rows []T) (done bool, err error) {
	r := recurring{numbers: map[string]int32{}}
	var definition, repetition []int16
	isList, fits, place := w.Descr().MaxRepetitionLevel() > 0, true, 0
	next := func(text string) {
		fits = fits && r.add(text, place)
		if isList {
			definition, repetition = append(definition, 1), append(repetition, int16(min(place, 1))) //nolint:gosec // 0 or 1
		}
		place++
	}
	for i := range rows {
		place = 0
		if l.see(&rows[i], next); !fits {
			return false, nil
		}
		if place == 0 {
			definition, repetition = append(definition, 0), append(repetition, 0)
		}
	}
	return true, r.write(w, definition, repetition)
}

// write writes the texts to a column that has a dictionary. Levels are those of WriteBatch.
func (r *recurring) write(w file.ColumnChunkWriter, definition, repetition []int16) error {
	encoder, ok := w.CurrentEncoder().(interface{ PutDictionary(texts arrow.Array) error })
	if !ok {
		return fmt.Errorf("a column of %s has no dictionary", w.Type())
	}
	texts := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
	for _, text := range r.texts {
		texts.Append(text)
	}
	if err := encoder.PutDictionary(texts.NewBinaryArray()); err != nil {
		return err
	}
	if statistics, ok := w.PageStatistics().(*metadata.ByteArrayStatistics); ok {
		statistics.Update(r.texts, int64(max(0, len(definition)-len(r.indices)))) // empty lists
	}
	body := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(r.indices))
	return w.WriteDictIndices(array.NewInt32Data(array.NewData(arrow.PrimitiveTypes.Int32, len(r.indices), []*memory.Buffer{nil, body}, nil, 0, 0)), definition, repetition)
}
