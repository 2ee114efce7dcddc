package parquet_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/parquet"
)

// manyRows makes rows of seven cells of about 110 bytes of words each, as corpora have on average.
func manyRows(n int) []rebased.Row {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a fixed sample
	vocabulary := make([]string, 5000)
	for i := range vocabulary {
		vocabulary[i] = fmt.Sprintf("w%x", random.IntN(1<<20))
	}
	rows := make([]rebased.Row, n)
	id := rebased.DatasetID{Name: "owner/name", Config: "default", Split: "train"}
	for i := range rows {
		cells := make([]rebased.Cell, 7)
		for c := range cells {
			var text strings.Builder
			for text.Len() < 110 {
				text.WriteString(vocabulary[random.IntN(1+random.IntN(len(vocabulary)))] + " ")
			}
			cells[c] = rebased.Cell{Column: fmt.Sprint("column.", c), Text: text.String()}
		}
		rows[i] = rebased.Row{ID: rebased.NewRowID(id, cells, 0), Dataset: id, Cells: cells}
	}
	return rows
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{50, 1000, 20000} {
		rows, schema := manyRows(n), parquet.RowSchema()
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				data, err := parquet.Encode(schema, rows)
				if err != nil {
					b.Fatal(err)
				}
				size = len(data)
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(size)/float64(n), "bytes/row")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{50, 1000, 20000} {
		schema := parquet.RowSchema()
		data, err := parquet.Encode(schema, manyRows(n))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parquet.Decode(schema, "bench", data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkDecodeSome reads one row in a hundred.
func BenchmarkDecodeSome(b *testing.B) {
	schema := parquet.RowSchema()
	data, err := parquet.Encode(schema, manyRows(20000))
	if err != nil {
		b.Fatal(err)
	}
	var places []int32
	for i := int32(0); i < 20000; i += 100 {
		places = append(places, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parquet.DecodeSome(schema, "bench", data, places); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(20000*b.N)/b.Elapsed().Seconds(), "rows/s")
}
