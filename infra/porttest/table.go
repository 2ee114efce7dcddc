package porttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rebased/rebased"
)

// Table checks a table. open makes one over the bucket that it is given; newObjects gives an empty bucket for each case; sample holds at least
// two different rows, which should use every field. A list that is empty may come back nil.
func Table[T any](t *testing.T, newObjects func(t *testing.T) rebased.Objects, open func(rebased.Objects) rebased.Table[T], sample []T) {
	t.Helper()
	if len(sample) < 2 {
		t.Fatal("the suite needs at least two rows")
	}
	c := tableCase[T]{open: open, sample: sample}
	for name, run := range map[string]func(*testing.T, rebased.Objects){
		"ReadGivesWhatWriteStored":       c.readGivesWhatWriteStored,
		"NoRowsIsATableToo":              c.noRowsIsATableToo,
		"PickGivesTheRowsAtPlaces":       c.pickGivesTheRowsAtPlaces,
		"WriteDescribesTheFile":          c.writeDescribesTheFile,
		"WriteReplaces":                  c.writeReplaces,
		"TheSameRowsGiveTheSameBytes":    c.theSameRowsGiveTheSameBytes,
		"WriteHashedNamesTheFileByBytes": c.writeHashedNamesTheFileByBytes,
		"WriteHashedTwiceIsASuccess":     c.writeHashedTwiceIsASuccess,
		"EncodeGivesATableOfAllParts":    c.encodeGivesATableOfAllParts,
		"EncodeEndsWithTheFirstError":    c.encodeEndsWithTheFirstError,
		"ReadOfAnAbsentKeyIsNotFound":    c.readOfAnAbsentKeyIsNotFound,
		"ReadOfForeignBytesIsInvalid":    c.readOfForeignBytesIsInvalid,
	} {
		t.Run(name, func(t *testing.T) { run(t, newObjects(t)) })
	}
}

type tableCase[T any] struct {
	open   func(rebased.Objects) rebased.Table[T]
	sample []T
}

func (c tableCase[T]) readGivesWhatWriteStored(t *testing.T, o rebased.Objects) {
	file := c.write(t, o, c.sample)
	c.wantRows(t, o, file.Key, c.sample)
}

func (c tableCase[T]) noRowsIsATableToo(t *testing.T, o rebased.Objects) {
	file := c.write(t, o, nil)
	c.wantRows(t, o, file.Key, nil)
}

func (c tableCase[T]) pickGivesTheRowsAtPlaces(t *testing.T, o rebased.Objects) {
	file := c.write(t, o, c.sample)
	last := int32(len(c.sample) - 1)
	all := make([]int32, len(c.sample))
	for i := range all {
		all[i] = int32(i)
	}
	for _, places := range [][]int32{nil, {0}, {last}, {0, last}, all} {
		want := make([]T, len(places))
		for i, place := range places {
			want[i] = c.sample[place]
		}
		got, err := c.open(o).Pick(t.Context(), file.Key, places)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("places %v: %v (-want +got):\n%s", places, err, diff)
		}
	}
	for _, places := range [][]int32{{last + 1}, {0, last + 1}, {-1, 0}, {1, 0}, {0, 0}} {
		_, err := c.open(o).Pick(t.Context(), file.Key, places)
		wantKind(t, err, rebased.Invalid)
	}
	_, err := c.open(o).Pick(t.Context(), "t/absent.parquet", []int32{0})
	wantKind(t, err, rebased.NotFound)
}

func (c tableCase[T]) writeDescribesTheFile(t *testing.T, o rebased.Objects) {
	file := c.write(t, o, c.sample)
	wantFile(t, o, file, "t/rows.parquet", len(c.sample))
}

func (c tableCase[T]) writeReplaces(t *testing.T, o rebased.Objects) {
	c.write(t, o, c.sample)
	file := c.write(t, o, c.sample[:1])
	c.wantRows(t, o, file.Key, c.sample[:1])
}

