package telemetry

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.txt")

func noEnv(string) string { return "" }

// counted are metrics and what they are shown through.
func counted(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	m, err := OpenMetrics(t.Context(), "test", noEnv, registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.WithoutCancel(t.Context())) })
	return m, registry
}

// series gives all series of a registry as a scrape shows them, histograms by their count, without the labels of the process itself.
func series(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch f.GetType() {
			case dto.MetricType_HISTOGRAM:
				out[name] = float64(m.GetHistogram().GetSampleCount())
			case dto.MetricType_COUNTER:
				out[name] = m.GetCounter().GetValue()
			default:
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

var payerOf = llm.Payer{Task: "squad", Step: "transform", Model: "small"}

// failure is what an adapter says of an HTTP status.
type failure int

func (f failure) Error() string   { return "HTTP " + http.StatusText(int(f)) }
func (f failure) HTTPStatus() int { return int(f) }

// everything has each metric counted once.
func everything(t *testing.T, m *Metrics) {
	t.Helper()
	ctx := t.Context()
	m.Asked(ctx, llm.Call{Payer: payerOf, Took: 3 * time.Second, Spent: llm.Spent{InputTokens: 100, OutputTokens: 20, Pico: 5e11}})
	m.Asked(ctx, llm.Call{Payer: payerOf, Retry: true, ReAsk: true, Err: &rebased.Error{Kind: rebased.Throttled, Err: failure(429)}})
	m.Asked(ctx, llm.Call{Payer: payerOf, Err: rebased.E(rebased.Unavailable, "no route")})
	m.Reused(ctx, payerOf)
	m.Batched(ctx, payerOf, llm.BatchSubmitted)
	m.BatchAnswered(ctx, payerOf, llm.Spent{InputTokens: 10, OutputTokens: 2, Pico: 25e10})
	m.sawWaiting("squad", "b1", 3)
	m.ended(ctx, rebased.BuildResult{Task: "squad", State: rebased.StateReleased, Seconds: 120})
	for _, system := range []string{S3, Qdrant} {
		_, done := m.Watch(system, &Traces{})(ctx, "get")
		done(nil)
	}
	if err := m.WatchTraffic(func() []llm.Line {
		return []llm.Line{{Model: "small", InFlight: 3, Window: 8, Rate: 2, Waiting: 1}, {Model: "small", InFlight: 2, Window: 4}}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCallsTokensAndMoneyAreCounted(t *testing.T) {
	m, registry := counted(t)
	everything(t, m)
	got := series(t, registry)
	for name, want := range map[string]float64{
		`rebased_teacher_call_duration_seconds{model="small",outcome="ok",status="2xx",step="transform"}`:           1,
		`rebased_teacher_call_duration_seconds{model="small",outcome="throttled",status="4xx",step="transform"}`:    1,
		`rebased_teacher_call_duration_seconds{model="small",outcome="unavailable",status="none",step="transform"}`: 1,
		`rebased_teacher_retries_total{model="small",step="transform"}`:                                             1,
		`rebased_teacher_reasks_total{model="small",step="transform"}`:                                              1,
		`rebased_stored_answers_total{model="small",step="transform",task="squad"}`:                                 1,
		`rebased_tokens_total{direction="input",model="small",step="transform",task="squad"}`:                       110,
		`rebased_tokens_total{direction="output",model="small",step="transform",task="squad"}`:                      22,
		`rebased_cost_usd_total{model="small",step="transform",task="squad"}`:                                       0.75,
		`rebased_batches_total{event="submitted",model="small"}`:                                                    1,
		`rebased_batches_waiting{task="squad"}`:                                                                     3,
		`rebased_batch_answers_total{model="small",step="transform"}`:                                               1,
		`rebased_build_duration_seconds{state="released",task="squad"}`:                                             1,
		`rebased_s3_request_duration_seconds{operation="get",outcome="ok"}`:                                         1,
		`rebased_teacher_in_flight{model="small"}`:                                                                  5,
		`rebased_teacher_window{model="small"}`:                                                                     12,
		`rebased_teacher_rate_limit{model="small"}`:                                                                 2,
		`rebased_teacher_waiting{model="small"}`:                                                                    1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	m.sawWaiting("squad", "b1", 0)
	if _, there := series(t, registry)[`rebased_batches_waiting{task="squad"}`]; there {
		t.Error("a build that waits for no batch is still counted")
	}
}

// Dashboards and alerts are held to this list, see infra/deploy.
func TestTheListOfMetricsIsComplete(t *testing.T) {
	m, registry := counted(t)
	everything(t, m)
	runSteps(t, m, slog.New(slog.DiscardHandler))
	const path = "testdata/metrics.txt"
	body, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	// What workflows and the SDK count is shown by a worker alone: the end-to-end tests hold these lines to one.
	var elsewhere []string
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "temporal_") || strings.HasPrefix(line, "rebased_build_states") {
			elsewhere = append(elsewhere, strings.TrimSpace(line))
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	lines := elsewhere
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "rebased_") && !slices.Contains([]string{"process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines", "go_memstats_heap_inuse_bytes"}, f.GetName()) {
			continue
		}
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		names := slices.Sorted(maps.Keys(labels))
		lines = append(lines, strings.TrimSpace(f.GetName()+" "+strings.ToLower(f.GetType().String())+" "+strings.Join(names, ",")))
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(body) {
		t.Errorf("%s is not what a worker shows, rewrite it with -update:\n%s", path, got)
	}
}

func TestNamesWithoutEndMakeAFiniteNumberOfSeries(t *testing.T) {
	m, registry := counted(t)
	for n := range 3 * maxSeries {
		m.Reused(t.Context(), llm.Payer{Task: fmt.Sprint("t", n), Step: "transform", Model: "small"})
	}
	n, sum := 0, 0.0
	for name, value := range series(t, registry) {
		if strings.HasPrefix(name, "rebased_stored_answers_total{") {
			n, sum = n+1, sum+value
		}
	}
	if n > maxSeries || sum != 3*maxSeries {
		t.Errorf("%d series, at most %d; they add up to %v, want %d", n, maxSeries, sum, 3*maxSeries)
	}
}

// collector is an OTLP collector on loopback.
type collector struct {
	mu      sync.Mutex
	metrics []string
	spans   []string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
		if err != nil {
			t.Error(err)
		}
		c.take(t, r.URL.Path, body)
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return c
}

func (c *collector) take(t *testing.T, path string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path {
	case "/v1/metrics":
		var in collectormetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &in); err != nil {
			t.Error(err)
		}
		for _, r := range in.GetResourceMetrics() {
			for _, s := range r.GetScopeMetrics() {
				for _, m := range s.GetMetrics() {
					c.metrics = append(c.metrics, m.GetName())
				}
			}
		}
	case "/v1/traces":
		var in collectortrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &in); err != nil {
			t.Error(err)
		}
		for _, r := range in.GetResourceSpans() {
			for _, s := range r.GetScopeSpans() {
				for _, span := range s.GetSpans() {
					c.spans = append(c.spans, span.GetName())
				}
			}
		}
	default:
		t.Errorf("sent to %s", path)
	}
}

func TestACollectorGetsMetricsAndTraces(t *testing.T) {
	c := newCollector(t)
	seen, err := Open(t.Context(), "test", os.Getenv, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	everything(t, seen.Metrics)
	_, done := seen.Watch(S3)(t.Context(), "put")
	done(nil)
	if err := seen.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(c.metrics, "rebased_cost_usd") || !slices.Equal(c.spans, []string{"s3 put"}) {
		t.Errorf("metrics %v, spans %v", c.metrics, c.spans)
	}
}

func TestNothingIsSentUnlessACollectorIsNamed(t *testing.T) {
	for name, environ := range map[string]map[string]string{
		"none":     {},
		"disabled": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		"switched": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
		"other":    {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"},
	} {
		traces, err := OpenTraces(t.Context(), "test", func(name string) string { return environ[name] })
		if err != nil || traces.On() {
			t.Errorf("%s: on %v, %v", name, traces.On(), err)
		}
	}
}
