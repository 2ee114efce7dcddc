package demo_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/local/demo"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/taskfile"
)

// noParquet stands where the corpus has no file for it.
type noParquet struct{}

func (noParquet) Records(context.Context, *io.SectionReader, ingest.Limits) iter.Seq2[ingest.Record, error] {
	return func(yield func(ingest.Record, error) bool) {
		yield(ingest.Record{}, errors.New("the demo has no Parquet files"))
	}
}

func write(t *testing.T) (corpusDir, taskFile string) {
	t.Helper()
	corpusDir, taskFile, err := demo.Write(filepath.Join(t.TempDir(), "new", "input"))
	if err != nil {
		t.Fatal(err)
	}
	return corpusDir, taskFile
}

func TestTheTaskIsValid(t *testing.T) {
	_, path := write(t)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	task, err := taskfile.Decode("demo.yaml", body)
	if err != nil {
		t.Fatal(err)
	}
	if task.Name != "demo-qa" || task.Corpus != demo.Corpus || len(task.Examples) != 3 || task.Retrieve.Rows != 200 {
		t.Errorf("task %+v", task)
	}
}

func TestEveryRowOfTheCorpusCanBeImported(t *testing.T) {
	root, _ := write(t)
	folder, err := ingest.Discover(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(folder.Sources) != 13 || len(folder.Skipped) != 0 || len(folder.Malformed) != 0 {
		t.Errorf("%d files, skipped %v, malformed %v", len(folder.Sources), folder.Skipped, folder.Malformed)
	}
	objects := mem.NewObjects()
	importer, err := ingest.New(ingest.Config{
		Objects: objects, Rows: mem.NewTable[rebased.Row](objects), Datasets: mem.NewTable[rebased.Dataset](objects),
		Parquet: noParquet{}, Limits: ingest.DefaultLimits(),
	})
	if err != nil {
		t.Fatal(err)
	}
	sources, err := ingest.Upload(t.Context(), objects, folder, importer.Limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	run, err := importer.Start(t.Context(), ingest.Import{Corpus: demo.Corpus})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, split := range ingest.Splits(sources) {
		out, err := run.Convert(t.Context(), split, nil)
		if err != nil {
			t.Fatal(err)
		}
		d := out.Dataset
		if out.Bad != 0 || d.Rows < 30 || d.Rows > 60 || d.Description == "" || d.License != "CC0-1.0" {
			t.Errorf("%+v, %d bad", d, out.Bad)
		}
		rows += d.Rows
	}
	if rows < 400 {
		t.Errorf("%d rows cannot feed a task that wants 200 good ones", rows)
	}
}

func TestWritingTwiceIsTheSame(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if _, _, err := demo.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := demo.Write(filepath.Join(dir, "file")); err == nil {
		t.Error("a file was taken for a folder")
	}
}
