package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/source"
)

type bucket struct {
	*ingest.Importer
	objects *mem.Objects
}

func newBucket(t testing.TB, limits ingest.Limits) bucket {
	t.Helper()
	objects := mem.NewObjects()
	importer, err := ingest.New(ingest.Config{
		Objects: objects, Rows: mem.NewTable[rebased.Row](objects), Datasets: mem.NewTable[rebased.Dataset](objects),
		Parquet: source.Parquet{}, Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	return bucket{importer, objects}
}

func (b bucket) convert(t testing.TB, folder ingest.Folder, maxRows int) (ingest.Import, []ingest.Converted) {
	t.Helper()
	ctx := context.Background()
	sources, err := ingest.Upload(ctx, b.objects, folder, b.Limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	imp := ingest.Import{Corpus: "test", Options: ingest.Options{MaxRowsPerConfig: maxRows}}
	if imp.Base, err = b.Base(ctx, imp.Corpus); err != nil {
		t.Fatal(err)
	}
	run, err := b.Start(ctx, imp)
	if err != nil {
		t.Fatal(err)
	}
	var converted []ingest.Converted
	for _, split := range ingest.Splits(sources) {
		out, err := run.Convert(ctx, split, nil)
		if err != nil {
			t.Fatal(err)
		}
		converted = append(converted, out)
	}
	if err := run.WriteCopies(ctx, converted); err != nil {
		t.Fatal(err)
	}
	return imp, converted
}

func (b bucket) load(t testing.TB, folder ingest.Folder, maxRows int) (rebased.Corpus, []ingest.Converted) {
	t.Helper()
	imp, converted := b.convert(t, folder, maxRows)
	corpus, _, err := b.Commit(context.Background(), imp, converted)
	if err != nil {
		t.Fatal(err)
	}
	return corpus, converted
}

func (b bucket) rows(t testing.TB, corpus rebased.Corpus) []rebased.Row {
	t.Helper()
	var all []rebased.Row
	for _, part := range corpus.Parts {
		rows, err := b.Rows.Read(context.Background(), part.Key)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != part.Rows {
			t.Errorf("%s has %d rows, the manifest says %d", part.Key, len(rows), part.Rows)
		}
		all = append(all, rows...)
	}
	return all
}

func (b bucket) keys(t testing.TB, prefix string) map[string]string {
	t.Helper()
	keys := map[string]string{}
	for object, err := range b.objects.List(context.Background(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys[object.Key] = object.ETag
	}
	return keys
}

func texts(rows []rebased.Row) string {
	var out []string
	for _, row := range rows {
		for _, cell := range row.Cells {
			out = append(out, cell.Text)
		}
	}
	return strings.Join(out, " ")
}

func numbered(from, to int) string {
	var out strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&out, "{\"n\":%d}\n", i)
	}
	return out.String()
}
