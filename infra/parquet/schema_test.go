package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/parquet/file"

	"github.com/rebased/rebased"
)

func TestColumnsThatTheSchemaDoesNotKnowAreIgnored(t *testing.T) {
	wide := DatasetSchema()
	extra := text("extra", func(d *rebased.Dataset) *string { return &d.ETag })
	wide.columns = slices.Insert(wide.columns, 1, extra)
	rows := []rebased.Dataset{{DatasetID: rebased.DatasetID{Name: "a", Config: "b", Split: "c"}, ETag: "e", Rows: 5}}
	data, err := Encode(wide, rows)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(DatasetSchema(), "file", data)
	if err != nil || !reflect.DeepEqual(got, rows) {
		t.Fatalf("got %+v, %v; want %+v", got, err, rows)
	}
}

func TestAColumnThatIsNotAsTheSchemaSaysIsNamed(t *testing.T) {
	without, other, lists := DatasetSchema(), DatasetSchema(), RowSchema()
	without.columns = without.columns[1:]
	other.columns[2] = integer("split", func(d *rebased.Dataset) *int { return &d.Rows })
	lists.columns[4] = list("cells", func(r *rebased.Row) *[]string { return new([]string) })
	wantDecodeError(t, without, DatasetSchema(), "read k: column dataset is missing")
	wantDecodeError(t, other, DatasetSchema(), "read k: column split is of another type: want required BYTE_ARRAY")
	wantDecodeError(t, lists, RowSchema(), "read k: column cells.list.element.column is missing")
}

func wantDecodeError[T any](t *testing.T, written, read *Schema[T], want string) {
	t.Helper()
	data, err := Encode(written, make([]T, 3))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Decode(read, "k", data)
	if rebased.KindOf(err) != rebased.Invalid || err.Error() != want {
		t.Fatalf("got %q of kind %q, want Invalid %q", err, rebased.KindOf(err), want)
	}
}

func TestATextThatIsNotUTF8IsNamed(t *testing.T) {
	rows := make([]rebased.Row, 3)
	rows[2].Cells = []rebased.Cell{{Column: "a", Text: "fine"}, {Column: "b", Text: "\xff"}}
	_, err := Encode(RowSchema(), rows)
	want := "encode Parquet: row 2 has a text in cells.list.element.text that is not UTF-8"
	if rebased.KindOf(err) != rebased.Invalid || err.Error() != want {
		t.Fatalf("got %v, want Invalid %q", err, want)
	}
}

func TestRowsThatTakeTooMuchMemoryAreRefused(t *testing.T) {
	rows := randomRows(rand.New(rand.NewPCG(1, 1)), 2000)
	data, err := Encode(RowSchema(), rows)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(RowSchema(), data, nil, 64<<20); err != nil {
		t.Fatal(err)
	}
	_, err = decode(RowSchema(), data, nil, 2000*sizeOf[rebased.Row]()+1000)
	if err == nil || !strings.Contains(err.Error(), errTooLarge.Error()) {
		t.Fatalf("got %v, want %v", err, errTooLarge)
	}
}

func TestARowGroupThatClaimsTooManyRowsIsRefused(t *testing.T) {
	for _, n := range []int64{-1, maxGroupRows + 1, 1 << 62} {
		if rows, err := makeRows[struct{}](&decoding{left: MaxDecoded}, n); err == nil {
			t.Errorf("%d rows were made of %d", len(rows), n)
		}
	}
}

func TestRowGroupsAreBounded(t *testing.T) {
	long := rebased.Row{Cells: []rebased.Cell{{Text: strings.Repeat("x", 20<<20)}}}
	if n, err := RowSchema().group(slices.Repeat([]rebased.Row{long}, 6), 0); n != 4 || err != nil {
		t.Fatalf("a row group takes %d rows of 20 MiB, %v; want 4", n, err)
	}
	if n, err := DatasetSchema().group(make([]rebased.Dataset, groupRows+1), 0); n != groupRows || err != nil {
		t.Fatalf("a row group takes %d empty rows, %v; want %d", n, err, groupRows)
	}
}

