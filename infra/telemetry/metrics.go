package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	temporalmetric "go.temporal.io/sdk/contrib/opentelemetry"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

var _ llm.Observer = (*Metrics)(nil)

// maxSeries bounds the label values of one metric: what comes beyond is counted in one series with the label otel_metric_overflow. Labels are names of steps,
// models, tasks, reasons and kinds of error, never what a row, a prompt or an answer says.
const maxSeries = 1000

// picosPerUSD is how many picodollars are a dollar.
const picosPerUSD = 1e12

// Bounds of histograms, in seconds.
var (
	callSeconds  = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160}
	storeSeconds = []float64{0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30}
	stepSeconds  = []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400}
	sdkSeconds   = []float64{0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600, 3600}
	buildSeconds = []float64{60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400}
)

// Metrics counts what a worker does.
type Metrics struct {
	provider *sdkmetric.MeterProvider
	meter    metric.Meter

	steps        metric.Float64Histogram
	running      metric.Int64UpDownCounter
	rows         metric.Int64Counter
	rejected     metric.Int64Counter
	calls        metric.Float64Histogram
	retries      metric.Int64Counter
	reAsks       metric.Int64Counter
	reused       metric.Int64Counter
	tokens       metric.Int64Counter
	cost         metric.Float64Counter
	batches      metric.Int64Counter
	batchAnswers metric.Int64Counter
	builds       metric.Float64Histogram
	requests     map[string]metric.Float64Histogram // by system

	mu      sync.Mutex
	waiting map[string]waiting // batches, by build
}

// waiting is how many batches a build was seen to wait for.
type waiting struct {
	task string
	n    int
	at   time.Time
}

// Systems whose requests are counted.
const (
	S3     = "s3"
	Qdrant = "qdrant"
)

// OpenMetrics makes metrics that a registry shows to Prometheus and that go to the collector that the environment names (OTEL_EXPORTER_OTLP_ENDPOINT,
// OTEL_EXPORTER_OTLP_METRICS_ENDPOINT), over HTTP, if it names one. Nothing is connected to yet. Invalid: the settings cannot be used.
func OpenMetrics(ctx context.Context, service string, getenv func(string) string, registry *prometheus.Registry) (*Metrics, error) {
	who, err := describe(ctx, service)
	if err != nil {
		return nil, invalid("metrics", err)
	}
	shown, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, invalid("metrics", err)
	}
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options := []sdkmetric.Option{
		sdkmetric.WithResource(who), sdkmetric.WithReader(shown), sdkmetric.WithCardinalityLimit(maxSeries),
		sdkmetric.WithView(sdkmetric.NewView(
			sdkmetric.Instrument{Name: "temporal_*", Kind: sdkmetric.InstrumentKindHistogram},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: sdkSeconds}},
		)),
	}
	sends, err := settings(getenv).sends("METRICS")
	if err != nil {
		return nil, err
	}
	if sends {
		exporter, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, invalid("metrics", err)
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	}
	provider := sdkmetric.NewMeterProvider(options...)
	m := &Metrics{provider: provider, meter: provider.Meter(scope), waiting: map[string]waiting{}}
	return m, m.instruments()
}

// maker makes instruments and keeps their errors.
type maker struct {
	metric.Meter
	errs []error
}

func kept[T any](m *maker) func(T, error) T {
	return func(instrument T, err error) T {
		m.errs = append(m.errs, err)
		return instrument
	}
}

func (m *maker) seconds(name, what string, bounds []float64) metric.Float64Histogram {
	return kept[metric.Float64Histogram](m)(m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), metric.WithExplicitBucketBoundaries(bounds...)))
}

func (m *maker) count(name, what string) metric.Int64Counter {
	return kept[metric.Int64Counter](m)(m.Int64Counter(name, metric.WithDescription(what)))
}

