package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

var shard = activities.ShardInput{BuildRef: activities.BuildRef{Task: "squad", Build: "b1"}, Shard: 3}

// shardStep is a step that makes 7 rows and rejects 2.
func shardStep(ctx context.Context, in activities.ShardInput) (activities.ShardResult, error) {
	activity.GetLogger(ctx).Info("under way")
	if in.Build == "bad" {
		return activities.ShardResult{}, temporal.NewNonRetryableApplicationError("no", string(rebased.Unauthorized), errors.New("no"))
	}
	return activities.ShardResult{Rows: 7, Rejected: map[rebased.Reason]int{rebased.ReasonTooLong: 2}}, nil
}

// runSteps runs a step that succeeds and one that fails.
func runSteps(t *testing.T, m *Metrics, log *slog.Logger) {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(sdklog.NewStructuredLogger(log))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{Steps(m, log)}})
	env.RegisterActivityWithOptions(shardStep, activity.RegisterOptions{Name: "TransformShard"})
	if _, err := env.ExecuteActivity("TransformShard", shard); err != nil {
		t.Fatal(err)
	}
	bad := shard
	bad.Build = "bad"
	if _, err := env.ExecuteActivity("TransformShard", bad); err == nil {
		t.Fatal("it was to fail")
	}
}

func TestStepsAreCountedWithTheirRowsAndRejects(t *testing.T) {
	m, registry := counted(t)
	runSteps(t, m, slog.New(slog.DiscardHandler))
	got := series(t, registry)
	for name, want := range map[string]float64{
		`rebased_step_duration_seconds{outcome="ok",step="TransformShard"}`:           1,
		`rebased_step_duration_seconds{outcome="unauthorized",step="TransformShard"}`: 1,
		`rebased_steps_running{step="TransformShard"}`:                                0,
		`rebased_rows_total{step="TransformShard",task="squad"}`:                      7,
		`rebased_rejects_total{reason="too_long",step="TransformShard",task="squad"}`: 2,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v (%v), want %v", name, value, there, want)
		}
	}
}

func TestLinesOfAStepNameTaskBuildAndShard(t *testing.T) {
	m, _ := counted(t)
	var out bytes.Buffer
	runSteps(t, m, NewLog(&out, LogForm{}))
	for _, text := range []string{`"msg":"under way"`, `"msg":"step ended"`} {
		at := slices.IndexFunc(strings.Split(out.String(), "\n"), func(line string) bool {
			return strings.Contains(line, text) && strings.Contains(line, `"task":"squad"`) && strings.Contains(line, `"build":"b1"`) && strings.Contains(line, `"shard":"3"`)
		})
		if at < 0 {
			t.Errorf("no line with %s names task, build and shard:\n%s", text, out.String())
		}
	}
}

func TestSecretsAreInNoLine(t *testing.T) {
	const secret = "sk-0123456789"
	for _, form := range []LogForm{{}, {Text: true}} {
		var out bytes.Buffer
		log := NewLog(&out, form, "", secret)
		log.Error("refused", "error", errors.New("key "+secret+" is wrong"), "url", "http://x/?k="+secret)
		log.With("key", secret).Info("asked with " + secret)
		log.Info("asked", "with", map[string][]string{"Authorization": {"Bearer " + secret}}, slog.Group("in", "key", []string{secret}), "bytes", []byte(secret))
		if strings.Contains(out.String(), secret) || strings.Count(out.String(), "***") != 7 {
			t.Errorf("%+v:\n%s", form, out.String())
		}
	}
}

