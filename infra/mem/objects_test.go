package mem_test

import (
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
)

func TestObjects(t *testing.T) {
	porttest.Objects(t, newObjects)
}

func TestTableOfRows(t *testing.T) {
	porttest.Table(t, newObjects, openTable[rebased.Row], porttest.SampleRows())
}

func TestTableOfExamples(t *testing.T) {
	porttest.Table(t, newObjects, openTable[rebased.Example], porttest.SampleExamples())
}

func newObjects(*testing.T) rebased.Objects { return mem.NewObjects() }

func openTable[T any](o rebased.Objects) rebased.Table[T] { return mem.NewTable[T](o) }
