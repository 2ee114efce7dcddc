package porttest_test

import (
	"testing"

	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
)

func TestMemTeacherKeepsThePromises(t *testing.T) {
	porttest.Teacher(t, func(*testing.T) llm.Teacher { return new(mem.Teacher) })
}