func TestLogFormsAreRead(t *testing.T) {
	for text, want := range map[string]LogForm{
		"": {}, "json": {}, "text": {Text: true}, "text,debug": {Text: true, Level: slog.LevelDebug}, "error": {Level: slog.LevelError},
	} {
		if got, err := ParseLogForm(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"yaml", "json,text", "text,text", "debug,info"} {
		if _, err := ParseLogForm(text); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// sent keeps what a client asks of Temporal, which answers at once.
type sent struct{ requests []any }

func (s *sent) intercept(_ context.Context, _ string, request, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
	s.requests = append(s.requests, request)
	return nil
}

// dialed is a client whose calls are kept.
func dialed(t *testing.T, carries interceptor.ClientInterceptor) (client.Client, *sent) {
	t.Helper()
	s := &sent{}
	c, err := client.NewLazyClient(client.Options{
		Interceptors: []interceptor.ClientInterceptor{carries}, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(s.intercept)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, s
}

// traced makes spans that are kept, and the interceptor that carries them.
func traced(t *testing.T) (*Traces, *tracetest.InMemoryExporter, interceptor.ClientInterceptor) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	traces, err := NewTraces(t.Context(), "test", sdktrace.WithSyncer(spans))
	if err != nil {
		t.Fatal(err)
	}
	var options client.Options
	if err := traces.Temporal(&options); err != nil {
		t.Fatal(err)
	}
	return traces, spans, options.Interceptors[0]
}

func TestOneTraceGoesFromTheStarterToTheCallOfAProvider(t *testing.T) {
	var carried http.Header
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		carried = r.Header.Clone()
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer provider.Close()
	traces, spans, carries := traced(t)
	starter, temporalServer := dialed(t, carries)
	if _, err := starter.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "build/squad/b1", TaskQueue: "rebased"}, "BuildDataset"); err != nil {
		t.Fatal(err)
	}
	start, _ := temporalServer.requests[len(temporalServer.requests)-1].(*workflowservice.StartWorkflowExecutionRequest)

	const prompt = "who wrote it"
	ask := func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, provider.URL+"/v1/chat/completions?x="+"secret", strings.NewReader(prompt))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer secret")
		reply, err := (&http.Client{Transport: traces.Transport(http.DefaultTransport)}).Do(request)
		if err != nil {
			return err
		}
		return reply.Body.Close()
	}
	build := func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 1 << 40})
		return workflow.ExecuteActivity(ctx, "TransformShard").Get(ctx, nil)
	}
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	suite.SetHeader(start.GetHeader())
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{carries.(interceptor.WorkerInterceptor)}})
	env.RegisterActivityWithOptions(ask, activity.RegisterOptions{Name: "TransformShard"})
	env.RegisterWorkflowWithOptions(build, workflow.RegisterOptions{Name: "BuildDataset"})
	env.ExecuteWorkflow("BuildDataset")
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}

	byName := map[string]tracetest.SpanStub{}
	for _, s := range spans.GetSpans() {
		byName[s.Name] = s
		for _, a := range append([]attribute.KeyValue{attribute.String("", s.Name), attribute.String("", s.Status.Description)}, s.Attributes...) {
			if said := a.Value.String(); strings.Contains(said, "secret") || strings.Contains(said, prompt) {
				t.Errorf("span %s says %q", s.Name, said)
			}
		}
	}
	chain := []string{"StartWorkflow:BuildDataset", "RunWorkflow:BuildDataset", "StartActivity:TransformShard", "RunActivity:TransformShard", "POST"}
	for i, name := range chain[1:] {
		span, parent := byName[name], byName[chain[i]]
		if !span.SpanContext.IsValid() || span.SpanContext.TraceID() != parent.SpanContext.TraceID() || span.Parent.SpanID() != parent.SpanContext.SpanID() {
			t.Errorf("%s is not a child of %s: %v, %v", name, chain[i], span.SpanContext, parent.SpanContext)
		}
	}
	if !slices.Contains(byName["POST"].Attributes, attribute.Int("http.response.status_code", http.StatusTooManyRequests)) {
		t.Errorf("the call's span does not say how it was answered: %v", byName["POST"].Attributes)
	}
	if carried.Get("Traceparent") != "" {
		t.Error("the trace is passed on to the provider")
	}
}

func TestASpanSaysOfAnErrorItsKindAlone(t *testing.T) {
	_, spans, carries := traced(t)
	const said = "the server says: who wrote it"
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{carries.(interceptor.WorkerInterceptor)}})
	env.RegisterActivityWithOptions(func(context.Context) error {
		return temporal.NewNonRetryableApplicationError(said, string(rebased.Invalid), errors.New(said))
	}, activity.RegisterOptions{Name: "TransformShard"})
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 1 << 40})
		return workflow.ExecuteActivity(ctx, "TransformShard").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "BuildDataset"})
	env.ExecuteWorkflow("BuildDataset")
	if env.GetWorkflowError() == nil {
		t.Fatal("no error")
	}
	var failed []string
	for _, s := range spans.GetSpans() {
		for _, e := range s.Events {
			t.Errorf("span %s has an event %s: %v", s.Name, e.Name, e.Attributes)
		}
		if s.Status.Description != "" {
			failed = append(failed, s.Name+" "+s.Status.Description)
		}
	}
	slices.Sort(failed)
	if want := []string{"RunActivity:TransformShard " + string(rebased.Invalid), "RunWorkflow:BuildDataset " + string(rebased.Invalid)}; !slices.Equal(failed, want) {
		t.Errorf("got %q, want %q", failed, want)
	}
}

func TestAScheduleCarriesNoTrace(t *testing.T) {
	_, _, carries := traced(t)
	starter, temporalServer := dialed(t, carries)
	_, err := starter.ScheduleClient().Create(t.Context(), client.ScheduleOptions{ID: "s", Action: &client.ScheduleWorkflowAction{
		ID: "build/squad", Workflow: "BuildDataset", TaskQueue: "rebased",
	}})
	if err != nil {
		t.Fatal(err)
	}
	create, _ := temporalServer.requests[len(temporalServer.requests)-1].(*workflowservice.CreateScheduleRequest)
	if carried := create.GetSchedule().GetAction().GetStartWorkflow().GetHeader().GetFields(); create == nil || len(carried) > 0 {
		t.Errorf("all nights would be one trace: %v", carried)
	}
}
