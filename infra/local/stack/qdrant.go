package stack

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/qdrant"
)

func (c Config) qdrant(log io.Writer) (server, error) {
	listener, err := c.Folder.Ports.Listen(folder.Qdrant)
	if err != nil {
		return nil, err
	}
	server, err := qdrant.New(qdrant.Config{
		Dir:      c.Folder.Path("qdrant"),
		APIKey:   c.Folder.Credentials.QdrantAPIKey,
		Listener: listener,
		Logger:   slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		return nil, err // New has closed the listener
	}
	return qdrantServer{server}, nil
}

// qdrantServer closes its data when it has served.
type qdrantServer struct{ server *qdrant.Server }

func (s qdrantServer) Serve(ctx context.Context) error {
	return errors.Join(s.server.Serve(ctx), s.server.Close())
}
