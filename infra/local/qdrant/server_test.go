package qdrant_test

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"testing"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased/infra/local/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const apiKey = "a test's key"

// running is a server in a folder with a client of it.
type running struct {
	*pb.Client
	dir     string
	address string
	stop    func()
}

// start runs a server on a folder until the test ends or stop is called.
func start(t testing.TB, dir string) *running {
	t.Helper()
	server, err := qdrant.New(qdrant.Config{Dir: dir, Addr: "127.0.0.1:0", APIKey: apiKey, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	address := server.Addr().String()
	r := &running{Client: connect(t, address, apiKey), dir: dir, address: address}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

func connect(t testing.TB, address, key string) *pb.Client {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	client, err := pb.NewClient(&pb.Config{Host: host, Port: number, PoolSize: 1, SkipCompatibilityCheck: true, GrpcOptions: []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20)),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if key != "" { // not by Config.APIKey, which warns on the global logger
				ctx = metadata.AppendToOutgoingContext(ctx, "api-key", key)
			}
			return invoke(ctx, method, req, reply, cc, opts...)
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// rows makes a collection like the product's: a multivector of cells, and a dense vector with the cosine.
func (r *running) rows(t testing.TB, name string, dimensions uint64) {
	t.Helper()
	check(t, r.CreateCollection(t.Context(), &pb.CreateCollection{
		CollectionName: name,
		VectorsConfig: pb.NewVectorsConfigMap(map[string]*pb.VectorParams{
			"cells": {Size: dimensions, Distance: pb.Distance_Dot, MultivectorConfig: &pb.MultiVectorConfig{}, OnDisk: new(true),
				HnswConfig: &pb.HnswConfigDiff{M: new(uint64(0))}},
			"text": {Size: dimensions, Distance: pb.Distance_Cosine},
		}),
	}))
}

func (r *running) upsert(t testing.TB, collection string, points ...*pb.PointStruct) {
	t.Helper()
	_, err := r.Upsert(t.Context(), &pb.UpsertPoints{CollectionName: collection, Wait: new(true), Points: points})
	check(t, err)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(unwrapped(err)); got != want {
		t.Errorf("code %v, want %v; error: %v", got, want, err)
	}
}

// unwrapped is the status inside an error of the client.
func unwrapped(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return unwrapped(u.Unwrap())
	}
	return err
}

// uuid gives the n-th of a row of ids that ascend with n.
func uuid(n int) string {
	s := strconv.Itoa(1_000_000 + n)
	return "00000000-0000-0000-0000-00000" + s
}

func cells(rows ...[]float32) map[string]*pb.Vector {
	return map[string]*pb.Vector{"cells": pb.NewVectorMulti(rows)}
}

func point(n int, vectors map[string]*pb.Vector, payload map[string]any) *pb.PointStruct {
	return &pb.PointStruct{Id: pb.NewIDUUID(uuid(n)), Vectors: pb.NewVectorsMap(vectors), Payload: pb.NewValueMap(payload)}
}
