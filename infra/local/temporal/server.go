// Package temporal runs the real Temporal server in this process, all of its services on loopback ports and its state in one SQLite file,
// with Temporal's web UI beside it. It is the durable part of the local stack: what it has acknowledged is in the file, so that a server
// that is killed and started again goes on with its workflows.
//
// One server a process: the SQLite connections of the library are shared by the whole process and stay open.
package temporal

import (
	"context"
	"errors"
	"fmt"
	"io"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const host = "127.0.0.1"

// Config says where a server keeps its state and which ports it takes.
type Config struct {
	// Dir is the folder of the SQLite file; it is made when missing.
	Dir string
	// Namespace is the one that the server has; fixed once the folder has a database.
	Namespace string
	// Frontend is the port that clients connect to; the others talk among themselves.
	Frontend, History, Matching, Worker int
	// UI is the port of the web UI.
	UI int
	// HTTP is the port of Temporal's HTTP API, by which the server calls Nexus endpoints of its own namespaces; 0 = none, and no Nexus. Whatever runs on the
	// machine can use it, web pages in a browser too.
	HTTP int
	// Log takes warnings and errors, one JSON object a line.
	Log io.Writer
	// HistoryEvents is the length of a history at which the server suggests to continue as new; 0 = its default.
	HistoryEvents int
}

func (c Config) validate() error {
	if c.Dir == "" || c.Namespace == "" || c.Log == nil {
		return errors.New("temporal: Dir, Namespace and Log are required")
	}
	for name, port := range map[string]int{"Frontend": c.Frontend, "History": c.History, "Matching": c.Matching, "Worker": c.Worker, "UI": c.UI} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("temporal: port %s is %d, not 1 to 65535", name, port)
		}
	}
	if c.HTTP < 0 || c.HTTP > 65535 {
		return fmt.Errorf("temporal: port HTTP is %d, not 0 to 65535", c.HTTP)
	}
	return nil
}

// Server is a Temporal server with its web UI.
type Server struct {
	server temporal.Server
	ui     *uiserver.Server
}

// New prepares a server; the first one on a folder also makes its database.
func New(c Config) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	store, err := openDatabase(c.Dir, c.Namespace)
	if err != nil {
		return nil, err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(c.server(store)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(c.hosts()),
		temporal.WithDynamicConfigClient(c.settings()),
		temporal.WithLogger(logger(c.Log)),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
	)
	if err != nil {
		return nil, fmt.Errorf("set up temporal: %w", err)
	}
	return &Server{server: server, ui: c.webUI()}, nil
}

// Serve runs the server until ctx is done.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.server.Start(); err != nil {
		return fmt.Errorf("start temporal: %w", err)
	}
	failed := make(chan error, 1)
	go func() { failed <- s.ui.Start() }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("temporal web UI stopped: %w", err)
	}
	s.ui.Stop()
	return errors.Join(err, s.server.Stop())
}

func (c Config) webUI() *uiserver.Server {
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                host,
		Port:                c.UI,
		TemporalGRPCAddress: fmt.Sprintf("%s:%d", host, c.Frontend),
		EnableUI:            true,
		DefaultNamespace:    c.Namespace,
		DisableNewsFetch:    true,
		CORS:                uiconfig.CORS{CookieInsecure: true},
		HideLogs:            true,
	}))
}

func logger(w io.Writer) log.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return log.NewZapLogger(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), zapcore.WarnLevel)))
}
