package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/parquet"
)

// world is a bucket with versions as rebased makes them, behind a server that speaks as much of S3 as the consumer does.
type world struct {
	t       *testing.T
	objects *mem.Objects
	onGet   func(key string)
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, objects: mem.NewObjects(), onGet: func(string) {}}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": server.URL, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	return w
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/bucket/some/prefix/")
	body, _, err := w.objects.Get(r.Context(), key)
	if err != nil {
		out.WriteHeader(http.StatusNotFound)
		return
	}
	w.onGet(key)
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	out.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		out.WriteHeader(http.StatusNotModified)
		return
	}
	out.Write(body)
}

// release makes and releases a version of some rows.
func (w *world) release(rows int) string {
	w.t.Helper()
	task := rebased.DefaultTask()
	task.Name, task.Corpus, task.Instruction = "squad", "hub", "Answer."
	examples := make([]rebased.Example, rows)
	for i := range examples {
		examples[i] = rebased.Example{Input: fmt.Sprint("in ", i), Output: fmt.Sprint("out ", i), Lineage: rebased.Lineage{Row: rebased.RowID(fmt.Sprint(i)), Teacher: "m"}}
	}
	versions := handoff.Versions{Objects: w.objects, Examples: parquet.Examples(w.objects)}
	staged, err := versions.Stage(w.t.Context(), handoff.Input{
		Task: task, TaskFile: []byte("name: squad\n"), Retrieved: rows, Staging: "staging",
		Rows: handoff.Parts{Count: 1, Read: func(context.Context, int) ([]rebased.Example, error) { return examples, nil }},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	in := handoff.ReleaseInput{Task: "squad", Version: staged.Version, Build: "b", At: time.Unix(int64(rows), 0)}
	if _, err := versions.Release(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
	return staged.Version
}

func (w *world) consumer() *consumer {
	w.t.Helper()
	c, err := newConsumer(w.t.Context(), "s3://bucket/some/prefix", "squad", w.t.TempDir())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// printed trains by printing.
func printed(out *strings.Builder) train {
	return func(version, folder string, files []string) error { return printRows(out, version, folder, files) }
}

func TestEachVersionIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	c := w.consumer()
	var out strings.Builder
	first := w.release(2)
	etag, err := c.takeLatest(t.Context(), "", printed(&out))
	if err != nil || etag == "" {
		t.Fatal(etag, err)
	}
	if etag, err = c.takeLatest(t.Context(), etag, printed(&out)); err != nil {
		t.Fatal(err)
	}
	const rows = 20_001 // of two files
	second := w.release(rows)
	if _, err := c.takeLatest(t.Context(), etag, printed(&out)); err != nil {
		t.Fatal(err)
	}
	want := `"in 0" -> "out 0"
"in 1" -> "out 1"
version ` + first + `: 2 rows to train on
"in 0" -> "out 0"
"in 1" -> "out 1"
"in 2" -> "out 2"
version ` + second + `: 20001 rows to train on
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

// TestASwitchWhileAVersionIsReadChangesNothing releases another version between two files of the first.
func TestASwitchWhileAVersionIsReadChangesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.consumer()
	first := w.release(20_001)
	var second string
	w.onGet = func(key string) {
		if strings.HasSuffix(key, "train-00000.parquet") && second == "" {
			second = w.release(20_002)
		}
	}
	var out strings.Builder
	etag, err := c.takeLatest(t.Context(), "", printed(&out))
	if err != nil || !strings.HasSuffix(out.String(), "version "+first+": 20001 rows to train on\n") {
		t.Fatalf("%v, %s", err, &out)
	}
	if _, err := c.takeLatest(t.Context(), etag, printed(&out)); err != nil || !strings.HasSuffix(out.String(), "version "+second+": 20002 rows to train on\n") {
		t.Fatalf("%v, %s", err, &out)
	}
}

func TestWhatIsNotAsTheManifestSaysIsNotTrainedOn(t *testing.T) {
	for name, damage := range map[string]struct {
		file string
		do   func([]byte) []byte
		want string
	}{
		"a file of other bytes":    {"train-00000.parquet", func(b []byte) []byte { b[10]++; return b }, "is not as the manifest says"},
		"a file that is longer":    {"train-00000.parquet", func(b []byte) []byte { return append(b, 'x') }, "bytes, want"},
		"a manifest of other":      {"manifest.json", func(b []byte) []byte { return append(b, ' ') }, "is another one"},
		"a file that is shortened": {"train-00000.parquet", func(b []byte) []byte { return b[:9] }, "has 9 bytes, want"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.consumer()
			version := w.release(3)
			key := rebased.VersionKey("squad", version, damage.file)
			body, _, err := w.objects.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			whole := string(body)
			if _, err := w.objects.Put(t.Context(), key, damage.do(body)); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			etag, err := c.takeLatest(t.Context(), "", printed(&out))
			if err == nil || !strings.Contains(err.Error(), damage.want) || out.Len() > 0 || etag != "" {
				t.Fatalf("%v, %q", err, &out)
			}
			if _, err := os.Stat(filepath.Join(c.dir.Name(), version)); err == nil {
				t.Error("the folder looks whole")
			}
			if _, err := w.objects.Put(t.Context(), key, []byte(whole)); err != nil { // mended: the next look takes it
				t.Fatal(err)
			}
			if _, err := c.takeLatest(t.Context(), etag, printed(&out)); err != nil || out.Len() == 0 {
				t.Errorf("%v, %q", err, &out)
			}
		})
	}
}

func TestTheEventOfAHandOffNamesTheVersion(t *testing.T) {
	w := newWorld(t)
	version := w.release(1)
	w.release(2)
	var out strings.Builder
	event := `{"task":"squad","version":"` + version + `","build":"b","uri":"s3://bucket/x","manifest":"x","idempotency_key":"handoff/squad/x"}`
	args := []string{"-store", "s3://bucket/some/prefix", "-task", "squad", "-dir", t.TempDir(), "-event"}
	if err := run(t.Context(), args, strings.NewReader(event), &out); err != nil || !strings.HasSuffix(out.String(), "version "+version+": 1 rows to train on\n") {
		t.Fatalf("%v, %s", err, &out)
	}
	for _, bad := range []string{`{"task":"other","version":"x"}`, `{"task":"squad","version":"../x"}`, `{"task":"squad"}`, `{`} {
		if err := run(t.Context(), args, strings.NewReader(bad), &out); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
