package ingest_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
)

// largeFile is JSON lines of more bytes than are held in memory.
func largeFile() (body string, rows int) {
	line := `{"text":"` + strings.Repeat("word ", 20_000) + "\"}\n"
	rows = 17<<20/len(line) + 1
	return strings.Repeat(line, rows), rows
}

func TestALargeFileIsReadFromATemporaryFileThatNobodySees(t *testing.T) {
	body, rows := largeFile()
	folder := discover(t, tree(t, map[string]string{"a.jsonl": body, "b.jsonl": numbered(0, 1)}))
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	corpus, converted := newBucket(t, ingest.DefaultLimits()).load(t, folder, 0)
	if len(corpus.Parts) < 2 || converted[0].Dataset.Rows != rows || converted[1].Dataset.Rows != 1 || converted[0].Bad != 0 {
		t.Errorf("%d parts, %+v", len(corpus.Parts), converted)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v: %v", left, err)
	}
	t.Setenv("TMPDIR", filepath.Join(tmp, "missing"))
	b := newBucket(t, ingest.DefaultLimits())
	sources, err := ingest.Upload(context.Background(), b.objects, folder, b.Limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	run, err := b.Start(context.Background(), ingest.Import{Corpus: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Convert(context.Background(), sources[:1], nil); err == nil || !strings.Contains(err.Error(), "a.jsonl: make a temporary file") {
		t.Errorf("without a temporary folder: %v", err)
	}
}

// shifty changes a file between its first reading and its second.
type shifty struct {
	rebased.Objects
	change func()
}

func (s shifty) CreateIfAbsent(ctx context.Context, key string, write func(w io.Writer) error) error {
	s.change()
	return s.Objects.CreateIfAbsent(ctx, key, write)
}

func TestAFileThatChangesWhileItIsUploadedIsNotStored(t *testing.T) {
	root := tree(t, map[string]string{"a.jsonl": numbered(0, 9)})
	objects := mem.NewObjects()
	_, err := ingest.Upload(context.Background(), shifty{objects, func() {
		if err := os.WriteFile(filepath.Join(root, "a.jsonl"), []byte(numbered(1, 9)), 0o600); err != nil {
			t.Fatal(err)
		}
	}}, discover(t, root), ingest.DefaultLimits(), nil)
	if err == nil || !strings.Contains(err.Error(), "upload a.jsonl") || !strings.Contains(err.Error(), "has changed while it was read") {
		t.Errorf("got %v", err)
	}
	for object := range objects.List(context.Background(), "") {
		t.Errorf("%s is stored", object.Key)
	}
}

// once counts what is sent.
type once struct {
	rebased.Objects
	sent int
}

func (o *once) CreateIfAbsent(ctx context.Context, key string, write func(w io.Writer) error) error {
	o.sent++
	return o.Objects.CreateIfAbsent(ctx, key, write)
}

func TestAFileThatIsInTheBucketIsNotSentAgain(t *testing.T) {
	objects := &once{Objects: mem.NewObjects()}
	folder := discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 9)}))
	for range 2 {
		if _, err := ingest.Upload(context.Background(), objects, folder, ingest.DefaultLimits(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if objects.sent != 1 {
		t.Errorf("sent %d times", objects.sent)
	}
}
