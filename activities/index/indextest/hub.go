package indextest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rebased/rebased"
)

// Hub is a corpus of real rows and the tasks that go with it.
type Hub struct {
	folder string
	Splits []Split
}

// OpenHub reads the real data that the environment names in REBASED_TEST_DATA, and skips the test where it names none.
func OpenHub(t testing.TB) Hub {
	t.Helper()
	folder := os.Getenv("REBASED_TEST_DATA")
	if folder == "" {
		t.Skip("REBASED_TEST_DATA is not set: no real rows to rank")
	}
	h := Hub{folder: folder}
	body, err := os.ReadFile(filepath.Join(folder, "hub", "datasets.jsonl")) //nolint:gosec // the tester names the folder
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(body) {
		var d struct {
			Dataset     string `json:"dataset"`
			Config      string `json:"config"`
			Path        string `json:"path"`
			Description string `json:"description"`
		}
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		h.Splits = append(h.Splits, NewSplit(rebased.Dataset{
			DatasetID:   rebased.DatasetID{Name: d.Dataset, Config: d.Config, Split: "train"},
			Description: d.Description, License: "license of " + d.Dataset, Revision: "revision of " + d.Dataset,
		}, 1000, h.rows(t, d.Path)...))
	}
	return h
}

func (h Hub) rows(t testing.TB, path string) [][]rebased.Cell {
	t.Helper()
	file, err := os.Open(filepath.Join(h.folder, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]rebased.Cell
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		rows = append(rows, cells(t, lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// cells takes the fields of a JSON object in their order; what is no string stays as it is written.
func cells(t testing.TB, line []byte) []rebased.Cell {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(line))
	var made []rebased.Cell
	_, err := decoder.Token()
	for err == nil && decoder.More() {
		var key json.Token
		var value json.RawMessage
		if key, err = decoder.Token(); err == nil {
			err = decoder.Decode(&value)
		}
		text := string(value)
		_ = json.Unmarshal(value, &text)
		made = append(made, rebased.Cell{Column: key.(string), Text: text})
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Task reads one of the real tasks, with the default of all that it leaves open.
func (h Hub) Task(t testing.TB, name string) rebased.Task {
	t.Helper()
	task := rebased.DefaultTask()
	body, err := os.ReadFile(filepath.Join(h.folder, "tasks", name+".json")) //nolint:gosec // the tester names the folder
	if err == nil {
		err = json.Unmarshal(body, &task)
	}
	if err != nil {
		t.Fatal(err)
	}
	return task
}
