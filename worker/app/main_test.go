package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/rebased/rebased/infra/telemetry"
)

// start runs the program with the least of settings and more; no server listens at any address.
func start(t *testing.T, args []string, more ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	environ := append([]string{"TEMPORAL_ADDRESS=" + closedAddress(t), "REBASED_HEALTH_ADDR=off"}, needed...)
	var out, errs bytes.Buffer
	status = Main(t.Context(), args, append(environ, more...), &out, &errs)
	return status, out.String(), errs.String()
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestHelpGoesToStandardOutputOnce(t *testing.T) {
	for _, arg := range []string{"--help", "-h"} {
		status, stdout, stderr := start(t, []string{arg})
		if status != 0 || stderr != "" || strings.Count(stdout, "rebased-worker runs") != 1 {
			t.Errorf("%s: status %d, standard error %q, standard output\n%s", arg, status, stderr, stdout)
		}
		for _, name := range []string{"TEMPORAL_*", "REBASED_STORE", "AWS_*", "QDRANT_URL", "OPENAI_BASE_URL", "REBASED_TEACHER_ORIGINS", "REBASED_HEALTH_ADDR"} {
			if !strings.Contains(stdout, name) {
				t.Errorf("%s does not name %s", arg, name)
			}
		}
	}
}

func TestWhatIsWrongIsSaidInOneLineAndInTheStatus(t *testing.T) {
	for name, c := range map[string]struct {
		args, environ []string
		status        int
		says          string
	}{
		"argument":     {[]string{"serve"}, nil, 2, `takes no argument, got "serve": see --help`},
		"flag":         {[]string{"--port", "1"}, nil, 2, "-port: see --help"},
		"no store":     {nil, []string{"REBASED_STORE="}, 2, "REBASED_STORE"},
		"no bucket":    {nil, []string{"REBASED_STORE=bucket"}, 2, "REBASED_STORE"},
		"no Qdrant":    {nil, []string{"QDRANT_URL="}, 2, "QDRANT_URL"},
		"odd Qdrant":   {nil, []string{"QDRANT_URL=127.0.0.1:6334"}, 2, "QDRANT_URL"},
		"odd origin":   {nil, []string{"REBASED_TEACHER_ORIGINS=x"}, 2, "REBASED_TEACHER_ORIGINS"},
		"odd key":      {nil, []string{"REBASED_PAYLOAD_KEYS=k1=c2hvcnQ="}, 2, `REBASED_PAYLOAD_KEYS: key "k1": has 5 bytes`},
		"no version":   {nil, []string{"TEMPORAL_DEPLOYMENT_NAME=rebased"}, 2, "TEMPORAL_WORKER_BUILD_ID"},
		"odd log":      {nil, []string{"REBASED_LOG=yaml"}, 2, "REBASED_LOG"},
		"odd grace":    {nil, []string{"REBASED_STOP_GRACE_SECONDS=-1"}, 2, "REBASED_STOP_GRACE_SECONDS"},
		"odd exporter": {nil, []string{"OTEL_METRICS_EXPORTER=console"}, 2, "OTEL_METRICS_EXPORTER"},
		"odd protocol": {nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, 2, "http/protobuf"},
		"Temporal off": {nil, nil, 1, "check TEMPORAL_ADDRESS"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := start(t, c.args, c.environ...)
			if status != c.status || stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("status %d, want %d; standard output %q, standard error %q, want %q", status, c.status, stdout, stderr, c.says)
			}
			if !strings.HasPrefix(stderr, "rebased-worker: ") || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
				t.Errorf("not one line of the program: %q", stderr)
			}
		})
	}
}

func TestTemporalThatIsDownIsNamedByItsAddress(t *testing.T) {
	address := closedAddress(t)
	_, _, stderr := start(t, nil, "TEMPORAL_ADDRESS="+address)
	if !strings.Contains(stderr, "reach Temporal at "+address) {
		t.Errorf("got %q", stderr)
	}
}

func TestEveryStepHasANameOfItsOwn(t *testing.T) {
	s := settingsOf(t)
	t.Setenv("AWS_REGION", "us-east-1")
	log := slog.New(slog.DiscardHandler)
	seen, err := telemetry.Open(t.Context(), program, func(string) string { return "" }, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := open(t.Context(), s, seen)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.index.Close()
	lazy, err := client.NewLazyClient(client.Options{HostPort: closedAddress(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer lazy.Close()
	if err := ports.register(worker.New(lazy, "steps", worker.Options{}), lazy, log); err != nil { // panics when two steps have one name
		t.Error(err)
	}
}

func TestHealthAndMetricsAreServedUntilClosed(t *testing.T) {
	registry := prometheus.NewRegistry()
	if _, err := telemetry.Open(t.Context(), program, func(string) string { return "" }, registry, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ready := &readiness{now: time.Now}
	ready.polls(true)
	h, err := newHealth(t.Context(), "127.0.0.1:0", registry, ready)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.serve() }()
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "", "/metrics": "go_goroutines"} {
		reply, err := http.Get("http://" + h.listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(reply.Body)
		_ = reply.Body.Close()
		if reply.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %.200q", path, reply.Status, body)
		}
	}
	h.close(context.WithoutCancel(t.Context()))
	if err := <-ended; err != nil {
		t.Errorf("closed, it ends with %v", err)
	}
}

func TestAHealthAddressInUseNamesItsSetting(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = newHealth(t.Context(), listener.Addr().String(), prometheus.NewRegistry(), &readiness{})
	if err == nil || !strings.Contains(err.Error(), "REBASED_HEALTH_ADDR") || !strings.Contains(err.Error(), listener.Addr().String()) {
		t.Errorf("got %v", err)
	}
}
