package qdrant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
)

const (
	// protocolVersion is the version of Qdrant whose protocol is spoken; clients compare it with their own.
	protocolVersion = "1.17.1"
	// maxMessage is the size of a request or an answer, in bytes.
	maxMessage = 64 << 20
	// minPing is how often a client may ask whether the connection is alive. Qdrant's Go client does so every 10 s.
	minPing = time.Second
	// drain is how long calls under way may take to end when the server stops.
	drain = 5 * time.Second
)

// Config describes a server.
type Config struct {
	Dir      string       // where the data lives; made when it is not there, used by one server at a time
	Addr     string       // host:port to listen on; unused with Listener
	Listener net.Listener // taken over and closed by the server
	APIKey   string       // what clients must send as api-key; "" = no key is asked for
	Logger   *slog.Logger
	// SegmentBytes is the size of a file of the log; 0 = 256 MiB.
	SegmentBytes int64
}

func (c Config) validate() error {
	switch {
	case c.Dir == "":
		return errors.New("qdrant server: Dir is empty; name a folder for the data")
	case c.Addr == "" && c.Listener == nil:
		return errors.New("qdrant server: neither Addr nor Listener is set")
	case c.Logger == nil:
		return errors.New("qdrant server: Logger is nil")
	}
	return nil
}

// Server is a running server. It holds its folder and its address from New to Close.
type Server struct {
	cfg      Config
	lock     *os.File
	listener net.Listener
	catalog  *catalog
	grpc     *grpc.Server
}

// New opens the data and starts to listen; calls are answered once Serve runs.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, listener: cfg.Listener}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(upsertCodec{encoding.GetCodecV2(protocodec.Name)}),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(authenticate(cfg.APIKey), translate, refuse(servedFields())),
	)
	pb.RegisterQdrantServer(s.grpc, health{})
	pb.RegisterCollectionsServer(s.grpc, &collectionsService{catalog: s.catalog})
	s.grpc.RegisterService(upsertService(), &pointsService{catalog: s.catalog})
	return s, nil
}

func (s *Server) open() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	var err error
	if s.lock, err = lockDir(s.cfg.Dir); err != nil {
		return err
	}
	if s.listener == nil {
		if s.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", s.cfg.Addr); err != nil {
			return err
		}
	}
	start := time.Now()
	if s.catalog, err = openCatalog(s.cfg.Dir, s.cfg.SegmentBytes, s.cfg.Logger); err != nil {
		return fmt.Errorf("open the data of the qdrant server: %w", err)
	}
	collections, points := s.catalog.size()
	s.cfg.Logger.Info("qdrant protocol server for development and small corpora; production uses Qdrant",
		"address", s.listener.Addr().String(), "folder", s.cfg.Dir, "collections", collections, "points", points,
		"opened_in", time.Since(start).Round(time.Millisecond))
	return nil
}

// lockDir keeps a second server out of the folder.
func lockDir(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // our own folder
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another qdrant server; stop it or choose another folder", dir), file.Close())
	}
	return file, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers calls until ctx ends or Close is called, lets those under way end, and returns.
func (s *Server) Serve(ctx context.Context) error {
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(stopped)
		force := time.AfterFunc(drain, s.grpc.Stop)
		defer force.Stop()
		s.grpc.GracefulStop()
	})
	err := s.grpc.Serve(s.listener)
	if !unwatch() {
		<-stopped
	}
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Close ends all calls and closes the data; what was acknowledged is on disk already.
func (s *Server) Close() error {
	var errs []error
	if s.grpc != nil {
		s.grpc.Stop()
	}
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) { // Serve closes it too
			errs = append(errs, err)
		}
	}
	if s.catalog != nil {
		errs = append(errs, s.catalog.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

type health struct{ pb.UnimplementedQdrantServer }

func (health) HealthCheck(context.Context, *pb.HealthCheckRequest) (*pb.HealthCheckReply, error) {
	return &pb.HealthCheckReply{Title: "rebased-local, a development server of the Qdrant protocol", Version: protocolVersion}, nil
}
