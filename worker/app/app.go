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
	"github.com/rebased/rebased/infra/pricing"
	"github.com/rebased/rebased/infra/qdrant"
	"github.com/rebased/rebased/infra/s3"
	"github.com/rebased/rebased/infra/source"
	"github.com/rebased/rebased/infra/sqs"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/infra/teacher/bedrock"
	teacherclient "github.com/rebased/rebased/infra/teacher/client"
	"github.com/rebased/rebased/infra/webhook"
	"github.com/rebased/rebased/workflows"
)

// Times of the worker's life.
const (
	// heartbeatThrottle bounds how long a cancellation waits for the next heartbeat.
	heartbeatThrottle = 2 * time.Second
	// graceful is how long activities may go on after a stop; what they were paid for is stored by then, the rest another worker takes up.
	graceful = 5 * time.Second
)

// run polls until ctx ends.
func run(ctx context.Context, s settings, log *slog.Logger) error {
	ports, err := open(ctx, s)
	if err != nil {
		return err
	}
	defer ports.index.Close()
	temporal, err := dial(ctx, s, &ports.contact, log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	failed := make(chan error, 2)
	if s.healthAddress != "" {
		h, err := newHealth(ctx, s.healthAddress, prometheus.NewRegistry())
		if err != nil {
			return err
		}
		defer h.close(context.WithoutCancel(ctx))
		go func() { failed <- h.serve() }()
	}
	w := worker.New(temporal, workflows.TaskQueue, worker.Options{
		MaxHeartbeatThrottleInterval:     heartbeatThrottle,
		DefaultHeartbeatThrottleInterval: heartbeatThrottle,
		WorkerStopTimeout:                graceful,
		OnFatalError:                     func(err error) { failed <- fmt.Errorf("poll the task queue: %w", err) },
	})
	ports.register(w, log)
	if err := w.Start(); err != nil {
		return fmt.Errorf("start polling task queue %s: %w", workflows.TaskQueue, err)
	}
	log.Info("worker is ready", "task_queue", workflows.TaskQueue, "store", s.store)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	log.Info("worker is stopping")
	w.Stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	return errors.Join(err, ports.answers.Drain(drain))
}

// dial connects to Temporal by the SDK's own settings.
func dial(ctx context.Context, s settings, heard *contact, log *slog.Logger) (client.Client, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: s.environ})
	if err != nil {
		return nil, fmt.Errorf("read the TEMPORAL_* settings: %w", err)
	}
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(heard.intercept))
	options.Logger = sdklog.NewStructuredLogger(log)
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("reach Temporal at %s: %w: check TEMPORAL_ADDRESS", cmp.Or(options.HostPort, client.DefaultHostPort), err)
	}
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
	dedupe     dedupeSettings
	publishers activities.Publishers
}

func open(ctx context.Context, s settings) (*ports, error) {
	objects, err := s3.Open(ctx, s.store)
	if err != nil {
		return nil, err
	}
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
	index, err := qdrant.Open(qdrant.Config{URL: s.qdrantURL, APIKey: s.qdrantAPIKey, CA: s.qdrantCA, Collection: s.collection})
	if err != nil {
		return nil, err
	}
	repositories, err := hub.New(hub.Config{Endpoint: s.hubEndpoint, Token: s.hubToken})
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
	folders := models{objects: objects, hub: repositories}
	return &ports{
		objects: objects, uri: s.store, index: index, importer: importer, tokenizers: tokenizers{folders},
		teachers: newTeachers(s, signs, teacherclient.NewHTTP()), encoders: newEncoders(ctx, s, folders), answers: llm.NewStore(objects), prices: prices,
		dedupe: s.dedupe, publishers: publishers,
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

// register wires the adapters into the activities: the one list of what this program is made of.
func (p *ports) register(w worker.Registry, log *slog.Logger) {
	w.RegisterWorkflowWithOptions(workflows.BuildDataset, workflow.RegisterOptions{Name: workflows.BuildDatasetName})
	w.RegisterWorkflowWithOptions(workflows.IndexCorpus, workflow.RegisterOptions{Name: workflows.IndexCorpusName})
	w.RegisterWorkflowWithOptions(workflows.ImportCorpus, workflow.RegisterOptions{Name: workflows.ImportCorpusName})
	w.RegisterWorkflowWithOptions(workflows.Preview, workflow.RegisterOptions{Name: workflows.PreviewName})
	w.RegisterWorkflowWithOptions(workflows.Estimate, workflow.RegisterOptions{Name: workflows.EstimateName})
	w.RegisterWorkflowWithOptions(workflows.Deliver, workflow.RegisterOptions{Name: workflows.DeliverName})

	rows, datasets := parquet.Rows(p.objects), parquet.Datasets(p.objects)
	benchmarks := &activities.Benchmarks{Objects: p.objects, Parquet: source.Parquet{}, Origins: p.importer.Origins}
	build := &activities.Build{
		Objects: p.objects, Tasks: tasks{},
		Candidates: parquet.Candidates(p.objects), Examples: parquet.Examples(p.objects), Rejects: parquet.Rejects(p.objects),
		Benchmarks: benchmarks,
	}
	traffic := llm.NewTraffic()
	traffic.Alive = p.contact.alive
	batches := &llm.Batches{Store: p.answers, Alive: p.contact.alive, Log: log}
	teaching := &activities.Teaching{Build: build, Teachers: p.teachers, Store: p.answers, Traffic: traffic, Batches: batches}
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
		&activities.Handoff{Build: build, Tokenizers: p.tokenizers, Publishers: p.publishers, URI: p.uri},
		&activities.Dedupe{Build: build, Encoders: p.encoders, Vectors: p.index, Parquet: source.Parquet{}, InMemory: p.dedupe.memory},
	} {
		w.RegisterActivityWithOptions(steps, activity.RegisterOptions{})
	}
}

// tasks is the task file format behind activities.Tasks.
type tasks struct{}

func (tasks) Decode(name string, data []byte) (rebased.Task, error) {
	return taskfile.Decode(name, data)
}
func (tasks) Encode(task rebased.Task) ([]byte, error) { return taskfile.Encode(task) }
