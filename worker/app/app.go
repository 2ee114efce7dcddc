package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/command"
	"github.com/rebased/rebased/infra/hub"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/infra/payload"
	"github.com/rebased/rebased/infra/pricing"
	"github.com/rebased/rebased/infra/qdrant"
	"github.com/rebased/rebased/infra/s3"
	"github.com/rebased/rebased/infra/source"
	"github.com/rebased/rebased/infra/sqs"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/infra/teacher/bedrock"
	teacherclient "github.com/rebased/rebased/infra/teacher/client"
	"github.com/rebased/rebased/infra/telemetry"
	"github.com/rebased/rebased/infra/webhook"
	"github.com/rebased/rebased/workflows"
)

// Times of the worker's life.
const (
	// heartbeatThrottle bounds how long a cancellation waits for the next heartbeat.
	heartbeatThrottle = 2 * time.Second
	// handBack is how long steps have after the grace to say that another worker shall take them up.
	handBack = 3 * time.Second
	// flush is how long answers that were paid for, and then metrics and traces, have to get out at the end.
	flush = 3 * time.Second
)

// run polls until ctx ends.
func run(ctx context.Context, s settings, log *slog.Logger) error {
	registry := prometheus.NewRegistry()
	seen, err := telemetry.Open(ctx, program, func(name string) string { return s.environ.get(name, "") }, registry, log)
	if err != nil {
		return err
	}
	defer func() { //nolint:contextcheck // what is left is sent when ctx has ended
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), flush)
		defer cancel()
		if err := seen.Close(late); err != nil {
			log.Warn("the last metrics and traces were not delivered", "error", err)
		}
	}()
	ports, err := open(ctx, s, seen)
	if err != nil {
		return err
	}
	defer ports.index.Close()
	temporal, err := dial(ctx, s, ports, log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	ready := ports.readiness(temporal)
	failed := make(chan error, 2)
	if s.healthAddress != "" {
		h, err := newHealth(ctx, s.healthAddress, registry, ready)
		if err != nil {
			return err
		}
		defer h.close(context.WithoutCancel(ctx))
		go func() { failed <- h.serve() }()
	}
	w := worker.New(temporal, workflows.TaskQueue, worker.Options{
		MaxHeartbeatThrottleInterval:     heartbeatThrottle,
		DefaultHeartbeatThrottleInterval: heartbeatThrottle,
		WorkerStopTimeout:                s.grace + handBack,
		Interceptors:                     []interceptor.WorkerInterceptor{telemetry.Steps(seen.Metrics, log)},
		DeploymentOptions:                deployment(s.version),
		OnFatalError:                     func(err error) { failed <- fmt.Errorf("poll the task queue: %w", err) },
	})
	if err := ports.register(w, temporal, log); err != nil {
		return err
	}
	if err := w.Start(); err != nil {
		return fmt.Errorf("start polling task queue %s: %w", workflows.TaskQueue, err)
	}
	ready.polls(true)
	log.Info("worker is ready", "task_queue", workflows.TaskQueue, "store", s.store, "deployment", s.version.DeploymentName, "build_id", s.version.BuildID)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	ready.polls(false)
	log.Info("worker is stopping", "grace", s.grace.String())
	w.Stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), flush)
	defer cancel()
	return errors.Join(err, ports.answers.Drain(drain))
}

// deployment says which version of the code this worker has. What it starts on goes on on workers of its version: a build is made by one code from its first
// row to its last.
func deployment(version worker.WorkerDeploymentVersion) worker.DeploymentOptions {
	if version == (worker.WorkerDeploymentVersion{}) {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{UseVersioning: true, Version: version, DefaultVersioningBehavior: workflow.VersioningBehaviorPinned}
}

// dial connects to Temporal by the SDK's own settings.
func dial(ctx context.Context, s settings, p *ports, log *slog.Logger) (client.Client, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: s.environ})
	if err != nil {
		return nil, fmt.Errorf("read the TEMPORAL_* settings: %w", err)
	}
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(p.contact.intercept))
	options.Logger = sdklog.NewStructuredLogger(log)
	p.codec.Configure(&options)
	if err := p.seen.Temporal(&options); err != nil {
		return nil, err
	}
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("reach Temporal at %s: %w: check TEMPORAL_ADDRESS", cmp.Or(options.HostPort, client.DefaultHostPort), err)
	}
	log.Info("payloads in Temporal are " + p.codec.String())
	return temporal, nil
}