func TestRowsOfManyRowGroupsComeBack(t *testing.T) {
	rows := make([]rebased.Dataset, 2*groupRows+10)
	for i := range rows {
		rows[i] = rebased.Dataset{DatasetID: rebased.DatasetID{Name: fmt.Sprint(i % 7)}, ETag: fmt.Sprint(i), Rows: i}
	}
	wantBack(t, DatasetSchema(), rows)
}

func TestRowsOfAnyShapeComeBack(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{1, 2, batchRows - 1, batchRows, batchRows + 1, 3*batchRows + 5} {
		wantBack(t, RowSchema(), randomRows(random, n))
	}
}

// randomRows have lists of no to twenty cells, with texts of up to some hundred KiB.
func randomRows(random *rand.Rand, n int) []rebased.Row {
	rows := make([]rebased.Row, n)
	for i := range rows {
		rows[i].ID = rebased.RowID(fmt.Sprint(random.Uint64()))
		rows[i].Dataset.Name = fmt.Sprint(i / 100)
		for range max(0, random.IntN(23)-2) {
			length := random.IntN(40)
			if random.IntN(2000) == 0 {
				length = random.IntN(300 << 10)
			}
			rows[i].Cells = append(rows[i].Cells, rebased.Cell{
				Column: fmt.Sprint("c", random.IntN(50)), Text: strings.Repeat(string(rune(random.IntN(0xd7ff)+1)), length),
			})
		}
	}
	return rows
}

func wantBack[T any](t *testing.T, s *Schema[T], rows []T) {
	t.Helper()
	data, err := Encode(s, rows)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(s, "file", data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(rows) {
		t.Fatalf("%d rows came back of %d", len(got), len(rows))
	}
	for i := range rows {
		if !reflect.DeepEqual(got[i], rows[i]) {
			t.Fatalf("row %d of %d came back otherwise", i, len(rows))
		}
	}
	for _, stride := range []int{1, 3, batchRows + 1, groupRows + 1} {
		var places []int32
		var want []T
		for at := stride - 1; at < len(rows); at += stride {
			places, want = append(places, int32(at)), append(want, rows[at])
		}
		some, err := DecodeSome(s, "file", data, places)
		if err != nil || len(some) != len(want) {
			t.Fatalf("of %d rows every %dth: %d rows of %d, %v", len(rows), stride, len(some), len(want), err)
		}
		for i := range want {
			if !reflect.DeepEqual(some[i], want[i]) {
				t.Fatalf("of %d rows every %dth: row %d came back otherwise", len(rows), stride, i)
			}
		}
	}
}

// TestDictionariesAreWrittenAsTheVendorDoes holds writeRecurring to the bytes that the vendor makes of the texts themselves, in dictionaries that are small,
// too large and all but empty.
func TestDictionariesAreWrittenAsTheVendorDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	many := randomRows(random, 3000)
	large := randomRows(random, 300)
	for i := range large {
		large[i].Dataset.Config = strings.Repeat("x", 2000) + fmt.Sprint(i)
		for range 10 {
			large[i].Cells = append(large[i].Cells, rebased.Cell{Column: fmt.Sprint(strings.Repeat("y", 500), random.Uint64()), Text: "z"})
		}
	}
	for name, rows := range map[string][]rebased.Row{"many": many, "large": large, "without cells": make([]rebased.Row, 5), "none": nil} {
		s := RowSchema()
		var want bytes.Buffer
		out := file.NewParquetWriter(&want, s.root(), file.WithWriterProps(s.settings()))
		if len(rows) > 0 {
			group := out.AppendRowGroup()
			for _, l := range s.leaves() {
				chunk, err := group.NextColumn()
				if err == nil {
					err = errors.Join(l.write(chunk, rows), chunk.Close())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := group.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		for range 10 { // the same each time
			got, err := Encode(s, rows)
			if err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Fatalf("%s: other bytes than the vendor's, %v", name, err)
			}
		}
	}
}
