package qdrant_test

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	api "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/qdrant"
)

// TestServerKeepsThePromises runs the conformance suite against a server, if one is named.
func TestServerKeepsThePromises(t *testing.T) {
	porttest.Index(t, func(t *testing.T) porttest.VectorIndex { return server(t) })
}

func TestServerKeepsVectorsOfTexts(t *testing.T) {
	porttest.Vectors(t, func(t *testing.T) retrieve.Vectors { return server(t) })
}

func TestServerAnswersPing(t *testing.T) {
	if err := server(t).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// server opens the server that the environment names.
func server(t testing.TB) *qdrant.Index {
	t.Helper()
	url := os.Getenv("REBASED_QDRANT_TEST_URL")
	if url == "" {
		t.Skip("REBASED_QDRANT_TEST_URL is not set: no server to test against (http://host:port, key in REBASED_QDRANT_TEST_KEY)")
	}
	return open(t, qdrant.Config{URL: url, APIKey: os.Getenv("REBASED_QDRANT_TEST_KEY")})
}

func open(t testing.TB, c qdrant.Config) *qdrant.Index {
	t.Helper()
	x, err := qdrant.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func TestOpenRefusesWhatIsNoAddress(t *testing.T) {
	for _, url := range []string{"", "localhost", "localhost:6334", "ftp://host", "http://", "http://secret@host", "http://host/path", "http://host?api-key=secret"} {
		_, err := qdrant.Open(qdrant.Config{URL: url})
		if rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%q: got %v, want Invalid", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the message shows the secret: %v", url, err)
		}
	}
	if _, err := qdrant.Open(qdrant.Config{URL: "http://host", Timeout: -1}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("negative timeout: got %v, want Invalid", err)
	}
}

// stub is a server whose answers a test decides.
type stub struct {
	api.UnimplementedPointsServer
	count  func(ctx context.Context) error
	answer *api.QueryResponse
}

func (s *stub) Count(ctx context.Context, _ *api.CountPoints) (*api.CountResponse, error) {
	return &api.CountResponse{Result: &api.CountResult{Count: 1}}, s.count(ctx)
}

// serve starts a stub on loopback and returns its URL.
func serve(t *testing.T, s *stub) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	api.RegisterPointsServer(g, s)
	api.RegisterCollectionsServer(g, &made{})
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	return "http://" + listener.Addr().String()
}

func TestStatusesBecomeKinds(t *testing.T) {
	cases := []struct {
		code codes.Code
		want rebased.Kind
	}{
		{codes.InvalidArgument, rebased.Invalid},
		{codes.Unimplemented, rebased.Invalid},
		{codes.FailedPrecondition, rebased.Unavailable}, // a shard in transfer, storage that is locked
		{codes.NotFound, rebased.NotFound},
		{codes.AlreadyExists, rebased.Conflict},
		{codes.Unauthenticated, rebased.Unauthorized},
		{codes.PermissionDenied, rebased.Unauthorized},
		{codes.ResourceExhausted, rebased.Throttled},
		{codes.Unavailable, rebased.Unavailable},
		{codes.Internal, rebased.Unavailable},
		{codes.DeadlineExceeded, rebased.Unavailable},
		{codes.Unknown, rebased.Unavailable},
		{codes.Canceled, rebased.Unavailable},
	}
	for _, c := range cases {
		t.Run(c.code.String(), func(t *testing.T) {
			url := serve(t, &stub{count: func(ctx context.Context) error {
				_ = grpc.SetTrailer(ctx, metadata.Pairs("retry-after", "7"))
				return status.Error(c.code, "what the server says")
			}})
			_, err := open(t, qdrant.Config{URL: url}).Count(t.Context(), "rows")
			if got := rebased.KindOf(err); got != c.want {
				t.Errorf("got kind %q, want %q", got, c.want)
			}
			if want := "qdrant count rows: what the server says"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %q", err, want)
			}
			if got := rebased.RetryAfterOf(err); got != 7*time.Second {
				t.Errorf("retry after %v, want 7s", got)
			}
		})
	}
}

func TestAMessageOverTheLimitIsNotSentAgain(t *testing.T) {
	url := serve(t, &stub{count: func(ctx context.Context) error {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("retry-after", "7"))
		return status.Error(codes.ResourceExhausted, "grpc: received message larger than max (70000000 vs. 67108864)")
	}})
	_, err := open(t, qdrant.Config{URL: url}).Count(t.Context(), "rows")
	if rebased.KindOf(err) != rebased.Invalid || rebased.RetryAfterOf(err) != 0 || !strings.Contains(err.Error(), "upsert_max_batchsize") {
		t.Errorf("got %v, want Invalid, and what to lower", err)
	}
}

func TestCallsCarryTheKey(t *testing.T) {
	var got []string
	url := serve(t, &stub{count: func(ctx context.Context) error {
		incoming, _ := metadata.FromIncomingContext(ctx)
		got = incoming.Get("api-key")
		return nil
	}})
	if _, err := open(t, qdrant.Config{URL: url, APIKey: "key"}).Count(t.Context(), "rows"); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != "key" {
		t.Errorf("the server saw the keys %q", got)
	}
}

func TestAServerThatHangsIsUnavailable(t *testing.T) {
	url := serve(t, &stub{count: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
	_, err := open(t, qdrant.Config{URL: url, Timeout: 50 * time.Millisecond}).Count(t.Context(), "rows")
	if rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}

func TestNoServerIsUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	_ = listener.Close()
	if err := open(t, qdrant.Config{URL: url}).Ping(t.Context()); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}

func TestCancelOfTheCallerIsNoFaultOfTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, &stub{count: func(inner context.Context) error { cancel(); <-inner.Done(); return inner.Err() }})
	_, err := open(t, qdrant.Config{URL: url}).Count(ctx, "rows")
	if err != context.Canceled { //nolint:errorlint // the very error, without a kind
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestPingTellsAWrongKey(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.Unauthenticated, "Must provide an API key")
	}))
	api.RegisterCollectionsServer(g, api.UnimplementedCollectionsServer{})
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	err = open(t, qdrant.Config{URL: "http://" + listener.Addr().String()}).Ping(t.Context())
	if rebased.KindOf(err) != rebased.Unauthorized {
		t.Errorf("got %v, want Unauthorized", err)
	}
}