// ports are the adapters behind the activities.
type ports struct {
	objects    *s3.Store
	uri        string
	index      *qdrant.Index
	importer   *ingest.Importer
	teachers   *teachers
	encoders   *encoders
	tokenizers tokenizers
	answers    *llm.Store
	prices     *pricing.Table
	contact    contact
	codec      *payload.Codec // of what goes to Temporal
	dedupe     dedupeSettings
	seen       *telemetry.Telemetry
	grace      time.Duration
	publishers activities.Publishers
}

func open(ctx context.Context, s settings, seen *telemetry.Telemetry) (*ports, error) {
	codec, err := payload.Load(ctx, s.environ)
	if err != nil {
		return nil, err
	}
	objects, err := s3.Open(ctx, s.store)
	if err != nil {
		return nil, err
	}
	objects = objects.Watched(seen.Watch(telemetry.S3))
	signs, err := bedrock.LoadAccount(ctx)
	if err != nil {
		return nil, err
	}
	prices, err := pricing.Open(s.prices)
	if err != nil {
		return nil, fmt.Errorf("REBASED_PRICES: %w", err)
	}
	publishers, err := newPublishers(s, signs)
	if err != nil {
		return nil, err
	}
	index, err := qdrant.Open(qdrant.Config{URL: s.qdrantURL, APIKey: s.qdrantAPIKey, CA: s.qdrantCA, Collection: s.collection, Watch: seen.Watch(telemetry.Qdrant)})
	if err != nil {
		return nil, err
	}
	repositories, err := hub.New(hub.Config{Endpoint: s.hubEndpoint, Token: s.hubToken, Holder: " of the worker"})
	if err != nil {
		return nil, errors.Join(err, index.Close())
	}
	importer, err := ingest.New(ingest.Config{
		Objects: objects, Rows: parquet.Rows(objects), Datasets: parquet.Datasets(objects), Parquet: source.Parquet{}, Limits: ingest.DefaultLimits(),
		Origins: map[string]ingest.Origin{"hf": hub.Origin{Hub: repositories}, "s3": &s3.Origin{}},
	})
	if err != nil {
		return nil, errors.Join(err, index.Close())
	}
	pool := teacherclient.NewHTTP()
	pool.Transport = seen.Traces.Transport(pool.Transport)
	folders := models{objects: objects, hub: repositories}
	return &ports{
		objects: objects, uri: s.store, index: index, importer: importer, tokenizers: tokenizers{folders},
		teachers: newTeachers(s, signs, pool), encoders: newEncoders(ctx, s, folders), answers: llm.NewStore(objects), prices: prices,
		dedupe: s.dedupe, codec: codec, seen: seen, grace: s.grace, publishers: publishers,
	}, nil
}

// newPublishers opens what brings released versions to targets. It connects to nothing.
func newPublishers(s settings, signs bedrock.Account) (activities.Publishers, error) {
	hooks, err := webhook.New(webhook.Config{Secrets: s.webhookSecrets, Allow: s.webhookAllow})
	if err != nil {
		return nil, err
	}
	queues, err := sqs.New(sqs.Config{Region: signs.Region, Credentials: signs.Credentials, Endpoint: s.sqsEndpoint})
	if err != nil {
		return nil, err
	}
	commands, err := command.New(command.Config{Commands: s.commands})
	if err != nil {
		return nil, err
	}
	return activities.Publishers{rebased.TargetWebhook: hooks, rebased.TargetSQS: queues, rebased.TargetCommand: commands}, nil
}

