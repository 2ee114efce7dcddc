package porttest_test

import (
	"testing"

	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
)

func TestMemIndexKeepsThePromises(t *testing.T) {
	porttest.Index(t, func(*testing.T) porttest.VectorIndex { return new(mem.Index) })
}

func TestMemVectorsKeepThePromises(t *testing.T) {
	porttest.Vectors(t, func(*testing.T) retrieve.Vectors { return new(mem.Vectors) })
}
