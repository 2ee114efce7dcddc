package e2e

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nexus-rpc/sdk-go/nexus"
	nexuspb "go.temporal.io/api/nexus/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporalnexus"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // of the specification's examples

// train is a training pipeline: it says which version it has trained on.
func train(ctx workflow.Context, in workflows.HandoffInput) (map[string]string, error) {
	err := workflow.Sleep(ctx, time.Second)
	return map[string]string{"model": "of " + in.Version}, err
}

// pipelines start a worker for workflows of the stack's own namespace, and one behind a Nexus endpoint in another namespace.
func pipelines(t *testing.T, s *stacktest.Stack) {
	t.Helper()
	own := dial(t, s, folder.Namespace)
	serve(t, own, "training", func(w worker.Worker) { w.RegisterWorkflowWithOptions(train, workflow.RegisterOptions{Name: "Train"}) })

	const other = "trainers"
	_, err := own.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: other, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = own.OperatorService().CreateNexusEndpoint(t.Context(), &operatorservice.CreateNexusEndpointRequest{Spec: &nexuspb.EndpointSpec{
		Name: "training", Target: &nexuspb.EndpointTarget{Variant: &nexuspb.EndpointTarget_Worker_{Worker: &nexuspb.EndpointTarget_Worker{Namespace: other, TaskQueue: "nexus"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	foreign := dial(t, s, other)
	waitUntil(t, "the new namespace is known", func() bool {
		_, err := foreign.DescribeTaskQueue(t.Context(), "nexus", 1)
		return err == nil
	})
	service := nexus.NewService("train")
	service.MustRegister(temporalnexus.NewWorkflowRunOperation("start", train, func(_ context.Context, in workflows.HandoffInput, _ nexus.StartOperationOptions) (client.StartWorkflowOptions, error) {
		return client.StartWorkflowOptions{ID: in.IdempotencyKey}, nil
	}))
	serve(t, foreign, "nexus", func(w worker.Worker) {
		w.RegisterNexusService(service)
		w.RegisterWorkflow(train)
	})
}

func dial(t *testing.T, s *stacktest.Stack, namespace string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{
		HostPort: s.Folder().Ports.Address(folder.Temporal), Namespace: namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, c client.Client, queue string, register func(worker.Worker)) {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	register(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
}

// shown is what `versions show --json` says of the hand-off.
type shown struct {
	Version    string `json:"version"`
	Deliveries map[string]struct {
		State    string          `json:"state"`
		Attempts int             `json:"attempts"`
		ID       string          `json:"id"`
		Result   json.RawMessage `json:"result"`
		Error    string          `json:"error"`
	} `json:"deliveries"`
}

func show(t *testing.T, s *stacktest.Stack) (v shown) {
	t.Helper()
	if err := json.Unmarshal([]byte(must(t, s, "versions", "show", "demo", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAReleasedVersionIsHandedToEachTarget(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		if calls++; err != nil || calls == 1 {
			t.Logf("call %d of the webhook: %v", calls, err)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"queued": true}`)
	}))
	t.Cleanup(hook.Close)
	dir := t.TempDir()
	program := filepath.Join(dir, "train")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n[ -e "+dir+"/gpu ] || { echo no GPU; exit 3; }\ncat\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	to := map[string]any{
		"workflow": map[string]any{"type": "Train", "task_queue": "training"},
		"nexus":    map[string]any{"endpoint": "training", "service": "train", "operation": "start"},
		"webhook":  map[string]any{"url": hook.URL + "/versions"},
		"command":  map[string]any{"name": "train"},
	}
	s, task := demoStack(t, stacktest.Options{Nexus: true, Env: []string{
		"REBASED_WEBHOOK_SECRET=" + hookSecret, "REBASED_WEBHOOK_ALLOW=" + strings.TrimPrefix(hook.URL, "http://"), "REBASED_HANDOFF_COMMANDS=train=" + program,
	}}, 40, map[string]any{"handoff": to})
	pipelines(t, s)
	r := result(t, must(t, s, "build", "-f", task, "--json"))
	waitUntil(t, "all four have ended", func() bool {
		v, ended := show(t, s), 0
		for _, d := range v.Deliveries {
			if d.State != "started" {
				ended++
			}
		}
		return ended == len(to)
	})
	v := show(t, s)
	t.Logf("%+v", v)
	record(t, "deliver-workflow.json", historyOf(t, s, workflows.DeliverID("demo", r.Version, "workflow")))
	record(t, "deliver-nexus.json", historyOf(t, s, workflows.DeliverID("demo", r.Version, "nexus")))
	record(t, "deliver-webhook.json", historyOf(t, s, workflows.DeliverID("demo", r.Version, "webhook")))
	record(t, "build-delivered.json", historyOf(t, s, workflows.BuildID("demo", r.Build)))
	for _, target := range []string{"workflow", "nexus"} {
		var said map[string]string
		if d := v.Deliveries[target]; d.State != "delivered" || json.Unmarshal(d.Result, &said) != nil || said["model"] != "of "+r.Version || d.ID == "" {
			t.Errorf("%s: %+v", target, d)
		}
	}
	if d := v.Deliveries["webhook"]; d.State != "delivered" || d.Attempts != 2 || calls != 2 {
		t.Errorf("webhook: %+v after %d calls", d, calls)
	}
	if d := v.Deliveries["command"]; d.State != "failed" || !strings.Contains(d.Error, "exit status 3") || string(d.Result) != `"no GPU"` {
		t.Errorf("command: %+v", d)
	}
	next := result(t, must(t, s, "build", "-f", task, "--json"))
	if next.State != "unchanged" || !strings.Contains(next.Detail, "hand-off to command failed: command train: exit status 3") {
		t.Errorf("the next night says %+v", next)
	}
	if err := os.WriteFile(filepath.Join(dir, "gpu"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "a worker takes the hand-off", func() bool { // on a busy machine it may not in the time that the command waits
		_, _, code := s.Run("versions", "handoff", "demo")
		return code == 0
	})
	waitUntil(t, "the command has run again", func() bool { return show(t, s).Deliveries["command"].State == "delivered" })
	if d := show(t, s).Deliveries["command"]; !strings.Contains(string(d.Result), `"idempotency_key":"handoff/demo/`+r.Version) || calls != 2 {
		t.Errorf("command: %+v, %d calls of the webhook", d, calls)
	}
}