// registerWorkflows registers the workflows. A hand-off is open for as long as a training takes, or until somebody makes a Nexus endpoint: it moves on to the
// current version of the code, else it would keep the workers of its own that long. Its recorded histories hold its code to that.
func registerWorkflows(w worker.WorkflowRegistry) {
	w.RegisterWorkflowWithOptions(workflows.BuildDataset, workflow.RegisterOptions{Name: workflows.BuildDatasetName})
	w.RegisterWorkflowWithOptions(workflows.IndexCorpus, workflow.RegisterOptions{Name: workflows.IndexCorpusName})
	w.RegisterWorkflowWithOptions(workflows.ImportCorpus, workflow.RegisterOptions{Name: workflows.ImportCorpusName})
	w.RegisterWorkflowWithOptions(workflows.Preview, workflow.RegisterOptions{Name: workflows.PreviewName})
	w.RegisterWorkflowWithOptions(workflows.Estimate, workflow.RegisterOptions{Name: workflows.EstimateName})
	w.RegisterWorkflowWithOptions(workflows.CollectGarbage, workflow.RegisterOptions{Name: workflows.CollectName})
	w.RegisterWorkflowWithOptions(workflows.Deliver, workflow.RegisterOptions{Name: workflows.DeliverName, VersioningBehavior: workflow.VersioningBehaviorAutoUpgrade})
}

// register wires the adapters into the activities: the one list of what this program is made of.
func (p *ports) register(w worker.Registry, temporal client.Client, log *slog.Logger) error {
	registerWorkflows(w)
	rows, datasets := parquet.Rows(p.objects), parquet.Datasets(p.objects)
	benchmarks := &activities.Benchmarks{Objects: p.objects, Parquet: source.Parquet{}, Origins: p.importer.Origins}
	build := &activities.Build{
		Objects: p.objects, Tasks: tasks{},
		Candidates: parquet.Candidates(p.objects), Examples: parquet.Examples(p.objects), Rejects: parquet.Rejects(p.objects),
		Benchmarks: benchmarks,
	}
	traffic := llm.NewTraffic()
	traffic.Alive = p.contact.alive
	batches := &llm.Batches{Store: p.answers, Alive: p.contact.alive, Log: log, Observer: p.seen}
	teaching := &activities.Teaching{Build: build, Teachers: p.teachers, Store: p.answers, Traffic: traffic, Batches: batches, Observer: p.seen, Grace: p.grace}
	for _, steps := range []any{
		&activities.Ingest{Objects: p.objects, Bucket: p.objects, Importer: p.importer},
		&activities.Index{Objects: p.objects, Rows: rows, Datasets: datasets, Writer: p.index, Server: p.index, Encoders: p.encoders},
		&activities.Plan{Objects: p.objects, Bucket: p.objects, Index: p.index, Tasks: tasks{}, Teachers: p.teachers, Prices: p.prices, Encoders: p.encoders, Tokenizers: p.tokenizers, Parquet: source.Parquet{},
			Examples: build.Examples, Benchmarks: benchmarks, ShardedFrom: p.dedupe.shardedFrom, Publishers: p.publishers},
		&activities.Retrieve{Build: build, Rows: rows, Datasets: datasets, Index: p.index, Vectors: p.index, Encoders: p.encoders},
		&activities.Redrive{Build: build},
		&activities.Transform{Teaching: teaching},
		&activities.Reason{Teaching: teaching},
		&activities.Estimate{Teaching: teaching},
		&activities.Judge{Teaching: teaching},
		&activities.Batch{Teaching: teaching},
		&activities.Nights{Objects: p.objects, Builds: builds{temporal}, Batches: batches},
		&activities.Handoff{Build: build, Tokenizers: p.tokenizers, Publishers: p.publishers, URI: p.uri},
		&activities.Collect{Objects: p.objects, Examples: build.Examples, Rejects: build.Rejects, Answers: p.answers, Running: running{temporal, p.codec.Values()}.ask},
		&activities.Dedupe{Build: build, Encoders: p.encoders, Vectors: p.index, Parquet: source.Parquet{}, InMemory: p.dedupe.memory},
	} {
		w.RegisterActivityWithOptions(steps, activity.RegisterOptions{})
	}
	return p.seen.WatchTraffic(traffic.Lines)
}

// tasks is the task file format behind activities.Tasks.
type tasks struct{}

func (tasks) Decode(name string, data []byte) (rebased.Task, error) {
	return taskfile.Decode(name, data)
}
func (tasks) Encode(task rebased.Task) ([]byte, error) { return taskfile.Encode(task) }
