package porttest_test

import (
	"testing"

	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
)

func TestMemIndexKeepsThePromises(t *testing.T) {
	porttest.Index(t, func(*testing.T) porttest.VectorIndex { return new(mem.Index) })
}
