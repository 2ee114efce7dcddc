package stack

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/teacher"
)

func (c Config) teacher(log io.Writer) (server, error) {
	handler, err := teacher.New(teacher.Config{
		APIKey:      c.Folder.Credentials.TeacherAPIKey,
		Replay:      c.Teacher.Replay,
		Latency:     c.Teacher.Latency,
		AllowFaults: c.Teacher.AllowFaults,
		Logger:      slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "%w", err) // it only reads what the flags name
	}
	listener, err := c.Folder.Ports.Listen(folder.Teacher)
	if err != nil {
		return nil, err
	}
	return &httpServer{listener: listener, server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}}, nil
}

// httpServer serves a handler until the context is done.
type httpServer struct {
	listener net.Listener
	server   *http.Server
}

func (s *httpServer) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() }) // no answer under way is worth waiting for
	defer stop()
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
