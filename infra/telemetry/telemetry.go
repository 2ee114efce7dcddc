package telemetry

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.temporal.io/sdk/client"
)

// Telemetry is all that a worker shows of itself.
type Telemetry struct {
	*Metrics
	Traces *Traces
}

// Open makes metrics and traces, see OpenMetrics and OpenTraces. What a collector does not take is logged as a warning.
func Open(ctx context.Context, service string, getenv func(string) string, registry *prometheus.Registry, log *slog.Logger) (*Telemetry, error) {
	Undelivered(func(err error) { log.Warn("telemetry was not delivered", "error", err) })
	traces, err := OpenTraces(ctx, service, getenv)
	if err != nil {
		return nil, err
	}
	metrics, err := OpenMetrics(ctx, service, getenv, registry)
	if err != nil {
		return nil, err
	}
	return &Telemetry{Metrics: metrics, Traces: traces}, nil
}

// Undelivered has tell told, for the whole program, of what a collector did not take. Until it is called OpenTelemetry writes it to standard error as it is.
func Undelivered(tell func(error)) { otel.SetErrorHandler(otel.ErrorHandlerFunc(tell)) }

// Close sends what is left, until ctx ends.
func (t *Telemetry) Close(ctx context.Context) error {
	return errors.Join(t.Metrics.Close(ctx), t.Traces.Close(ctx))
}

// Temporal has a client, and the workers that use it, counted and traced.
func (t *Telemetry) Temporal(o *client.Options) error {
	t.Metrics.Temporal(o)
	return t.Traces.Temporal(o)
}

// Watch counts the requests to a system, and gives each a span.
func (t *Telemetry) Watch(system string) func(ctx context.Context, operation string) (context.Context, func(error)) {
	return t.Metrics.Watch(system, t.Traces)
}
