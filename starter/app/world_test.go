package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/cluster/clustertest"
)

// world is what a command meets: a bucket and a Temporal in memory.
type world struct {
	t        *testing.T
	ctx      context.Context
	temporal *clustertest.Temporal
	bucket   bucket
	dir      string
	environ  []string // beside the usual
}

type bucket struct {
	*mem.Objects
	down *string // the key that cannot be replaced; "" = none
}

func (b bucket) PutIfMatch(ctx context.Context, key, etag string, body []byte) (string, error) {
	if key == *b.down {
		return "", rebased.E(rebased.Unavailable, "put %s: connection reset", key)
	}
	return b.Objects.PutIfMatch(ctx, key, etag, body)
}

func (bucket) URI(key string) string      { return "s3://bucket/" + key }
func (bucket) Ping(context.Context) error { return nil }

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, ctx: t.Context(), bucket: bucket{mem.NewObjects(), new(string)}, dir: t.TempDir(),
		temporal: &clustertest.Temporal{Workers: 1, Attributes: []string{"RebasedTask", "RebasedState"}},
	}
	return w
}

// run runs one command in process.
func (w *world) run(args ...string) (status int, stdout, stderr string) {
	w.t.Helper()
	var out, err strings.Builder
	a := newApp(append([]string{"REBASED_STORE=s3://bucket", "USER=ada", "OPENAI_API_KEY=secret"}, w.environ...), strings.NewReader(""), &out, &err)
	a.dial = func(context.Context, cluster.Options) (*cluster.Cluster, error) {
		return cluster.New(w.temporal, "localhost:7233", "default", time.Millisecond), nil
	}
	a.open = func(context.Context, string) (store, error) { return w.bucket, nil }
	status = a.run(w.ctx, args)
	return status, out.String(), err.String()
}

// want runs a command and compares all that it says; "…" at the end of a wanted text stands for any rest.
func (w *world) want(args []string, status int, stdout, stderr string) {
	w.t.Helper()
	gotStatus, gotOut, gotErr := w.run(args...)
	if gotStatus != status || !matches(gotOut, stdout) || !matches(gotErr, stderr) {
		w.t.Errorf("rebased %s\nstatus %d, want %d\n--- stdout\n%s--- want\n%s--- stderr\n%s--- want\n%s",
			strings.Join(args, " "), gotStatus, status, gotOut, stdout, gotErr, stderr)
	}
}

func matches(got, want string) bool {
	if start, ok := strings.CutSuffix(want, "…"); ok {
		return strings.HasPrefix(got, start)
	}
	return got == want
}

func args(line string) []string { return strings.Fields(line) }

// file writes a file into the world's folder and gives its path.
func (w *world) file(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) task() string {
	return w.file("task.yaml", "name: squad\ncorpus: hub\ninstruction: Answer.\nexamples: [{input: a, output: b}]\n")
}

// put stores a value as JSON.
func (w *world) put(key string, value any) {
	w.t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.bucket.Put(w.ctx, key, body); err != nil {
		w.t.Fatal(err)
	}
}

// corpus puts a corpus of two splits into the bucket, indexed with one encoder.
func (w *world) corpus() {
	w.t.Helper()
	first := rebased.DatasetID{Name: "owner/one", Config: "default", Split: "train"}
	second := rebased.DatasetID{Name: "owner/two", Config: "default", Split: "train"}
	table, err := parquet.Datasets(w.bucket).Write(w.ctx, rebased.CorpusDatasetsKey("hub", "r1"), []rebased.Dataset{
		{DatasetID: first, Description: "Questions\x1b[2J.", License: "mit", Revision: "abc", Rows: 1500},
		{DatasetID: second, Rows: 7},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	table.Rows = 2
	w.put(rebased.CorpusManifestKey("hub"), rebased.Corpus{
		Name: "hub", Revision: "r1", Datasets: table, Options: []string{"max_rows_per_config=1000"},
		Parts: []rebased.Part{
			{File: rebased.File{Rows: 1000}, Dataset: first}, {File: rebased.File{Rows: 500}, Dataset: first}, {File: rebased.File{Rows: 7}, Dataset: second},
		},
	})
	w.put(rebased.CorpusIndexKey("hub", "c"), rebased.Index{Collection: "c", Encoder: "static-v1-256", Dimensions: 256, Revision: "r1"})
}
