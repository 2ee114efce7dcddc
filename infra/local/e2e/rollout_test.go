package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"
)

// changedWorker builds a worker whose BuildDataset has a step more, a timer between retrieval and the first round: code that the history of a build of the
// present one does not fit. With MARKED=yes in its environment the step stands behind a version marker.
func changedWorker(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/rebased/rebased/workflows").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "build.go")
	code, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for before, after := range map[string]string{
		"\tif err := b.rounds(ctx); err != nil {\n": `	if os.Getenv("MARKED") == "" || workflow.GetVersion(ctx, "a step more", workflow.DefaultVersion, 1) == 1 {
		if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
			return rebased.BuildResult{}, err
		}
	}
	if err := b.rounds(ctx); err != nil {
`,
		"import (\n": "import (\n\t\"os\"\n",
	} {
		if bytes.Count(code, []byte(before)) != 1 {
			t.Fatalf("%s has not one line %q: change this test", source, before)
		}
		code = bytes.Replace(code, []byte(before), []byte(after), 1)
	}
	dir := t.TempDir()
	changed, overlay, program := filepath.Join(dir, "build.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "rebased-worker")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string][]byte{changed: code, overlay: replace} {
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-ldflags=-s -w", "-o", program, "./worker")
	cmd.Dir = filepath.Dir(filepath.Dir(source))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the changed worker: %v\n%s", err, out)
	}
	return program
}

// version is what Temporal's Worker Controller sets for a worker.
func version(id string) []string {
	return []string{"TEMPORAL_DEPLOYMENT_NAME=rebased", "TEMPORAL_WORKER_BUILD_ID=" + id}
}

// makeCurrent has new builds start on a version, once Temporal has heard of it.
func makeCurrent(t *testing.T, s *stacktest.Stack, id string) {
	t.Helper()
	withTemporal(t, s, func(temporal client.Client) {
		waitUntil(t, "version "+id+" is current", func() bool {
			_, err := temporal.WorkerDeploymentClient().GetHandle("rebased").SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: id})
			return err == nil
		})
	})
}

func withTemporal(t *testing.T, s *stacktest.Stack, use func(client.Client)) {
	t.Helper()
	temporal, err := client.Dial(client.Options{HostPort: s.Folder().Ports.Address(folder.Temporal)})
	if err != nil {
		t.Fatal(err)
	}
	defer temporal.Close()
	use(temporal)
}

// madeBy gives the version that a build ran on, and whether it went through the step that changedWorker has more.
func madeBy(t *testing.T, s *stacktest.Stack, build string) (version string, changed bool) {
	t.Helper()
	id := workflows.BuildID("demo", build)
	withTemporal(t, s, func(temporal client.Client) {
		run, err := temporal.DescribeWorkflowExecution(t.Context(), id, "")
		if err != nil {
			t.Fatal(err)
		}
		version = run.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId()
	})
	return version, bytes.Contains(historyOf(t, s, id), []byte("EVENT_TYPE_TIMER_STARTED"))
}

