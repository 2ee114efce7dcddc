package ingest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
)

// tree writes files, path -> content, into a new folder called "data".
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "data")
	for path, content := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func discover(t testing.TB, root string) ingest.Folder {
	t.Helper()
	folder, err := ingest.Discover(root)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// places writes down which split each file was found to be.
func places(folder ingest.Folder) string {
	var out strings.Builder
	for _, s := range folder.Sources {
		fmt.Fprintf(&out, "%s = %s | %s | %s\n", s.Path, s.Name, s.Config, s.Split)
	}
	return out.String()
}

func TestPathsSayWhatAFileIs(t *testing.T) {
	folder := discover(t, tree(t, map[string]string{
		"single.csv":                           "",
		"owner--name.jsonl":                    "",
		"owner--name/config.jsonl.gz":          "",
		"owner--na--me/config.parquet":         "",
		"boolq/default.jsonl.zst":              "",
		"boolq/train.jsonl":                    "",
		"boolq/test-00000-of-00002.parquet":    "",
		"glue/mnli/validation.parquet":         "",
		"o--n/cfg/part.parquet":                "",
		"owner/name/config.csv.gz":             "",
		"owner/name/config/dev.csv":            "",
		"a--b/c/train-00001-of-00002-abcd.csv": "",
	}))
	want := `a--b/c/train-00001-of-00002-abcd.csv = a/b | c | train
boolq/default.jsonl.zst = boolq | default | train
boolq/test-00000-of-00002.parquet = boolq | default | test
boolq/train.jsonl = boolq | default | train
glue/mnli/validation.parquet = glue | mnli | validation
o--n/cfg/part.parquet = o/n | cfg | part
owner--na--me/config.parquet = owner/na--me | config | train
owner--name.jsonl = owner/name | default | train
owner--name/config.jsonl.gz = owner/name | config | train
owner/name/config.csv.gz = owner/name | config | train
owner/name/config/dev.csv = owner/name | config | dev
single.csv = single | default | train
`
	if got := places(folder); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWhatIsNotImportedIsToldAndHiddenFilesAreNot(t *testing.T) {
	root := tree(t, map[string]string{
		"a.jsonl": "", "README.md": "", "x/y/z/u/v.jsonl": "", ".hidden.jsonl": "", ".git/config.jsonl": "", ".jsonl": "",
		strings.Repeat("n", 201) + ".csv": "", "new\nline.csv": "",
	})
	outside := filepath.Join(t.TempDir(), "secret.jsonl")
	if err := os.WriteFile(outside, []byte(`{"a":"secret"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"out.jsonl": outside, "up.jsonl": "../../etc/passwd", "in.jsonl": "a.jsonl", "folder": "x", "gone.jsonl": "nothing"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	folder := discover(t, root)
	if got, want := places(folder), "a.jsonl = a | default | train\nin.jsonl = in | default | train\n"; got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
	var skipped []string
	for _, s := range folder.Skipped {
		skipped = append(skipped, s.Path)
	}
	want := []string{"README.md", "folder", "gone.jsonl", "new\nline.csv", strings.Repeat("n", 201) + ".csv", "out.jsonl", "up.jsonl", "x/y/z/u/v.jsonl"}
	if fmt.Sprint(skipped) != fmt.Sprint(want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
}

func TestTheListingNamesAndDescribes(t *testing.T) {
	folder := discover(t, tree(t, map[string]string{
		"one.jsonl": "", "two/test.jsonl": "", "three/x.jsonl": "", "three/y.jsonl": "",
		"datasets.jsonl": `{"dataset":"Owner/One","config":"größe","path":"one.jsonl","description":"The first.","license":"mit"}
{"dataset":"two","config":"test","path":"data/two/test.jsonl"}
{"dataset":"three","description":"All of it."}
{"dataset":"three","config":"y","description":"This one.","license":"cc0-1.0","rows":7}

{"dataset":"four","path":"four.jsonl"}
{"dataset":"one","path":"./one.jsonl"}
not json
{"config":"x"}
{"dataset":7}
{"dataset":"up","path":"../one.jsonl"}
`,
	}))
	want := `one.jsonl = Owner/One | größe | train
three/x.jsonl = three | x | train
three/y.jsonl = three | y | train
two/test.jsonl = two | test | train
`
	if got := places(folder); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var told []string
	for _, s := range folder.Sources {
		told = append(told, s.Description+"/"+s.License)
	}
	if want := []string{"The first./mit", "All of it./", "This one./cc0-1.0", "/"}; fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("described as %q, want %q", told, want)
	}
	var lines []int
	for _, m := range folder.Malformed {
		lines = append(lines, m.Line)
	}
	if want := []int{8, 9, 10, 6, 7, 11}; fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("malformed lines %v, want %v: %v", lines, want, folder.Malformed)
	}
}

func TestASingleFileIsFoundByItsName(t *testing.T) {
	root := tree(t, map[string]string{"blob": `{"a":"x"}`, "owner--name.jsonl": `{"a":"y"}`})
	link := filepath.Join(t.TempDir(), "linked.jsonl")
	if err := os.Symlink(filepath.Join(root, "blob"), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(root, "owner--name.jsonl"): "owner--name.jsonl = owner/name | default | train\n",
		link:                                     "linked.jsonl = linked | default | train\n",
	} {
		folder := discover(t, path)
		if got := places(folder); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if sources, err := ingest.Upload(context.Background(), mem.NewObjects(), folder, ingest.DefaultLimits(), nil); err != nil || sources[0].Size != 9 {
			t.Errorf("%s: upload %v: %v", path, sources, err)
		}
	}
}

func TestNothingToImportIsRefusedInOneLine(t *testing.T) {
	root := tree(t, map[string]string{"README.md": "x"})
	for path, want := range map[string]string{
		root:                           "import " + root + ": nothing to import: wants files that end in .parquet, .jsonl, .csv, .tsv, .txt, .md, .html, .htm (with .gz or .zst but for Parquet)",
		filepath.Join(root, "missing"): "import " + filepath.Join(root, "missing") + ": no such file or directory",
	} {
		_, err := ingest.Discover(path)
		if err == nil || err.Error() != want || rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestUploadWritesEachContentOnceUnderItsHash(t *testing.T) {
	ctx := context.Background()
	folder := discover(t, tree(t, map[string]string{"a.jsonl": "same", "b.jsonl": "same", "c.jsonl": "other"}))
	objects := mem.NewObjects()
	done := 0
	sources, err := ingest.Upload(ctx, objects, folder, ingest.DefaultLimits(), func(n int) { done = max(done, n) })
	if err != nil {
		t.Fatal(err)
	}
	if done != 3 {
		t.Errorf("progress ended at %d, want 3", done)
	}
	keys := map[string]bool{}
	for i, s := range sources {
		if s.Path != folder.Sources[i].Path || s.Key != rebased.UploadKey(s.SHA256) {
			t.Errorf("source %d: %+v", i, s)
		}
		keys[s.Key] = true
	}
	if body, _, err := objects.Get(ctx, sources[2].Key); err != nil || string(body) != "other" || len(keys) != 2 {
		t.Errorf("got %q in %d objects: %v", body, len(keys), err)
	}
	key, err := ingest.WriteSources(ctx, objects, sources)
	if err != nil {
		t.Fatal(err)
	}
	if read, err := ingest.ReadSources(ctx, objects, key); err != nil || fmt.Sprint(read) != fmt.Sprint(sources) {
		t.Errorf("list read back as %v: %v", read, err)
	}
}

func TestAFileOverTheLimitIsNotUploaded(t *testing.T) {
	limits := ingest.DefaultLimits()
	limits.SourceBytes = 3
	folder := discover(t, tree(t, map[string]string{"a.jsonl": "four"}))
	_, err := ingest.Upload(context.Background(), mem.NewObjects(), folder, limits, nil)
	if rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}
