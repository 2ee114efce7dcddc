package workflows_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased/workflows"
)

func replayer() worker.WorkflowReplayer {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(workflows.BuildDataset, workflow.RegisterOptions{Name: workflows.BuildDatasetName})
	r.RegisterWorkflowWithOptions(workflows.IndexCorpus, workflow.RegisterOptions{Name: workflows.IndexCorpusName})
	r.RegisterWorkflowWithOptions(workflows.ImportCorpus, workflow.RegisterOptions{Name: workflows.ImportCorpusName})
	r.RegisterWorkflowWithOptions(workflows.CollectGarbage, workflow.RegisterOptions{Name: workflows.CollectName})
	r.RegisterWorkflowWithOptions(workflows.Deliver, workflow.RegisterOptions{Name: workflows.DeliverName})
	return r
}

// TestOldHistoriesReplay holds that a run that was started by an earlier version of this code goes on with the present one. The histories were
// recorded from the real server; one whose name starts with bad- must not replay, which shows that the check can fail.
func TestOldHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/history/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %d histories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			history, err := client.HistoryFromJSON(body, client.HistoryJSONOptions{})
			if err != nil {
				t.Fatal(err)
			}
			execution := workflow.Execution{ID: history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()}
			quiet := sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
			err = replayer().ReplayWorkflowHistoryWithOptions(quiet, history, worker.ReplayWorkflowHistoryOptions{OriginalExecution: execution})
			if bad := strings.HasPrefix(filepath.Base(file), "bad-"); (err != nil) != bad {
				t.Errorf("replay: %v", err)
			}
		})
	}
}
