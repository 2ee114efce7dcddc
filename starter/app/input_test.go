package app

import (
	"encoding/json"
	"testing"

	"github.com/rebased/rebased/starter/cluster/clustertest"
)

// inputOf reads what a workflow was started with.
func inputOf[T any](t *testing.T, run *clustertest.Run) (in T) {
	t.Helper()
	if err := json.Unmarshal(run.Input, &in); err != nil {
		t.Error(err)
	}
	return in
}