func (c tableCase[T]) theSameRowsGiveTheSameBytes(t *testing.T, o rebased.Objects) {
	first, again, other := c.write(t, o, c.sample), c.write(t, o, c.sample), c.write(t, o, c.sample[1:])
	if first != again {
		t.Fatalf("the same rows gave %+v, then %+v", first, again)
	}
	if first.SHA256 == other.SHA256 {
		t.Fatalf("other rows gave the same bytes %+v", other)
	}
}

func (c tableCase[T]) writeHashedNamesTheFileByBytes(t *testing.T, o rebased.Objects) {
	file, err := c.open(o).WriteHashed(t.Context(), "t/part-", c.sample)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, o, file, "t/part-"+file.SHA256+".parquet", len(c.sample))
	c.wantRows(t, o, file.Key, c.sample)
}

func (c tableCase[T]) encodeGivesATableOfAllParts(t *testing.T, o rebased.Objects) {
	for _, parts := range [][][]T{nil, {c.sample}, {c.sample[:1], nil, c.sample[1:]}} {
		var first bytes.Buffer
		for n := range 2 {
			var out bytes.Buffer
			if err := c.open(o).Encode(&out, partsOf(parts, nil)); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				first = out
			} else if !bytes.Equal(out.Bytes(), first.Bytes()) {
				t.Fatal("the same parts gave other bytes")
			}
		}
		if _, err := o.Put(t.Context(), "t/parts.parquet", first.Bytes()); err != nil {
			t.Fatal(err)
		}
		c.wantRows(t, o, "t/parts.parquet", slices.Concat(parts...))
	}
}

func (c tableCase[T]) encodeEndsWithTheFirstError(t *testing.T, o rebased.Objects) {
	broken := errors.New("no more rows")
	if err := c.open(o).Encode(io.Discard, partsOf([][]T{c.sample}, broken)); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the parts", err)
	}
	if err := c.open(o).Encode(failing{broken}, partsOf([][]T{c.sample}, nil)); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the writer", err)
	}
}

// partsOf yields parts, then an error unless it is nil.
func partsOf[T any](parts [][]T, err error) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		for _, part := range parts {
			if !yield(part, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func (c tableCase[T]) writeHashedTwiceIsASuccess(t *testing.T, o rebased.Objects) {
	table := c.open(o)
	first, err := table.WriteHashed(t.Context(), "t/part-", c.sample)
	if err != nil {
		t.Fatal(err)
	}
	again, err := table.WriteHashed(t.Context(), "t/part-", c.sample)
	if err != nil || first != again {
		t.Fatalf("the second time gave %+v, %v; want %+v", again, err, first)
	}
	wantKeys(t, o, "t/", first.Key)
}

func (c tableCase[T]) readOfAnAbsentKeyIsNotFound(t *testing.T, o rebased.Objects) {
	_, err := c.open(o).Read(t.Context(), "t/none.parquet")
	wantKind(t, err, rebased.NotFound)
}

func (c tableCase[T]) readOfForeignBytesIsInvalid(t *testing.T, o rebased.Objects) {
	mustPut(t, o, "t/foreign.parquet", "these bytes are no table")
	_, err := c.open(o).Read(t.Context(), "t/foreign.parquet")
	wantKind(t, err, rebased.Invalid)
}

func (c tableCase[T]) write(t *testing.T, o rebased.Objects, rows []T) rebased.File {
	t.Helper()
	file, err := c.open(o).Write(t.Context(), "t/rows.parquet", rows)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func (c tableCase[T]) wantRows(t *testing.T, o rebased.Objects, key string, want []T) {
	t.Helper()
	got, err := c.open(o).Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("read %s (-want +got):\n%s", key, diff)
	}
}

func wantFile(t *testing.T, o rebased.Objects, got rebased.File, key string, rows int) {
	t.Helper()
	body, _, err := o.Get(t.Context(), got.Key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	want := rebased.File{Key: key, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(body)), Rows: rows}
	if got != want {
		t.Fatalf("the file is said to be %+v, is %+v", got, want)
	}
}
