// Package probe finds out whether the parts of a local stack answer, as their clients would: with their protocols and the folder's credentials. The
// stack waits with it at its start, and a test after it has started something again.
package probe

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased/infra/local/folder"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Until probes every few milliseconds until the probe succeeds or ctx is done, and then gives the error of the last probe.
func Until(ctx context.Context, probe func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, time.Second)
		err := probe(once)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Temporal asks the server for the namespace, which proves that it can read its database, and the web UI for its health.
func Temporal(ctx context.Context, f *folder.Folder) error {
	err := dial(f.Ports.Address(folder.Temporal), func(conn *grpc.ClientConn) error {
		_, err := workflowservice.NewWorkflowServiceClient(conn).DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: folder.Namespace})
		return err
	})
	if err != nil {
		return err
	}
	return get(ctx, "http://"+f.Ports.Address(folder.UI)+"/healthz", "")
}

// S3 asks the gateway for its health.
func S3(ctx context.Context, f *folder.Folder) error {
	return get(ctx, "http://"+f.Ports.Address(folder.S3)+"/healthz", "")
}

// Qdrant asks the server for its health.
func Qdrant(ctx context.Context, f *folder.Folder) error {
	return dial(f.Ports.Address(folder.Qdrant), func(conn *grpc.ClientConn) error {
		ctx := metadata.AppendToOutgoingContext(ctx, "api-key", f.Credentials.QdrantAPIKey)
		_, err := qdrant.NewQdrantClient(conn).HealthCheck(ctx, &qdrant.HealthCheckRequest{})
		return err
	})
}

// Teacher asks for the models.
func Teacher(ctx context.Context, f *folder.Folder) error {
	return get(ctx, "http://"+f.Ports.Address(folder.Teacher)+"/v1/models", f.Credentials.TeacherAPIKey)
}

// Worker finds out whether a worker is healthy and has polled the task queue, for workflows and for activities, since a moment. Temporal
// remembers the polls of a worker that is gone for minutes, hence the moment.
func Worker(ctx context.Context, f *folder.Folder, since time.Time) error {
	if err := get(ctx, "http://"+f.Ports.Address(folder.Worker)+"/healthz", ""); err != nil {
		return err
	}
	return dial(f.Ports.Address(folder.Temporal), func(conn *grpc.ClientConn) error {
		temporal := workflowservice.NewWorkflowServiceClient(conn)
		for _, kind := range []enums.TaskQueueType{enums.TASK_QUEUE_TYPE_WORKFLOW, enums.TASK_QUEUE_TYPE_ACTIVITY} {
			queue, err := temporal.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
				Namespace: folder.Namespace, TaskQueue: &taskqueue.TaskQueue{Name: folder.TaskQueue}, TaskQueueType: kind,
			})
			if err != nil {
				return err
			}
			if !polledSince(queue.GetPollers(), since) {
				return fmt.Errorf("nobody polls task queue %s (%s)", folder.TaskQueue, kind)
			}
		}
		return nil
	})
}

func polledSince(pollers []*taskqueue.PollerInfo, since time.Time) bool {
	for _, poller := range pollers {
		if poller.GetLastAccessTime().AsTime().After(since) {
			return true
		}
	}
	return false
}

// dial makes a connection for one probe: one that is kept would wait longer and longer before it tries a server again.
func dial(address string, probe func(*grpc.ClientConn) error) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return probe(conn)
}

func get(ctx context.Context, url, key string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}
