package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// collector is an OTLP collector on loopback.
type collector struct {
	url string

	mu      sync.Mutex
	spans   []*tracepb.Span
	of      map[string]string // service by span id
	metrics map[string]bool
	said    strings.Builder // all that came, as text
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{of: map[string]string{}, metrics: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
		if err == nil {
			err = c.take(r.URL.Path, body)
		}
		if err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) take(path string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path {
	case "/v1/traces":
		var in collectortrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &in); err != nil {
			return err
		}
		fmt.Fprint(&c.said, in.String())
		for _, r := range in.GetResourceSpans() {
			service := ""
			for _, a := range r.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					service = a.GetValue().GetStringValue()
				}
			}
			for _, s := range r.GetScopeSpans() {
				for _, span := range s.GetSpans() {
					c.spans = append(c.spans, span)
					c.of[string(span.GetSpanId())] = service
				}
			}
		}
		return nil
	case "/v1/metrics":
		var in collectormetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &in); err != nil {
			return err
		}
		fmt.Fprint(&c.said, in.String())
		for _, r := range in.GetResourceMetrics() {
			for _, s := range r.GetScopeMetrics() {
				for _, m := range s.GetMetrics() {
					c.metrics[m.GetName()] = true
				}
			}
		}
		return nil
	}
	return fmt.Errorf("nothing is expected here")
}

// chain tells whether spans of these names stand under each other, the first without a parent.
func (c *collector) chain(names ...string) bool {
	byID := map[string]*tracepb.Span{}
	for _, s := range c.spans {
		byID[string(s.GetSpanId())] = s
	}
	for _, s := range c.spans {
		at, i := s, len(names)-1
		for ; at != nil && i >= 0 && at.GetName() == names[i] && string(at.GetTraceId()) == string(s.GetTraceId()); i-- {
			at = byID[string(at.GetParentSpanId())]
		}
		if i < 0 && at == nil {
			return true
		}
	}
	return false
}

// TestABuildIsOneTraceFromTheCommandToTheProviderAndItsMetricsAreCollected also holds what is shown to what must never be: keys and prompts.
func TestABuildIsOneTraceFromTheCommandToTheProviderAndItsMetricsAreCollected(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s, task := demoStack(t, stacktest.Options{Env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url, "REBASED_LOG=debug"}}, 200, map[string]any{
		"reason": map[string]any{"mode": "rationale"},
	})
	built := result(t, must(t, s, "build", "-f", task, "--json"))
	worker := "http://" + s.Folder().Ports.Address(folder.Worker)
	if status, body := fetch(t, worker+"/readyz"); status != http.StatusOK {
		t.Errorf("the worker is not ready: %d %s", status, body)
	}
	_, scraped := fetch(t, worker+"/metrics")
	for line := range strings.Lines(metricsList(t)) {
		fields := strings.Fields(line)
		if strings.HasPrefix(fields[0], "temporal_") || strings.HasPrefix(fields[0], "rebased_build_states") {
			checkShown(t, scraped, fields[0], fields[1], strings.Split(fields[2], ","))
		}
	}
	if found := fmt.Sprintf(`rebased_rows_total{step="Rank",task="demo"} %d`, built.Retrieved); !strings.Contains(scraped, found) {
		t.Errorf("the scrape has no line %s", found)
	}
	status, log := s.StopWorker()
	if status != 0 {
		t.Errorf("the worker ended with status %d", status)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	for _, names := range [][]string{
		{"StartWorkflow:BuildDataset", "RunWorkflow:BuildDataset", "StartActivity:TransformShard", "RunActivity:TransformShard", "POST"},
		{"StartWorkflow:BuildDataset", "RunWorkflow:BuildDataset", "StartActivity:Rank", "RunActivity:Rank", "qdrant query"},
		{"StartWorkflow:BuildDataset", "RunWorkflow:BuildDataset", "StartActivity:Stage", "RunActivity:Stage", "s3 put"},
	} {
		if !c.chain(names...) {
			t.Errorf("no spans stand under each other as %v", names)
		}
	}
	services := map[string]string{}
	for _, span := range c.spans {
		services[span.GetName()] = c.of[string(span.GetSpanId())]
	}
	if services["StartWorkflow:BuildDataset"] != "rebased" || services["POST"] != "rebased-worker" {
		t.Errorf("who made the spans: %v", services)
	}
	for _, name := range []string{"rebased_tokens", "rebased_step_duration", "temporal_activity_execution_latency"} {
		if !c.metrics[name] {
			t.Errorf("the collector got no %s", name)
		}
	}
	if t.Failed() {
		names := map[string]int{}
		for _, span := range c.spans {
			names[span.GetName()]++
		}
		t.Logf("spans: %v", names)
		for line := range strings.Lines(scraped) {
			if strings.HasPrefix(line, "# TYPE temporal_") || strings.HasPrefix(line, "temporal_num_pollers") || strings.HasPrefix(line, "rebased_build_states") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
	for what, text := range map[string]string{"telemetry": c.said.String(), "log": log, "scrape": scraped} {
		for _, secret := range []string{s.Folder().Credentials.TeacherAPIKey, s.Folder().Credentials.S3SecretKey, s.Folder().Credentials.QdrantAPIKey, instructionOf(t, task)} {
			if secret == "" || strings.Contains(text, secret) {
				t.Errorf("%s holds a key or a prompt: %.20q", what, secret)
			}
		}
	}
	for _, part := range []string{`"task":"demo"`, `"build":"` + built.Build + `"`, `"shard":"0"`, `"TraceID":"`} {
		if !slices.ContainsFunc(strings.Split(log, "\n"), func(line string) bool { return strings.Contains(line, "step ended") && strings.Contains(line, part) }) {
			t.Errorf("no line of the log names %s", part)
		}
	}
}

// checkShown fails unless a scrape has a metric, of a type and with these labels among others.
func checkShown(t *testing.T, scraped, name, kind string, labels []string) {
	t.Helper()
	if !strings.Contains(scraped, "# TYPE "+name+" "+kind+"\n") {
		t.Errorf("a worker shows no %s %s", kind, name)
		return
	}
	_, sample, _ := strings.Cut(scraped, "# TYPE "+name+" "+kind+"\n")
	sample, _, _ = strings.Cut(sample, "\n")
	for _, label := range labels {
		if !strings.Contains(sample, label+`="`) {
			t.Errorf("%s has no label %s: %s", name, label, sample)
		}
	}
}

// metricsList is what dashboards and alerts are held to.
func metricsList(t *testing.T) string {
	t.Helper()
	body, err := os.ReadFile("../../telemetry/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// instructionOf is a task's instruction, which stands in every prompt.
func instructionOf(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var task struct{ Instruction string }
	if err := json.Unmarshal(body, &task); err != nil {
		t.Fatal(err)
	}
	return task.Instruction
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}
