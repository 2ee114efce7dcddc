package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"
)

// TestRecordHistories records histories for workflows/testdata/history from the real server when REBASED_RECORD names a folder. Do so when a
// workflow has changed behind a version marker, and keep the old files.
func TestRecordHistories(t *testing.T) {
	if os.Getenv("REBASED_RECORD") == "" {
		t.Skip("REBASED_RECORD is not set: it names the folder to write histories to")
	}
	s, task := demoStack(t, stacktest.Options{}, 60, map[string]any{
		"reason": map[string]any{"mode": "rationale"}, "handoff": map[string]any{"approval": true},
	})
	out, _, _ := s.Run("build", "-f", task, "--json")
	approved := result(t, out)
	must(t, s, "builds", "approve", approved.Build)
	must(t, s, "builds", "watch", approved.Build)
	plain := result(t, must(t, s, "build", "-f", demoTask(t, 40, nil), "--json"))
	out, _, _ = s.Run("build", "-f", demoTask(t, 50, map[string]any{
		"reason": map[string]any{"mode": "verified"}, "judge": map[string]any{"rubric": "Only what the passage says.", "min_score": 2},
		"gates": map[string]any{"max_drop": 0.1}, // few rows are left, so that a person is asked
	}), "--json")
	judged := result(t, out)
	must(t, s, "builds", "approve", judged.Build)
	must(t, s, "builds", "watch", judged.Build)
	for name, id := range map[string]string{
		"build-judged.json": workflows.BuildID("demo", judged.Build),
		"import.json":       workflows.ImportID("hub"), "index.json": workflows.IndexID("hub"),
		"build-approved.json": workflows.BuildID("demo", approved.Build), "build.json": workflows.BuildID("demo", plain.Build),
	} {
		record(t, name, historyOf(t, s, id))
	}
}

// record writes a history when REBASED_RECORD names a folder.
func record(t *testing.T, name string, body []byte) {
	t.Helper()
	dir := os.Getenv("REBASED_RECORD")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// historyOf gives the history of a workflow's last run as JSON.
func historyOf(t *testing.T, s *stacktest.Stack, id string) []byte {
	t.Helper()
	temporal, err := client.Dial(client.Options{HostPort: s.Folder().Ports.Address(folder.Temporal)})
	if err != nil {
		t.Fatal(err)
	}
	defer temporal.Close()
	events := temporal.GetWorkflowHistory(t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var all history.History
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		all.Events = append(all.Events, event)
	}
	body, err := protojson.MarshalOptions{Multiline: true}.Marshal(&all)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
