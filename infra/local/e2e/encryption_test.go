package e2e

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"
)

// payloadKeys are variables with keys of these names, each of its name's first letter 32 times.
func payloadKeys(names ...string) string {
	entries := make([]string, len(names))
	for i, name := range names {
		entries[i] = name + "=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(name[:1]), 32))
	}
	return "REBASED_PAYLOAD_KEYS=" + strings.Join(entries, ",")
}

// restartWorker starts the worker again with other variables, which all further commands have too.
func restartWorker(s *stacktest.Stack, env ...string) {
	s.KillWorker()
	s.SetEnv(env...)
	s.StartWorker()
}

// TestEncryptedPayloadsShowNothingInTemporal follows a deployment that turns encryption on, while a build of before waits, forgets a key on its worker,
// and rotates it.
func TestEncryptedPayloadsShowNothingInTemporal(t *testing.T) {
	t.Parallel()
	gated := map[string]any{"handoff": map[string]any{"approval": true}}
	s, task := demoStack(t, stacktest.Options{}, 20, gated)
	waits := func(args ...string) rebased.BuildResult {
		t.Helper()
		out, errs, code := s.Run(append([]string{"build", "--json", "-f"}, args...)...)
		if code != 3 {
			t.Fatalf("exit status %d\n%s%s", code, out, errs)
		}
		return result(t, out)
	}
	before := waits(task)
	must(t, s, "builds", "reject", before.Build, "--reason", "marker in plain")
	before = waits(task)

	restartWorker(s, payloadKeys("alpha"))
	t.Run("a build of before goes on", func(t *testing.T) {
		must(t, s, "builds", "approve", before.Build, "--reason", "marker-of-approval")
		if r := result(t, must(t, s, "builds", "watch", before.Build, "--json")); r.State != rebased.StateReleased {
			t.Errorf("%+v", r)
		}
	})
	sealed := waits(demoTask(t, 21, gated))
	t.Run("nothing of a new one is plain", func(t *testing.T) {
		must(t, s, "builds", "reject", sealed.Build, "--reason", "marker-of-reject")
		if r := result(t, must(t, s, "builds", "show", sealed.Build, "--json")); r.Detail != "marker-of-reject" {
			t.Errorf("%+v", r)
		}
		_, errs, code := s.Run("build", "-f", demoTask(t, 20, map[string]any{"corpus": "marker-of-corpus"}))
		if code != 2 || !strings.Contains(errs, "marker-of-corpus") {
			t.Errorf("exit status %d: %s", code, errs)
		}
		must(t, s, "schedule", "create", "-f", task, "--cron", "17 3 * * 2")
		must(t, s, "schedule", "pause", "demo")
		if out := must(t, s, "schedule", "ls", "--json"); !strings.Contains(out, "17 3 * * 2") {
			t.Errorf("the schedule's memo is not read: %s", out)
		}
		checkSealed(t, historyOf(t, s, workflows.BuildID("demo", sealed.Build)))
	})
	t.Run("a command without the key says so", func(t *testing.T) {
		s.SetEnv()
		_, errs, code := s.Run("builds", "watch", sealed.Build)
		if want := `is encrypted with key "alpha", which is not set here`; code == 0 || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("exit status %d: %s", code, errs)
		}
	})
	s.SetEnv(payloadKeys("alpha"))
	waiting := waits(demoTask(t, 22, gated))
	t.Run("a worker without the key fails no build", func(t *testing.T) {
		restartWorker(s)
		s.SetEnv(payloadKeys("alpha"))
		out, errs, code := s.Run("build", "-f", demoTask(t, 23, nil))
		if code != 2 || !strings.Contains(errs, `no worker can do the first step of build/demo/`) || !strings.Contains(errs, `is encrypted with key "alpha", which is not set here`) {
			t.Errorf("exit status %d: %s%s", code, out, errs)
		}
		approve := s.Command(t.Context(), "builds", "approve", waiting.Build)
		if err := approve.Start(); err != nil {
			t.Fatal(err)
		}
		withTemporal(t, s, func(temporal client.Client) {
			waitUntil(t, "the worker has failed at the decision", func() bool {
				run, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.BuildID("demo", waiting.Build), "")
				if status := run.GetWorkflowExecutionInfo().GetStatus(); err == nil && status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
					t.Fatalf("the build has ended: %s", status)
				}
				return err == nil && run.GetPendingWorkflowTask().GetAttempt() > 1
			})
		})
		_ = approve.Process.Kill()
		_ = approve.Wait()
		restartWorker(s, payloadKeys("beta", "alpha"))
		approved(t, s, waiting.Build)
		if r := result(t, must(t, s, "builds", "watch", waiting.Build, "--json")); r.State != rebased.StateReleased {
			t.Errorf("%+v", r)
		}
	})

	s.KillAll()
	var stored []byte
	files, err := filepath.Glob(filepath.Join(s.Dir(), "temporal", "temporal.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, body...)
	}
	if !bytes.Contains(stored, []byte("marker in plain")) {
		t.Error("what was written before is not in the database either: this finds nothing")
	}
	for _, marker := range []string{"marker-of-approval", "marker-of-reject", "marker-of-corpus", "17 3 * * 2"} {
		if at := bytes.Index(stored, []byte(marker)); at >= 0 {
			t.Errorf("%s is in Temporal's database: %q", marker, stored[max(0, at-200):min(len(stored), at+100)])
		}
	}
}

// approved approves a build at which workers failed a moment ago: Temporal hands its task out again after a pause, and an earlier decision with it.
func approved(t *testing.T, s *stacktest.Stack, build string) {
	t.Helper()
	waitUntil(t, "the build takes the decision", func() bool {
		_, errs, code := s.Run("builds", "approve", build)
		for _, taken := range []string{"no build that is awaiting_approval", "it does not wait for approval", "it has ended"} {
			if strings.Contains(errs, taken) {
				return true
			}
		}
		return code == 0
	})
}

// checkSealed fails for every payload of a history that is not encrypted. Search attributes cannot be.
func checkSealed(t *testing.T, body []byte) {
	t.Helper()
	events := &history.History{}
	if err := protojson.Unmarshal(body, events); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := proxy.VisitPayloads(t.Context(), events, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			for _, p := range payloads {
				seen++
				if encoding := string(p.GetMetadata()["encoding"]); encoding != "binary/encrypted" {
					t.Errorf("a payload is %s: %s", encoding, p.GetData())
				}
			}
			return payloads, nil
		},
	})
	if err != nil || seen < 10 {
		t.Errorf("%d payloads, %v", seen, err)
	}
}
