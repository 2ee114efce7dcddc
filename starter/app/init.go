package app

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
)

//go:embed task.yaml.tmpl
var taskTemplate string

func (a *app) initCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "init NAME [--from examples.jsonl]",
		Short: "Write a commented task file, NAME.yaml",
		Long: `Write a commented task file, NAME.yaml, to fill in: what must be there stands open, all else with its default.
--from takes the examples of a file with one {"input": …, "output": …, "answer": …} a line (answer may be left out).`,
		Args: arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := newTaskFile(args[0], from)
			if err != nil {
				return err
			}
			type written struct {
				File string `json:"file"`
			}
			return a.console.Result(written{file}, func(w io.Writer) {
				fmt.Fprintf(w, "wrote %s: fill it in, then: rebased build -f %s\n", file, file)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "file with one example a line, as JSON")
	return cmd
}

// newTaskFile writes NAME.yaml into the working folder and gives its name. What is there already stays as it is.
func newTaskFile(name, from string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	examples := []rebased.TaskExample{{}}
	if from != "" {
		var err error
		if examples, err = readExamples(from); err != nil {
			return "", err
		}
	}
	text, err := renderTask(name, examples)
	if err != nil {
		return "", err
	}
	file := name + ".yaml"
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // holds no secret; a team edits it
	switch {
	case errors.Is(err, fs.ErrExist):
		return "", rebased.E(rebased.Invalid, "%s is there already and is not overwritten: choose another name, or move it away", file)
	case err != nil:
		return "", rebased.E(rebased.Invalid, "write %s: %w", file, cause(err))
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", file, cause(err))
	}
	return file, nil
}

// checkName has the task file's own rules check a name.
func checkName(name string) error {
	t := rebased.Task{APIVersion: rebased.APIVersion, Name: name}
	var field *rebased.FieldError
	if errors.As(t.Validate(), &field) && field.Path == "name" {
		return rebased.E(rebased.Invalid, "the name of a task %s", field.Message)
	}
	return nil
}

func renderTask(name string, examples []rebased.TaskExample) ([]byte, error) {
	parsed, err := template.New("task").Funcs(template.FuncMap{"quote": taskfile.Quote}).Parse(taskTemplate)
	if err != nil {
		return nil, fmt.Errorf("the template of task files: %w", err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, struct {
		Name     string
		Examples []rebased.TaskExample
	}{name, examples})
	if err != nil {
		return nil, fmt.Errorf("the template of task files: %w", err)
	}
	return text.Bytes(), nil
}

// maxExampleLine is above what the two texts of an example may have, escapes included.
const maxExampleLine = 1 << 20

// readExamples reads one example a line; empty lines are skipped.
func readExamples(file string) ([]rebased.TaskExample, error) {
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "read the examples of %s: %w", file, cause(err))
	}
	defer f.Close()
	var examples []rebased.TaskExample
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxExampleLine)
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		e, err := readExample(lines.Bytes())
		if err != nil {
			return nil, rebased.E(rebased.Invalid, "%s:%d: %w", file, n, err)
		}
		examples = append(examples, e)
	}
	if err := lines.Err(); err != nil {
		return nil, rebased.E(rebased.Invalid, "%s:%d: %w", file, n+1, cause(err))
	}
	if len(examples) == 0 {
		return nil, rebased.E(rebased.Invalid, "%s holds no example: write one {\"input\": …, \"output\": …} a line", file)
	}
	return examples, nil
}

func readExample(line []byte) (e rebased.TaskExample, err error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return e, fmt.Errorf(`is not {"input": text, "output": text}: %w`, err)
	}
	if decoder.More() {
		return e, errors.New("holds more than one JSON object")
	}
	if strings.TrimSpace(e.Input) == "" || strings.TrimSpace(e.Output) == "" {
		return e, errors.New("input and output must be there and not empty")
	}
	return e, nil
}
