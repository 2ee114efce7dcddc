package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health serves /healthz (200 while the program runs), /readyz (200 while it can work) and /metrics (Prometheus).
type health struct {
	server   *http.Server
	listener net.Listener
}

func newHealth(ctx context.Context, address string, registry *prometheus.Registry, ready http.Handler) (*health, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve health on %s: %w: set REBASED_HEALTH_ADDR to a free address or to off", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return &health{server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, listener: listener}, nil
}

func (h *health) serve() error {
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health: %w", err)
	}
	return nil
}

func (h *health) close(ctx context.Context) { _ = h.server.Shutdown(ctx) }