func (m *Metrics) instruments() error {
	in := &maker{Meter: m.meter}
	m.steps = in.seconds("rebased_step_duration", "Steps that have ended, by outcome.", stepSeconds)
	m.running = kept[metric.Int64UpDownCounter](in)(m.meter.Int64UpDownCounter("rebased_steps_running", metric.WithDescription("Steps under way.")))
	m.rows = in.count("rebased_rows", "Rows that steps have made.")
	m.rejected = in.count("rebased_rejects", "Rows that steps have rejected, by reason.")
	m.calls = in.seconds("rebased_teacher_call_duration", "Requests to teachers, by outcome and class of the HTTP status.", callSeconds)
	m.retries = in.count("rebased_teacher_retries", "Requests that were sent again since they were not answered.")
	m.reAsks = in.count("rebased_teacher_reasks", "Requests that were sent since an answer was of no use.")
	m.reused = in.count("rebased_stored_answers", "Answers that were found stored, and not paid.")
	m.tokens = in.count("rebased_tokens", "Tokens that were paid for.")
	m.cost = kept[metric.Float64Counter](in)(m.meter.Float64Counter("rebased_cost_usd", metric.WithDescription("Money spent on answers, by the worker's price table.")))
	m.batches = in.count("rebased_batches", "Batches of a provider, by what became of them.")
	m.batchAnswers = in.count("rebased_batch_answers", "Answers that came in with batches.")
	m.builds = in.seconds("rebased_build_duration", "Builds that have ended, by their last state.", buildSeconds)
	m.requests = map[string]metric.Float64Histogram{
		S3:     in.seconds("rebased_s3_request_duration", "Requests to the bucket, each attempt one.", storeSeconds),
		Qdrant: in.seconds("rebased_qdrant_request_duration", "Requests to Qdrant.", storeSeconds),
	}
	version, revision, goVersion := build()
	about := metric.WithAttributes(attribute.String("version", version), attribute.String("revision", revision), attribute.String("go", goVersion))
	kept[metric.Int64ObservableGauge](in)(m.meter.Int64ObservableGauge("rebased_worker_info", metric.WithDescription("The program that runs."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(1, about)
			return nil
		})))
	kept[metric.Int64ObservableGauge](in)(m.meter.Int64ObservableGauge("rebased_batches_waiting",
		metric.WithDescription("Batches that builds wait for, as this worker saw last."), metric.WithInt64Callback(m.observeWaiting)))
	return errors.Join(in.errs...)
}

// Close sends what is left, until ctx ends.
func (m *Metrics) Close(ctx context.Context) error { return m.provider.Shutdown(ctx) }

// Temporal makes a client, and the workers that use it, count what the SDK counts, as temporal_*, and what workflows count.
func (m *Metrics) Temporal(o *client.Options) {
	o.MetricsHandler = temporalmetric.NewMetricsHandler(temporalmetric.MetricsHandlerOptions{
		Meter: m.meter, UseMonotonicCounters: true, OnError: func(error) {}, // the SDK's own names are valid
	})
}

// WatchTraffic shows how calls to teachers fare.
func (m *Metrics) WatchTraffic(lines func() []llm.Line) error {
	in := &maker{Meter: m.meter}
	gauge := func(name, what string) metric.Float64ObservableGauge {
		return kept[metric.Float64ObservableGauge](in)(m.meter.Float64ObservableGauge(name, metric.WithDescription(what)))
	}
	inFlight := gauge("rebased_teacher_in_flight", "Calls under way.")
	queued := gauge("rebased_teacher_waiting", "Calls that wait to be sent.")
	window := gauge("rebased_teacher_window", "The most calls that may be under way, as the pace has found out.")
	rate := gauge("rebased_teacher_rate_limit", "Calls a second that are sent at most; 0 = no limit is known.")
	observe := func(_ context.Context, o metric.Observer) error {
		for model, l := range byModel(lines()) {
			of := metric.WithAttributes(attribute.String("model", model))
			o.ObserveFloat64(inFlight, float64(l.InFlight), of)
			o.ObserveFloat64(queued, float64(l.Waiting), of)
			o.ObserveFloat64(window, l.Window, of)
			o.ObserveFloat64(rate, l.Rate, of)
		}
		return nil
	}
	_, err := m.meter.RegisterCallback(observe, inFlight, queued, window, rate)
	return errors.Join(append(in.errs, err)...)
}

// byModel adds up the lines of one model at several endpoints.
func byModel(lines []llm.Line) map[string]llm.Line {
	out := map[string]llm.Line{}
	for _, l := range lines {
		sum := out[l.Model]
		sum.InFlight, sum.Waiting, sum.Window, sum.Rate = sum.InFlight+l.InFlight, sum.Waiting+l.Waiting, sum.Window+l.Window, sum.Rate+l.Rate
		out[l.Model] = sum
	}
	return out
}

