package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	temporaltrace "go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
)

const scope = "github.com/rebased/rebased"

// Traces makes the spans of a program. The zero value makes none.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// OpenTraces sends spans to the collector that the environment names (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT), over HTTP; without
// one there are none. Sampling is that of OTEL_TRACES_SAMPLER. Nothing is connected to yet. Invalid: the settings cannot be used.
func OpenTraces(ctx context.Context, service string, getenv func(string) string) (*Traces, error) {
	sends, err := settings(getenv).sends("TRACES")
	if err != nil || !sends {
		return &Traces{}, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, invalid("traces", err)
	}
	return NewTraces(ctx, service, sdktrace.WithBatcher(exporter))
}

// NewTraces makes spans for the processor that an option names.
func NewTraces(ctx context.Context, service string, to sdktrace.TracerProviderOption) (*Traces, error) {
	who, err := describe(ctx, service)
	if err != nil {
		return nil, invalid("traces", err)
	}
	provider := sdktrace.NewTracerProvider(to, sdktrace.WithResource(who))
	return &Traces{provider: provider, tracer: provider.Tracer(scope)}, nil
}

// On tells whether there are spans at all.
func (t *Traces) On() bool { return t.provider != nil }

// Close sends what is left, until ctx ends.
func (t *Traces) Close(ctx context.Context) error {
	if !t.On() {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Temporal makes a client, and the workers that use it, carry traces from whoever starts a workflow through its steps.
func (t *Traces) Temporal(o *client.Options) error {
	if !t.On() {
		return nil
	}
	traced, err := temporaltrace.NewTracingInterceptor(temporaltrace.TracerOptions{
		Tracer: t.tracer, SpanStarter: startQuiet, DisableQueryTracing: true, DisableBaggage: true, AllowInvalidParentSpans: true, TextMapPropagator: propagation.TraceContext{},
	})
	if err != nil {
		return invalid("traces", err)
	}
	o.Interceptors = append(o.Interceptors, nightly{traced})
	return nil
}

// startQuiet starts spans that say of an error what kind it is.
func startQuiet(ctx context.Context, tracer trace.Tracer, name string, options ...trace.SpanStartOption) trace.Span {
	_, span := tracer.Start(ctx, name, options...) //nolint:spancheck // ends with what it is of
	return &quiet{Span: span}                      //nolint:spancheck // see above
}

// quiet is a span that leaves the text of errors out: they repeat what servers say, which may be what rows and prompts say, and Temporal itself is given
// them encrypted where there are keys.
type quiet struct {
	trace.Span
	kind string
}

// RecordError implements trace.Span.
func (q *quiet) RecordError(err error, _ ...trace.EventOption) {
	if err != nil {
		q.kind = kindOfError(err)
		q.SetAttributes(attribute.String("rebased.outcome", q.kind))
	}
}

// SetStatus implements trace.Span.
func (q *quiet) SetStatus(code codes.Code, _ string) { q.Span.SetStatus(code, q.kind) }

// nightly leaves schedules untraced: all nights would be one trace, that of the command which made the schedule. Each is a trace of its own.
type nightly struct{ interceptor.Interceptor }

// InterceptClient implements interceptor.ClientInterceptor.
func (n nightly) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	return unscheduled{n.Interceptor.InterceptClient(next), next}
}

type unscheduled struct {
	interceptor.ClientOutboundInterceptor
	next interceptor.ClientOutboundInterceptor
}

// CreateSchedule implements interceptor.ClientOutboundInterceptor.
func (u unscheduled) CreateSchedule(ctx context.Context, in *interceptor.ScheduleClientCreateInput) (client.ScheduleHandle, error) {
	return u.next.CreateSchedule(ctx, in)
}

// start begins a span of a call to another system.
func (t *Traces) start(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, func(outcome string)) {
	if !t.On() {
		return ctx, func(string) {}
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...)) //nolint:spancheck // ends with the call
	return ctx, func(outcome string) {                                                                                    //nolint:spancheck // see above
		span.SetAttributes(attribute.String("rebased.outcome", outcome))
		switch outcome {
		case "ok", "not_found", "conflict": // answers, to who asks for them
		default:
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}
}

// Transport gives a span to each request to a server: its method, host and status, and nothing of what is sent or answered. The trace is not passed on: the
// servers are other people's.
func (t *Traces) Transport(next http.RoundTripper) http.RoundTripper {
	if !t.On() {
		return next
	}
	return transport{t, next}
}

type transport struct {
	traces *Traces
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := t.traces.tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname()),
	))
	defer span.End()
	response, err := t.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		span.SetStatus(codes.Error, "no answer")
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	if response.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, response.Status[:min(3, len(response.Status))])
	}
	return response, nil
}
