package parquet_test

import (
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/porttest"
)

func newObjects(*testing.T) rebased.Objects { return mem.NewObjects() }

func TestRows(t *testing.T) { porttest.Table(t, newObjects, parquet.Rows, porttest.SampleRows()) }
func TestCandidates(t *testing.T) {
	porttest.Table(t, newObjects, parquet.Candidates, porttest.SampleCandidates())
}
func TestExamples(t *testing.T) {
	porttest.Table(t, newObjects, parquet.Examples, porttest.SampleExamples())
}
func TestRejects(t *testing.T) {
	porttest.Table(t, newObjects, parquet.Rejects, porttest.SampleRejects())
}
func TestDatasets(t *testing.T) {
	porttest.Table(t, newObjects, parquet.Datasets, porttest.SampleDatasets())
}