// TestABuildInFlightSurvivesADeployOfChangedCode rolls a worker out whose workflow code builds of before do not fit: beside the old one while a build asks
// the teacher, and while others wait for a person and the old worker is killed and comes back.
func TestABuildInFlightSurvivesADeployOfChangedCode(t *testing.T) {
	t.Parallel()
	gated := map[string]any{"handoff": map[string]any{"approval": true}}
	s := stacktest.Start(t, stacktest.Options{Env: version("v1"), Latency: 100 * time.Millisecond})
	present, changed := s.Programs().Worker, changedWorker(t)
	checkRefused(t, s, demoTask(t, 20, nil), "temporal worker deployment set-current-version")
	makeCurrent(t, s, "v1")
	indexed(t, s, demoCorpus(t))

	out, _, _ := s.Run("build", "--json", "-f", demoTask(t, 30, gated))
	waiting := result(t, out)
	out, _, _ = s.Run("build", "--json", "-f", demoTask(t, 32, gated))
	moved := result(t, out)
	asked := statsOf(t, s).number(t, "requests")
	asking := result(t, must(t, s, "build", "--json", "--detach", "-f", demoTask(t, 400, map[string]any{"transform": map[string]any{"teacher": map[string]any{"limits": map[string]any{"in_flight": 8}}}})))
	waitUntil(t, "the build asks the teacher", func() bool { return statsOf(t, s).number(t, "requests") > asked+20 })

	s.UseWorker(changed)
	s.SetEnv(version("v2")...)
	s.StartSecondWorker()
	makeCurrent(t, s, "v2")
	fresh := result(t, must(t, s, "build", "--json", "-f", demoTask(t, 31, nil)))
	asking = result(t, must(t, s, "builds", "watch", asking.Build, "--json"))
	if asking.State != rebased.StateReleased || asking.Retrieved != 400 {
		t.Errorf("the build that asked: %+v", asking)
	}
	s.KillWorker()
	out, _, _ = s.Run("builds", "show", waiting.Build, "--json")
	if r := result(t, out); r.State != rebased.StateAwaitingApproval {
		t.Errorf("the build that waits, without its worker: %+v", r)
	}
	s.UseWorker(present)
	s.SetEnv(version("v1")...)
	s.StartWorker()
	must(t, s, "builds", "approve", waiting.Build)
	waiting = result(t, must(t, s, "builds", "watch", waiting.Build, "--json"))
	again := result(t, must(t, s, "build", "--json", "-f", demoTask(t, 30, gated)))
	if again.State != rebased.StateUnchanged || again.Version != waiting.Version {
		t.Errorf("the changed code makes %+v of a task of which the present made %+v", again, waiting)
	}
	s.KillWorker() // for good: what it leaves goes on on a version whose code fits, by hand
	s.UseWorker(changed)
	s.SetEnv(append(version("v3"), "MARKED=yes")...)
	s.StartWorker()
	makeCurrent(t, s, "v3")
	withTemporal(t, s, func(temporal client.Client) {
		waitUntil(t, "what is to be moved is found", func() bool {
			found, err := temporal.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
				Namespace: folder.Namespace, Query: `TemporalWorkerDeploymentVersion="rebased:v1" AND RebasedState="awaiting_approval" AND ExecutionStatus="Running"`,
			})
			return err == nil && found.GetCount() == 1
		})
		_, err := temporal.UpdateWorkflowExecutionOptions(t.Context(), client.UpdateWorkflowExecutionOptionsRequest{
			WorkflowId: workflows.BuildID("demo", moved.Build),
			WorkflowExecutionOptionsChanges: client.WorkflowExecutionOptionsChanges{
				VersioningOverride: &client.VersioningOverrideChange{Value: &client.AutoUpgradeVersioningOverride{}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	must(t, s, "builds", "approve", moved.Build)
	if moved = result(t, must(t, s, "builds", "watch", moved.Build, "--json")); moved.State != rebased.StateReleased {
		t.Errorf("the build that was moved: %+v", moved)
	}
	if version, more := madeBy(t, s, moved.Build); version != "v3" || more {
		t.Errorf("the build that was moved ended on %s, with a step more: %v", version, more)
	}
	for build, want := range map[string]string{waiting.Build: "v1", asking.Build: "v1", fresh.Build: "v2", again.Build: "v2"} {
		if version, more := madeBy(t, s, build); version != want || more != (want == "v2") {
			t.Errorf("%s ran on %s, with a step more: %v; want %s", build, version, more, want)
		}
	}
	s.KillSecondWorker()
	s.SetEnv()
}

// TestWithoutVersionsChangedCodeNeedsAMarker shows the other way: without deployment versions a build goes on on whatever worker there is. Code that does not
// fit holds it, and says why; the same change behind a version marker lets it go on.
func TestWithoutVersionsChangedCodeNeedsAMarker(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{}, 20, map[string]any{"handoff": map[string]any{"approval": true}})
	changed := changedWorker(t)
	out, _, _ := s.Run("build", "--json", "-f", task)
	waiting := result(t, out)

	s.UseWorker(changed)
	restartWorker(s)
	if _, errs, code := s.Run("builds", "approve", waiting.Build); code != 1 || !strings.Contains(errs, "workers fail at it: ") || !strings.Contains(errs, "TMPRL1100") {
		t.Errorf("exit status %d: %s", code, errs)
	}
	restartWorker(s, "MARKED=yes")
	approved(t, s, waiting.Build)
	waiting = result(t, must(t, s, "builds", "watch", waiting.Build, "--json"))
	fresh := result(t, must(t, s, "build", "--json", "-f", demoTask(t, 21, nil)))
	if waiting.State != rebased.StateReleased || fresh.State != rebased.StateReleased {
		t.Errorf("%+v and %+v", waiting, fresh)
	}
	if _, more := madeBy(t, s, waiting.Build); more {
		t.Error("the build of before went through the step that came later")
	}
	if _, more := madeBy(t, s, fresh.Build); !more {
		t.Error("the new build did not go through the step")
	}

	out, _, _ = s.Run("build", "--json", "-f", demoTask(t, 22, map[string]any{"handoff": map[string]any{"approval": true}}))
	waiting = result(t, out)
	restartWorker(s, append(version("v1"), "MARKED=yes")...)
	makeCurrent(t, s, "v1")
	must(t, s, "builds", "approve", waiting.Build)
	if r := result(t, must(t, s, "builds", "watch", waiting.Build, "--json")); r.State != rebased.StateReleased {
		t.Errorf("a build of before there were versions: %+v", r)
	}
	if version, _ := madeBy(t, s, waiting.Build); version != "v1" {
		t.Errorf("a build of before there were versions went on on %q", version)
	}
}
