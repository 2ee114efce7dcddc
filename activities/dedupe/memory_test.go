package dedupe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rebased/rebased"
)

// Result is what became of the examples: each stands in one of the two, both ordered by rank, then row id.
type Result struct {
	Kept     []rebased.Example
	Rejects  []rebased.Reject
	Removals []Removal
}

// memory is parts and what became of their rows, in memory.
type memory struct {
	Result
	parts   [][]rebased.Example
	largest int // of the parts written
	reads   int
	open    func() (Scratch, error)
	opened  int
}

func (m *memory) Read(_ context.Context, n int) ([]rebased.Example, error) {
	m.reads++
	return slices.Clone(m.parts[n]), nil
}

func (m *memory) Keep(_ context.Context, rows []rebased.Example) error {
	m.largest = max(m.largest, len(rows))
	m.Kept = append(m.Kept, rows...)
	return nil
}

func (m *memory) Reject(_ context.Context, rows []rebased.Reject) error {
	m.largest = max(m.largest, len(rows))
	m.Rejects = append(m.Rejects, rows...)
	return nil
}

func (m *memory) Removed(_ context.Context, removals []Removal) error {
	m.Removals = append(m.Removals, removals...)
	return nil
}

func (m *memory) Scratch() (Scratch, error) {
	m.opened++
	return m.open()
}

// temporary opens files of the test's own folder.
func temporary(t testing.TB) func() (Scratch, error) {
	folder := t.TempDir()
	return func() (Scratch, error) {
		file, err := os.Create(filepath.Join(folder, "scratch"))
		if err == nil {
			t.Cleanup(func() { _ = file.Close() })
		}
		return file, err
	}
}
