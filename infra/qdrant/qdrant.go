// Package qdrant keeps the vectors of corpora in a Qdrant server: it implements index.Writer and retrieve.Index over Qdrant's gRPC protocol.
//
// An index is two collections. The one of rows has a point a row: its id is the row's, the multivector "cells" (MaxSim, dot product) holds
// the row's vectors, and the payload says what their cells are. The one of descriptions, named <rows>-datasets, has a point a dataset split
// with the vector "description". Searches are exact, so that no graph is built for either. Servers from version 1.16 on give vectors in the
// form that is read here.
package qdrant

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
)

var (
	_ index.Writer   = (*Index)(nil)
	_ retrieve.Index = (*Index)(nil)
)

const (
	grpcPort       = "6334"
	restPort       = "6333" // what the ecosystem's QDRANT_URL names; gRPC listens on the port after it
	defaultTimeout = time.Minute
	maxAnswer      = 512 << 20 // bytes of one answer; a list of a million rows has some 100 MB
)

// Config says where the server is.
type Config struct {
	URL     string        // http://host[:port] or https://host[:port]; no port, or 6333, means gRPC's 6334
	APIKey  string        // "" = none
	CA      string        // file of the authorities whose certificates are trusted, in PEM; "" = those of the system
	Timeout time.Duration // of one call; 0 = a minute

	Collection Collection // how collections are made and searched

	// Watch, when set, is told of each call by its name (upsert, query, …) and of what came of it, an error with a kind. The call runs under the context that it
	// gives.
	Watch func(ctx context.Context, operation string) (context.Context, func(error))
}

// Index is a vector index in a Qdrant server. It is safe for concurrent use.
type Index struct {
	conn        *grpc.ClientConn
	points      qdrant.PointsClient
	collections qdrant.CollectionsClient
	how         Collection
	known       known
}

// Open prepares the connection; it is made with the first call. The error is Invalid: the settings cannot be used.
func Open(c Config) (*Index, error) {
	address, secure, err := target(c.URL)
	if err != nil {
		return nil, err
	}
	if c.CA != "" && !secure {
		return nil, rebased.E(rebased.Invalid, "qdrant: authorities are of use with https://… alone, the address is %q", redact(c.URL))
	}
	if c.Timeout < 0 {
		return nil, rebased.E(rebased.Invalid, "qdrant: Config.Timeout must not be negative, got %v", c.Timeout)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	transport := insecure.NewCredentials()
	if secure {
		config, err := trust(c.CA)
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(config)
	}
	// The connection is made here and not by the client library, which warns on the global logger about every key sent without TLS, and
	// so about every server on the same machine.
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(transport),
		grpc.WithUnaryInterceptor(caller{key: c.APIKey, timeout: c.Timeout, watch: c.Watch}.watched),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "qdrant: open %s: %w", c.URL, err)
	}
	return &Index{conn: conn, points: qdrant.NewPointsClient(conn), collections: qdrant.NewCollectionsClient(conn), how: c.Collection}, nil
}

// Close ends the connection.
func (x *Index) Close() error { return x.conn.Close() }

// Ping proves that the server answers and takes the key.
func (x *Index) Ping(ctx context.Context) error {
	_, err := x.collections.List(ctx, &qdrant.ListCollectionsRequest{})
	return err
}

// Least is the oldest version of Qdrant that is spoken to.
const Least = "1.16"

// Version asks which version the server is, for instance "1.17.1".
func (x *Index) Version(ctx context.Context) (string, error) {
	reply, err := qdrant.NewQdrantClient(x.conn).HealthCheck(ctx, &qdrant.HealthCheckRequest{})
	return reply.GetVersion(), err
}

// OldVersion tells whether a version is older than Least; one that is not understood is not.
func OldVersion(version string) bool {
	var major, minor, leastMajor, leastMinor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	_, _ = fmt.Sscanf(Least, "%d.%d", &leastMajor, &leastMinor)
	return major < leastMajor || major == leastMajor && minor < leastMinor
}

// target gives the address of gRPC and whether it speaks TLS.
func target(raw string) (address string, secure bool, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", false, rebased.E(rebased.Invalid, "QDRANT_URL must look like http://host:6334 or https://host:6334, got %q", redact(raw))
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", false, rebased.E(rebased.Invalid, "QDRANT_URL must be a scheme, a host and a port alone (the key goes into QDRANT_API_KEY), got %q", redact(raw))
	}
	port := u.Port()
	if port == "" || port == restPort {
		port = grpcPort
	}
	return "dns:///" + net.JoinHostPort(u.Hostname(), port), u.Scheme == "https", nil
}

// redact keeps what may be a key in a URL out of messages.
func redact(raw string) string {
	if at := strings.LastIndexByte(raw, '@'); at >= 0 {
		raw = "…" + raw[at:]
	}
	before, _, _ := strings.Cut(raw, "?")
	return before
}
