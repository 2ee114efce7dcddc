package ingest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/source"
)

// hub is the folder of real datasets.
func hub(t testing.TB) ingest.Folder {
	t.Helper()
	data := os.Getenv("REBASED_TEST_DATA")
	if data == "" {
		t.Skip("REBASED_TEST_DATA is not set: no real datasets to import")
	}
	return discover(t, filepath.Join(data, "hub"))
}

// parquetBucket imports into real Parquet parts.
func parquetBucket(t testing.TB) bucket {
	t.Helper()
	objects := mem.NewObjects()
	importer, err := ingest.New(ingest.Config{
		Objects: objects, Rows: parquet.Rows(objects), Datasets: parquet.Datasets(objects), Parquet: source.Parquet{}, Limits: ingest.DefaultLimits(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return bucket{importer, objects}
}

func TestRealDatasetsAreReadWhole(t *testing.T) {
	folder := hub(t)
	if len(folder.Skipped) != 0 || len(folder.Malformed) != 0 {
		t.Errorf("skipped %v, malformed %v", folder.Skipped, folder.Malformed)
	}
	b := parquetBucket(t)
	corpus, converted := b.load(t, folder, 1000)
	names := map[string]bool{}
	rows, described := 0, 0
	for _, c := range converted {
		if c.Bad != 0 {
			t.Errorf("%s: %v", c.Dataset, c.Malformed)
		}
		names[c.Dataset.Name] = true
		rows += c.Dataset.Rows
		if c.Dataset.Description != "" {
			described++
		}
	}
	if len(converted) != 390 || len(names) != 224 || rows != 37_648 {
		t.Errorf("%d rows of %d configs of %d datasets, want 37648 of 390 of 224", rows, len(converted), len(names))
	}
	cells := 0
	ids := map[rebased.RowID]bool{}
	for _, row := range b.rows(t, corpus) {
		ids[row.ID] = true
		cells += len(row.Cells)
	}
	if len(ids) != rows || cells != 266_488 {
		t.Errorf("%d ids and %d cells, want 37648 and 266488", len(ids), cells)
	}
	t.Logf("%d of %d configs are described, %d parts, revision %s", described, len(converted), len(corpus.Parts), corpus.Revision)
}

func BenchmarkImportHub(b *testing.B) {
	folder := hub(b)
	rows := 0
	for b.Loop() {
		_, converted := parquetBucket(b).load(b, folder, 1000)
		rows = 0
		for _, c := range converted {
			rows += c.Dataset.Rows
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkReadHub measures reading alone: both passes, ids, no Parquet.
func BenchmarkReadHub(b *testing.B) {
	folder := hub(b)
	for b.Loop() {
		objects := mem.NewObjects()
		importer, err := ingest.New(ingest.Config{
			Objects: objects, Rows: noTable[rebased.Row]{}, Datasets: noTable[rebased.Dataset]{}, Parquet: source.Parquet{}, Limits: ingest.DefaultLimits(),
		})
		if err != nil {
			b.Fatal(err)
		}
		bucket{importer, objects}.convert(b, folder, 1000)
	}
	b.ReportMetric(float64(37_648*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// noTable takes rows and keeps none.
type noTable[T any] struct{ rebased.Table[T] }

// WriteHashed implements rebased.Table.
func (noTable[T]) WriteHashed(_ context.Context, prefix string, rows []T) (rebased.File, error) {
	return rebased.File{Key: prefix, Rows: len(rows)}, nil
}
