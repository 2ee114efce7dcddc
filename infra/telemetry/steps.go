package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// Steps gives an interceptor that counts the steps of a worker, logs their ends, and has all that is logged in them name task, build and shard.
func Steps(m *Metrics, log *slog.Logger) interceptor.WorkerInterceptor {
	return &steps{metrics: m, log: log}
}

type steps struct {
	interceptor.WorkerInterceptorBase
	metrics *Metrics
	log     *slog.Logger
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (s *steps) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &step{of: s}
	i.Next = next
	return i
}

type step struct {
	interceptor.ActivityInboundInterceptorBase
	of *steps
}

// Init implements interceptor.ActivityInboundInterceptor.
func (s *step) Init(outbound interceptor.ActivityOutboundInterceptor) error {
	out := &stepOutbound{}
	out.Next = outbound
	return s.Next.Init(out)
}

type stepOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
}

// GetLogger implements interceptor.ActivityOutboundInterceptor.
func (s *stepOutbound) GetLogger(ctx context.Context) sdklog.Logger {
	var with []any
	for _, a := range logged(ctx) {
		with = append(with, a.Key, a.Value.Any())
	}
	return sdklog.With(s.Next.GetLogger(ctx), with...)
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (s *step) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info, m := activity.GetInfo(ctx), s.of.metrics
	about := subjectOf(in.Args)
	ctx = withSubject(ctx, about)
	name := attribute.String("step", info.ActivityType.Name)
	m.running.Add(ctx, 1, metric.WithAttributes(name))
	defer m.running.Add(context.WithoutCancel(ctx), -1, metric.WithAttributes(name))
	start := time.Now()
	result, err := s.Next.ExecuteActivity(ctx, in)
	came, took := stepOutcome(ctx, err), time.Since(start)
	m.steps.Record(ctx, took.Seconds(), metric.WithAttributes(name, attribute.String("outcome", came)))
	args := []any{"step", info.ActivityType.Name, "attempt", info.Attempt, "outcome", came, "seconds", took.Seconds()}
	if counted, ok := result.(interface{ Tally() activities.Tally }); ok && err == nil {
		tally := counted.Tally()
		m.made(ctx, about.Task, name, tally)
		args = append(args, "rows", tally.Rows, "rejected", tally.Rejected)
	}
	m.learn(ctx, in.Args, result)
	s.of.log.InfoContext(ctx, "step ended", args...)
	return result, err
}

func (m *Metrics) made(ctx context.Context, task string, step attribute.KeyValue, t activities.Tally) {
	of := []attribute.KeyValue{attribute.String("task", task), step}
	m.rows.Add(ctx, int64(t.Rows), metric.WithAttributes(of...))
	for reason, n := range t.Rejected {
		m.rejected.Add(ctx, int64(n), metric.WithAttributes(append(of, attribute.String("reason", string(reason)))...))
	}
}

// learn takes in what single steps tell of a whole build.
func (m *Metrics) learn(ctx context.Context, args []any, result any) {
	if len(args) != 1 {
		return
	}
	switch in := args[0].(type) {
	case rebased.BuildResult: // it is being recorded
		m.ended(ctx, in)
	case activities.BatchesInput:
		if polled, ok := result.(activities.PollResult); ok {
			m.sawWaiting(in.Task, in.Build, len(in.Tickets)-len(polled.Ended))
		}
	}
}

// subjectOf tells what a step is about, by its input.
func subjectOf(args []any) activities.Subject {
	if len(args) != 1 {
		return activities.Subject{}
	}
	if result, ok := args[0].(rebased.BuildResult); ok {
		return activities.Subject{Task: result.Task, Build: result.Build}
	}
	if about, ok := args[0].(interface{ Subject() activities.Subject }); ok {
		return about.Subject()
	}
	return activities.Subject{}
}

// stepOutcome is ok, handed_back when the worker stops, canceled, or the kind of the error; failed for an error without a kind.
func stepOutcome(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ok"
	case stopping(ctx):
		return "handed_back"
	case ctx.Err() != nil:
		return "canceled"
	}
	return kindOfError(err)
}

// kindOfError is canceled, or the kind of an error from here or of one that has been in Temporal; failed for an error without a kind.
func kindOfError(err error) string {
	var said *temporal.ApplicationError
	switch {
	case temporal.IsCanceledError(err):
		return "canceled"
	case errors.As(err, &said) && said.Type() != "":
		return said.Type()
	}
	return outcome(err)
}

func stopping(ctx context.Context) bool {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return true
	default:
		return false
	}
}
