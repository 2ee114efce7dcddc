package parquet_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/porttest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A golden file that changes means that files of another version of the project are not written the same any more: that belongs in the changelog.
func TestGolden(t *testing.T) {
	t.Run("row", func(t *testing.T) { golden(t, "row", parquet.RowSchema(), porttest.SampleRows()) })
	t.Run("candidate", func(t *testing.T) { golden(t, "candidate", parquet.CandidateSchema(), porttest.SampleCandidates()) })
	t.Run("example", func(t *testing.T) { golden(t, "example", parquet.ExampleSchema(), porttest.SampleExamples()) })
	t.Run("reject", func(t *testing.T) { golden(t, "reject", parquet.RejectSchema(), porttest.SampleRejects()) })
	t.Run("dataset", func(t *testing.T) { golden(t, "dataset", parquet.DatasetSchema(), porttest.SampleDatasets()) })
}

func golden[T any](t *testing.T, name string, schema *parquet.Schema[T], rows []T) {
	t.Helper()
	data, err := parquet.Encode(schema, rows)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".parquet")
	if *update {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Errorf("the bytes differ from %s; if that is meant, run the test with -update", path)
	}
	got, err := parquet.Decode(schema, path, want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s holds other rows (-want +got):\n%s", path, diff)
	}
}