// Asked implements llm.Observer.
func (m *Metrics) Asked(ctx context.Context, c llm.Call) {
	step, model := attribute.String("step", c.Step), attribute.String("model", c.Model)
	m.calls.Record(ctx, c.Took.Seconds(), metric.WithAttributes(step, model, attribute.String("outcome", callOutcome(ctx, c.Err)), attribute.String("status", statusClass(c.Err))))
	if c.Retry {
		m.retries.Add(ctx, 1, metric.WithAttributes(step, model))
	}
	if c.ReAsk {
		m.reAsks.Add(ctx, 1, metric.WithAttributes(step, model))
	}
	if c.Err == nil {
		m.spent(ctx, c.Payer, c.Spent)
	}
}

// callOutcome tells a call that was cut off by its caller from one that failed.
func callOutcome(ctx context.Context, err error) string {
	if err != nil && ctx.Err() != nil {
		return "canceled"
	}
	return outcome(err)
}

// statusClass is 2xx to 5xx, or none where nothing was answered.
func statusClass(err error) string {
	if err == nil {
		return "2xx"
	}
	var said interface{ HTTPStatus() int }
	if !errors.As(err, &said) {
		return "none"
	}
	const class = 100
	return string(rune('0'+said.HTTPStatus()/class%10)) + "xx"
}

func (m *Metrics) spent(ctx context.Context, p llm.Payer, s llm.Spent) {
	of := payer(p)
	m.tokens.Add(ctx, s.InputTokens, metric.WithAttributes(append(of, attribute.String("direction", "input"))...))
	m.tokens.Add(ctx, s.OutputTokens, metric.WithAttributes(append(of, attribute.String("direction", "output"))...))
	m.cost.Add(ctx, float64(s.Pico)/picosPerUSD, metric.WithAttributes(of...))
}

func payer(p llm.Payer) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("task", p.Task), attribute.String("step", p.Step), attribute.String("model", p.Model)}
}

// Reused implements llm.Observer.
func (m *Metrics) Reused(ctx context.Context, p llm.Payer) {
	m.reused.Add(ctx, 1, metric.WithAttributes(payer(p)...))
}

// Batched implements llm.Observer.
func (m *Metrics) Batched(ctx context.Context, p llm.Payer, e llm.BatchEvent) {
	m.batches.Add(ctx, 1, metric.WithAttributes(attribute.String("model", p.Model), attribute.String("event", string(e))))
}

// BatchAnswered implements llm.Observer.
func (m *Metrics) BatchAnswered(ctx context.Context, p llm.Payer, s llm.Spent) {
	m.batchAnswers.Add(ctx, 1, metric.WithAttributes(attribute.String("model", p.Model), attribute.String("step", p.Step)))
	m.spent(ctx, p, s)
}

// seenFor is how long a build that was seen to wait for batches is taken to wait: longer than the longest time between two looks.
const seenFor = 20 * time.Minute

func (m *Metrics) sawWaiting(task, build string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n == 0 {
		delete(m.waiting, task+"/"+build)
		return
	}
	m.waiting[task+"/"+build] = waiting{task: task, n: n, at: time.Now()}
}

func (m *Metrics) observeWaiting(_ context.Context, o metric.Int64Observer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := map[string]int{}
	for build, w := range m.waiting {
		if time.Since(w.at) > seenFor {
			delete(m.waiting, build)
			continue
		}
		sums[w.task] += w.n
	}
	for task, n := range sums {
		o.Observe(int64(n), metric.WithAttributes(attribute.String("task", task)))
	}
	return nil
}

// ended counts a build that has ended.
func (m *Metrics) ended(ctx context.Context, r rebased.BuildResult) {
	m.builds.Record(ctx, r.Seconds, metric.WithAttributes(attribute.String("task", r.Task), attribute.String("state", string(r.State))))
}

// Watch counts the requests to a system, and gives each a span.
func (m *Metrics) Watch(system string, traces *Traces) func(ctx context.Context, operation string) (context.Context, func(error)) {
	requests := m.requests[system]
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		ctx, end := traces.start(ctx, system+" "+operation, attribute.String("rebased.system", system))
		start := time.Now()
		return ctx, func(err error) {
			came := callOutcome(ctx, err)
			requests.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(attribute.String("operation", operation), attribute.String("outcome", came)))
			end(came)
		}
	}
}
