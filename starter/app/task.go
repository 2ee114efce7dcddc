package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
)

// taskFile is a task file that was read and found right.
type taskFile struct {
	name string // as the user knows it
	data []byte
	task rebased.Task
}

// fileFlag adds the flag that names a task file.
func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", "", "the task file; - reads standard input")
}

// readTask reads and checks the file of fileFlag.
func (a *app) readTask(cmd *cobra.Command, file string) (taskFile, error) {
	t := taskFile{name: file}
	var err error
	switch file {
	case "":
		return t, misuse(cmd, errors.New("which task? give its file with -f task.yaml"))
	case "-":
		t.name = "<stdin>"
		t.data, err = io.ReadAll(a.stdin)
	default:
		t.data, err = os.ReadFile(file) //nolint:gosec // the user names the file
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return t, rebased.E(rebased.Invalid, "there is no task file %s: rebased init NAME writes one", t.name)
		}
		return t, rebased.E(rebased.Invalid, "read the task file %s: %w", t.name, cause(err))
	}
	t.task, err = taskfile.Decode(t.name, t.data)
	return t, err
}

// submit uploads a task whose corpus is there, and gives the key of its file.
func (t taskFile) submit(ctx context.Context, bucket store) (key string, err error) {
	if err := t.requireCorpus(ctx, bucket); err != nil {
		return "", err
	}
	return t.upload(ctx, bucket)
}

