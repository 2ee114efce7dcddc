package cluster_test

import (
	"context"
	"net"
	"testing"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
)

// authorizer is a Temporal that lets the tokens of a namespace's readers read it; "" stands for everybody.
type authorizer struct {
	workflowservice.UnimplementedWorkflowServiceServer

	readers map[string]string // namespace by token
}

func (a authorizer) DescribeNamespace(ctx context.Context, r *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	token := append(headers.Get("authorization"), "")[0]
	if token == "Bearer expired" {
		return nil, status.Error(codes.Unauthenticated, "token is expired")
	}
	if a.readers[""] != "" || a.readers[token] == r.GetNamespace() && token != "" {
		return &workflowservice.DescribeNamespaceResponse{}, nil
	}
	return nil, status.Error(codes.PermissionDenied, "Request unauthorized.")
}

func dialReaders(t *testing.T, a authorizer) (*cluster.Readers, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, a)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return cluster.DialReaders(t.Context(), cluster.Options{
		Address: listener.Addr().String(), Namespace: "prod", Environ: []string{"TEMPORAL_CONFIG_FILE=" + t.TempDir() + "/none.toml", "TEMPORAL_API_KEY=of-this-program", "TEMPORAL_TLS=false"},
	})
}

func TestReadersOfTheNamespaceAreToldFromOthers(t *testing.T) {
	readers, err := dialReaders(t, authorizer{readers: map[string]string{"Bearer of-prod": "prod", "Bearer of-test": "test", "Bearer of-this-program": "prod"}})
	if err != nil {
		t.Fatal(err)
	}
	defer readers.Close()
	if err := readers.Check(t.Context(), "Bearer of-prod"); err != nil {
		t.Error(err)
	}
	for _, token := range []string{"Bearer of-test", "Bearer expired", "Bearer other"} {
		wantError(t, readers.Check(t.Context(), token), rebased.Unauthorized, "Temporal does not let the sender of this token read namespace prod")
	}
	wantError(t, readers.Check(t.Context(), ""), rebased.Unauthorized, "no Authorization header: have the web UI pass the access token of its user")
}

func TestATemporalThatLetsAnybodyReadCannotSayWhoMay(t *testing.T) {
	_, err := dialReaders(t, authorizer{readers: map[string]string{"": "everybody"}})
	if rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("error %v", err)
	}
}
