package app

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/taskfile"
)

// modelFolder is a folder with some files of a model, and one that is of no use.
func modelFolder(t *testing.T, files ...string) (base string) {
	t.Helper()
	base = t.TempDir()
	for _, name := range append(files, "README.md") {
		path := filepath.Join(base, "minilm", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("bytes of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

func TestAModelsFolderIsPutIntoTheBucketForWorkers(t *testing.T) {
	base := modelFolder(t, "modules.json", "config.json", "onnx/model.onnx")
	objects := mem.NewObjects()
	name, err := uploadModel(t.Context(), objects, "transformer:./minilm", base)
	if err != nil {
		t.Fatal(err)
	}
	again, err := uploadModel(t.Context(), objects, "transformer:"+filepath.Join(base, "minilm"), "/elsewhere")
	if err != nil || again != name {
		t.Errorf("the same folder is called %q, then %q, %v", name, again, err)
	}
	key, folder, ok := rebased.ParseBenchmarkRef(strings.TrimPrefix(name, "transformer:"))
	if !ok || folder != "minilm" {
		t.Fatalf("%q names no folder in the bucket", name)
	}
	model, err := rebased.ReadModel(t.Context(), objects, key)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(model)); !slices.Equal(got, []string{"config.json", "modules.json", "onnx/model.onnx"}) {
		t.Errorf("files %v", got)
	}
	for file, key := range model {
		if body, _, err := objects.Get(t.Context(), key); err != nil || string(body) != "bytes of "+file {
			t.Errorf("%s holds %q, %v", file, body, err)
		}
	}
	if kept, err := uploadModel(t.Context(), objects, name, base); err != nil || kept != name {
		t.Errorf("a model that is in the bucket becomes %q, %v", kept, err)
	}
}

func TestEncodersWithoutAFolderKeepTheirNames(t *testing.T) {
	for _, name := range []string{"static", "openai:m", "openai:./m", "static:hf://owner/m", "transformer:hf://owner/m@main"} {
		if got, err := uploadModel(t.Context(), mem.NewObjects(), name, "."); err != nil || got != name {
			t.Errorf("%q becomes %q, %v", name, got, err)
		}
	}
}

func TestAFolderThatIsNoModelIsRefusedWithTheTasksLine(t *testing.T) {
	base := modelFolder(t)
	file := taskFile{name: filepath.Join(base, "task.yaml"), data: []byte("name: a\nretrieve:\n  rerank:\n    encoder: transformer:minilm\n")}
	file.task.Retrieve.Encoder = "static"
	for folder, want := range map[string]string{"minilm": "has none of the files", "nowhere": "no such file"} {
		file.task.Retrieve.Rerank = &rebased.Rerank{Encoder: "transformer:" + folder}
		_, err := file.upload(t.Context(), mem.NewObjects())
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "task.yaml:4: retrieve.rerank.encoder: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

func TestTheStudentsTokenizerGoesIntoTheBucket(t *testing.T) {
	base := t.TempDir()
	if err := os.WriteFile(filepath.Join(base, "tokenizer.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	objects := mem.NewObjects()
	file := taskFile{name: filepath.Join(base, "task.yaml"), task: rebased.DefaultTask()}
	file.task.Name, file.task.Corpus, file.task.Instruction, file.task.Output.Tokenizer = "a", "hub", "Answer.", "."
	file.task.Examples = []rebased.TaskExample{{Input: "a", Output: "b"}}
	key, err := file.upload(t.Context(), objects)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := objects.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	uploaded, err := taskfile.Decode("task.yaml", body)
	if err != nil {
		t.Fatal(err)
	}
	reference := uploaded.Output.Tokenizer
	list, name, ok := rebased.ParseBenchmarkRef(reference)
	if !ok || name != filepath.Base(base) {
		t.Fatalf("the task names %q", reference)
	}
	model, err := rebased.ReadModel(t.Context(), objects, list)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := objects.Get(t.Context(), model["tokenizer.json"]); err != nil || string(got) != "{}" {
		t.Errorf("%q, %v", got, err)
	}

	file.data = []byte("name: a\noutput:\n  tokenizer: nowhere\n")
	file.task.Output.Tokenizer = "nowhere"
	if _, err := file.upload(t.Context(), objects); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "task.yaml:3: output.tokenizer: ") {
		t.Error(err)
	}
	file.task.Output.Tokenizer = "hf://owner/student"
	key, err = file.upload(t.Context(), objects)
	if err != nil {
		t.Fatal(err)
	}
	if body, _, err = objects.Get(t.Context(), key); err != nil || string(body) != string(file.data) {
		t.Errorf("a tokenizer of the hub changes the task file: %v", err)
	}
}
