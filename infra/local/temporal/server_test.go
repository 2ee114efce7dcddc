package temporal_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/temporal"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const queue = "rebased"

var (
	task  = sdk.NewSearchAttributeKeyKeyword("RebasedTask")
	state = sdk.NewSearchAttributeKeyKeyword("RebasedState")
)

// waiting is a workflow that ends when an update says so.
func waiting(ctx workflow.Context) (string, error) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, state.ValueSet("awaiting_approval")); err != nil {
		return "", err
	}
	var by string
	err := workflow.SetUpdateHandler(ctx, "approve", func(_ workflow.Context, name string) (string, error) {
		by = name
		return "approved", nil
	})
	if err != nil {
		return "", err
	}
	err = workflow.Await(ctx, func() bool { return by != "" && workflow.AllHandlersFinished(ctx) })
	return by, err
}

// serve starts a server on a folder with characters that mean something in a database's file name, and gives a client of it.
func serve(t *testing.T) (client.Client, folder.Ports) {
	t.Helper()
	f, err := folder.Open(filepath.Join(t.TempDir(), "a folder? with #1 and 50%20"), folder.Free)
	if err != nil {
		t.Fatal(err)
	}
	file, err := f.Log("temporal")
	if err != nil {
		t.Fatal(err)
	}
	server, err := temporal.New(temporal.Config{
		Dir: f.Path("temporal"), Namespace: folder.Namespace, Log: file,
		Frontend: f.Ports.Port(folder.Temporal), History: f.Ports.Port(folder.TemporalHistory),
		Matching: f.Ports.Port(folder.TemporalMatching), Worker: f.Ports.Port(folder.TemporalWorker), UI: f.Ports.Port(folder.UI),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return dial(t, f.Ports.Address(folder.Temporal), ended), f.Ports
}

func dial(t *testing.T, address string, ended <-chan error) client.Client {
	t.Helper()
	for {
		c, err := client.DialContext(t.Context(), client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
		if err == nil {
			t.Cleanup(c.Close)
			return c
		}
		select {
		case err := <-ended:
			t.Fatalf("the server ended: %v", err)
		default:
		}
	}
}

func TestServer(t *testing.T) {
	c, ports := serve(t)
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(waiting)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)

	t.Run("a workflow waits for an update and is found by its attributes", func(t *testing.T) {
		run := start(t, c, "build/squad/1")
		awaitCount(t, c, "RebasedTask = 'squad' AND RebasedState = 'awaiting_approval'", 1)
		update, err := c.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: run.GetID(), UpdateName: "approve", Args: []any{"me"}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err != nil {
			t.Fatal(err)
		}
		var answer, by string
		if err := update.Get(t.Context(), &answer); err != nil || answer != "approved" {
			t.Errorf("the update answers %q, %v", answer, err)
		}
		if err := run.Get(t.Context(), &by); err != nil || by != "me" {
			t.Errorf("the workflow ends with %q, %v", by, err)
		}
	})

	t.Run("a schedule starts workflows", func(t *testing.T) {
		s, err := c.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
			ID:                 "nightly",
			Spec:               client.ScheduleSpec{CronExpressions: []string{"0 3 * * *"}},
			Action:             &client.ScheduleWorkflowAction{ID: "build/nightly", Workflow: waiting, TaskQueue: queue},
			TriggerImmediately: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		awaitCount(t, c, "TemporalScheduledById = 'nightly' AND ExecutionStatus = 'Running'", 1)
		if err := s.Delete(t.Context()); err != nil {
			t.Error(err)
		}
	})

	t.Run("closed workflows are kept for thirty days", func(t *testing.T) {
		got, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: folder.Namespace})
		if err != nil {
			t.Fatal(err)
		}
		if kept := got.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(); kept != 30*24*time.Hour {
			t.Errorf("retention is %s", kept)
		}
	})

	t.Run("the web UI shows the server", func(t *testing.T) {
		for _, path := range []string{"/", "/api/v1/namespaces/default"} {
			resp, err := http.Get("http://" + ports.Address(folder.UI) + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if err != nil || resp.StatusCode != http.StatusOK || len(body) == 0 {
				t.Errorf("GET %s: %s, %d bytes, %v", path, resp.Status, len(body), err)
			}
		}
	})
}

func start(t *testing.T, c client.Client, id string) client.WorkflowRun {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: id, TaskQueue: queue, TypedSearchAttributes: sdk.NewSearchAttributes(task.ValueSet("squad"), state.ValueSet("running")),
	}, waiting)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// awaitCount waits until a visibility query finds n workflows: visibility follows the workflow a moment later.
func awaitCount(t *testing.T, c client.Client, query string, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: folder.Namespace, Query: query})
		if err == nil && got.GetCount() == n {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s finds %d, want %d: %v", query, got.GetCount(), n, err)
		}
	}
}
