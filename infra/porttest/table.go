package porttest

import (
	"crypto/sha256"
	"encoding/hex"
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
		"WriteDescribesTheFile":          c.writeDescribesTheFile,
		"WriteReplaces":                  c.writeReplaces,
		"TheSameRowsGiveTheSameBytes":    c.theSameRowsGiveTheSameBytes,
		"WriteHashedNamesTheFileByBytes": c.writeHashedNamesTheFileByBytes,
		"WriteHashedTwiceIsASuccess":     c.writeHashedTwiceIsASuccess,
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
