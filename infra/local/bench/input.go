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

// most is how many rows of a configuration are taken: of generated ones all.
func (in input) most() string {
	if in.name == "generated" {
		return "0"
	}
	return "1000"
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

// callsInput generates rows and a task whose prompts have about 1.5 kB, more than the longest build of the calls' figures asks for.
func callsInput(dir string) (input, error) {
	const garden = " Behind it lies a garden with an old pear tree, a well that has not run dry in living memory, and a shed where the tools of four generations hang"
	const filler = garden + " in the order in which they were bought; the path to the river starts at its gate and is paved with stones from the chapel."
	in := input{name: "generated", corpus: filepath.Join(dir, "generated"), real: true, task: rebased.DefaultTask()}
	in.task.Name, in.task.Corpus = "register", "hub"
	in.task.Instruction = "Answer the question about a register of houses from the context alone. The answer is a short span of the context, copied as it stands."
	for _, e := range [][3]string{
		{"Which house stands in street 12?", "Entry 9 names house 4711 in street 12, which was built in 1702 by family 88.", "house 4711"},
		{"When was house 17 built?", "Entry 31 names house 17 in street 930, which was built in 1893 by family 5.", "1893"},
		{"Who built house 2050?", "Entry 77 names house 2050 in street 3, which was built in 1650 by family 1204.", "family 1204"},
	} {
		in.task.Examples = append(in.task.Examples, rebased.TaskExample{Input: "Question: " + e[0] + " Context: " + e[1] + garden + ".", Output: e[2]})
	}
	return in, generate(in.corpus, soakDatasets, manyRows+soakDatasets, filler)
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
