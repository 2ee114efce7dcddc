package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/demo"
	"github.com/rebased/rebased/infra/taskfile"
)

// input is what a run works on.
type input struct {
	name   string // as the table calls it
	corpus string // folder of datasets
	task   rebased.Task
	real   bool // the targets are for the real data
}

// findInput takes the real datasets and the task squad, or the demo's where there are none.
func findInput(dir string) (input, error) {
	if data := os.Getenv("REBASED_TEST_DATA"); data != "" {
		in := input{name: "hub", corpus: filepath.Join(data, "hub"), real: true}
		var err error
		in.task, err = readTask(filepath.Join(data, "tasks", "squad.json"))
		return in, err
	}
	fmt.Fprintln(os.Stderr, "REBASED_TEST_DATA is not set: the demo's small corpus stands in for real datasets, and the figures have no targets")
	corpus, file, err := demo.Write(filepath.Join(dir, "input"))
	if err != nil {
		return input{}, err
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return input{}, err
	}
	task, err := taskfile.Decode(file, body)
	task.Corpus = "hub"
	return input{name: "demo", corpus: corpus, task: task}, err
}

// readTask makes a task of a file that holds instruction and examples alone.
func readTask(path string) (rebased.Task, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return rebased.Task{}, err
	}
	keys := map[string]any{}
	if err := json.Unmarshal(body, &keys); err != nil {
		return rebased.Task{}, fmt.Errorf("%s: %w", path, err)
	}
	keys["corpus"] = "hub"
	if body, err = json.Marshal(keys); err != nil { // JSON is YAML
		return rebased.Task{}, err
	}
	return taskfile.Decode(path, body)
}

// writeTask puts a task into a file.
func writeTask(path string, task rebased.Task) error {
	body, err := taskfile.Encode(task)
	if err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o600)
}