// upload puts the file, and the benchmarks, models and tokenizer that it names, into the bucket, where workflows find them, and gives its key.
func (t taskFile) upload(ctx context.Context, objects rebased.Objects) (key string, err error) {
	retrieve, moved, err := t.uploadModels(ctx, objects)
	if err != nil {
		return "", err
	}
	if tokenizer := t.task.Output.Tokenizer; tokenizer != "" {
		if t.task.Output.Tokenizer, err = t.uploadTokenizer(ctx, objects); err != nil {
			return "", err
		}
		moved = moved || t.task.Output.Tokenizer != tokenizer
	}
	if len(t.task.Decontaminate.Files) > 0 {
		if t.task.Decontaminate.Files, err = t.uploadBenchmarks(ctx, objects); err != nil {
			return "", err
		}
		moved = true
	}
	against, err := t.uploadAgainst(ctx, objects)
	if err != nil {
		return "", err
	}
	moved = moved || !slices.Equal(against, t.task.Dedupe.Against)
	t.task.Dedupe.Against = against
	semantic, err := t.uploadSemantic(ctx, objects)
	if err != nil {
		return "", err
	}
	moved = moved || semantic != t.task.Dedupe.Semantic
	t.task.Dedupe.Semantic = semantic
	if t.task.Retrieve = retrieve; moved {
		if t.data, err = taskfile.Encode(t.task); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(t.data)
	key = rebased.TaskKey(t.task.Name, hex.EncodeToString(sum[:]))
	if _, err := objects.Put(ctx, key, t.data); err != nil { // anew, though the same: its age tells when it was used last
		return "", fmt.Errorf("put the task file into the bucket: %w", err)
	}
	return key, nil
}

// uploadModels puts the folders of encoders' models into the bucket and gives what the task says then; moved tells whether there were any. Paths
// start at the task file's folder.
func (t taskFile) uploadModels(ctx context.Context, objects rebased.Objects) (retrieve rebased.Retrieve, moved bool, err error) {
	retrieve = t.task.Retrieve
	if retrieve.Encoder, err = uploadModel(ctx, objects, t.task.Retrieve.Encoder, filepath.Dir(t.name)); err != nil {
		return retrieve, false, taskfile.ErrorAt(t.name, t.data, "retrieve.encoder", "%v", err)
	}
	moved = retrieve.Encoder != t.task.Retrieve.Encoder
	if retrieve.Rerank == nil {
		return retrieve, moved, nil
	}
	rerank := *retrieve.Rerank
	if rerank.Encoder, err = uploadModel(ctx, objects, rerank.Encoder, filepath.Dir(t.name)); err != nil {
		return retrieve, false, taskfile.ErrorAt(t.name, t.data, "retrieve.rerank.encoder", "%v", err)
	}
	moved = moved || rerank.Encoder != retrieve.Rerank.Encoder
	retrieve.Rerank = &rerank
	return retrieve, moved, nil
}

// uploadTokenizer puts the folder of the student's tokenizer into the bucket and gives what the task says then. Paths start at the task file's folder.
func (t taskFile) uploadTokenizer(ctx context.Context, objects rebased.Objects) (string, error) {
	const kind = rebased.TokenizerKind + ":"
	name, err := uploadModel(ctx, objects, kind+t.task.Output.Tokenizer, filepath.Dir(t.name))
	if err != nil {
		return "", taskfile.ErrorAt(t.name, t.data, "output.tokenizer", "%v", err)
	}
	return strings.TrimPrefix(name, kind), nil
}

// uploadBenchmarks puts the benchmark files into the bucket, each content once, and gives their references. Paths start at the task file's folder.
func (t taskFile) uploadBenchmarks(ctx context.Context, objects rebased.Objects) ([]string, error) {
	refs := make([]string, len(t.task.Decontaminate.Files))
	for i, path := range t.task.Decontaminate.Files {
		if _, _, uploaded := rebased.ParseBenchmarkRef(path); uploaded || workersRead(path) {
			refs[i] = path
			continue
		}
		ref, err := t.uploadFile(ctx, objects, path, fmt.Sprintf("decontaminate.files[%d]", i))
		if err != nil {
			return nil, err
		}
		refs[i] = ref
	}
	return refs, nil
}

// workersRead says whether a benchmark is read by workers themselves.
func workersRead(path string) bool {
	return strings.HasPrefix(path, "hf://") || strings.HasPrefix(path, "s3://")
}

// uploadAgainst does the same for the files of dedupe.against. Versions stay as they are named: the worker finds which they are.
func (t taskFile) uploadAgainst(ctx context.Context, objects rebased.Objects) ([]string, error) {
	refs := slices.Clone(t.task.Dedupe.Against)
	for i, ref := range refs {
		_, _, version := rebased.ParseVersionRef(ref)
		if _, _, uploaded := rebased.ParseBenchmarkRef(ref); version || uploaded {
			continue
		}
		var err error
		if refs[i], err = t.uploadFile(ctx, objects, ref, fmt.Sprintf("dedupe.against[%d]", i)); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// uploadFile puts a file that the task names under a key into the bucket, by its content, and gives its reference.
func (t taskFile) uploadFile(ctx context.Context, objects rebased.Objects, path, at string) (string, error) {
	from := path
	if !filepath.IsAbs(path) {
		from = filepath.Join(filepath.Dir(t.name), path)
	}
	body, err := os.ReadFile(from) //nolint:gosec // the user names the file
	if err != nil {
		return "", taskfile.ErrorAt(t.name, t.data, at, "read %s: %v", from, cause(err))
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if err := rebased.PutUpload(ctx, objects, rebased.UploadKey(hash), body); err != nil {
		return "", fmt.Errorf("put %s into the bucket: %w", from, err)
	}
	return rebased.BenchmarkRef(hash, path), nil
}

// uploadSemantic puts the model of dedupe.semantic into the bucket and gives what the task says then.
func (t taskFile) uploadSemantic(ctx context.Context, objects rebased.Objects) (*rebased.Semantic, error) {
	s := t.task.Dedupe.Semantic
	if s == nil {
		return nil, nil //nolint:nilnil // it is off
	}
	encoder, err := uploadModel(ctx, objects, s.Encoder, filepath.Dir(t.name))
	if err != nil {
		return nil, taskfile.ErrorAt(t.name, t.data, "dedupe.semantic.encoder", "%v", err)
	}
	if encoder == s.Encoder {
		return s, nil
	}
	return &rebased.Semantic{Encoder: encoder, Threshold: s.Threshold}, nil
}

// requireCorpus refuses a task whose corpus was not imported.
func (t taskFile) requireCorpus(ctx context.Context, objects store) error {
	_, err := readCorpus(ctx, objects, t.task.Corpus)
	if rebased.KindOf(err) == rebased.NotFound {
		return taskfile.ErrorAt(t.name, t.data, "corpus", "%v", err)
	}
	return err
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the task file",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := io.Copy(a.console.Out, bytes.NewReader(taskfile.Schema()))
			return err
		},
	}
}

// cause drops the operation and path that package os puts in front of an error: the caller names the path itself.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
