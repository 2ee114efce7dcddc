package parquet_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/parquet"
)

// readers decode bytes as each noun.
var readers = map[string]func(data []byte) error{
	"row":       func(data []byte) error { return decodes(parquet.RowSchema(), data) },
	"candidate": func(data []byte) error { return decodes(parquet.CandidateSchema(), data) },
	"example":   func(data []byte) error { return decodes(parquet.ExampleSchema(), data) },
	"reject":    func(data []byte) error { return decodes(parquet.RejectSchema(), data) },
	"dataset":   func(data []byte) error { return decodes(parquet.DatasetSchema(), data) },
}

func decodes[T any](schema *parquet.Schema[T], data []byte) error {
	_, err := parquet.Decode(schema, "file", data)
	return err
}

func goldenBytes(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".parquet"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestDamagedBytesAreInvalid(t *testing.T) {
	data := goldenBytes(t, "row")
	refused := 0
	for i := range data {
		for _, flip := range []byte{0x01, 0x80} {
			damaged := bytes.Clone(data)
			damaged[i] ^= flip
			err := readers["row"](damaged)
			if err == nil {
				continue // a name, a statistic or another byte that no row depends on
			}
			refused++
			if rebased.KindOf(err) != rebased.Invalid {
				t.Fatalf("byte %d changed by %#x: got %v, want Invalid", i, flip, err)
			}
		}
	}
	if refused < len(data) {
		t.Fatalf("only %d of %d damaged files were refused", refused, 2*len(data))
	}
}

func TestAFileCutShortIsInvalid(t *testing.T) {
	for name, read := range readers {
		data := goldenBytes(t, name)
		for n := range data {
			if err := read(data[:n]); rebased.KindOf(err) != rebased.Invalid {
				t.Fatalf("%s cut at %d of %d bytes: got %v, want Invalid", name, n, len(data), err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for name := range readers {
		f.Add(goldenBytes(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, read := range readers {
			if err := read(data); err != nil && rebased.KindOf(err) != rebased.Invalid {
				t.Fatalf("as %s: got %v, want Invalid", name, err)
			}
		}
	})
}
