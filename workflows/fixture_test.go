package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/source"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/workflows"
)

// world is everything that workflows reach, in memory. It outlives the workflow environments, as a bucket does.
type world struct {
	objects *mem.Objects
	index   *mem.Index
	teacher *mem.Batcher
	answers *llm.Store
	vectors mem.Vectors
	hook    mem.Publisher    // what webhooks reach
	down    map[string]error // connections that fail: bucket, index
	origins map[string]ingest.Origin
	open    []gc.Build // under way

	fleet       fleet  // its builds that run side by side
	template    string // text that all imported rows share
	shardedFrom int    // rows from which deduplication is split
}

func newWorld() *world {
	objects := mem.NewObjects()
	return &world{objects: objects, index: &mem.Index{}, teacher: &mem.Batcher{}, answers: llm.NewStore(objects), down: map[string]error{}}
}

// running is what Temporal would say is under way.
func (w *world) running(context.Context) (gc.Running, error) {
	return gc.Running{Builds: w.open}, w.down["temporal"]
}

// writer is the index for writes, of which one fails when w.down says so of "write".
type writer struct {
	*mem.Index
	world *world
}

func (w writer) Upsert(ctx context.Context, collection string, points []index.Point) error {
	if err := w.world.down["write"]; err != nil {
		delete(w.world.down, "write")
		return err
	}
	return w.Index.Upsert(ctx, collection, points)
}

type connection struct {
	name  string
	world *world
}

func (c connection) Ping(context.Context) error { return c.world.down[c.name] }

func (w *world) Open(context.Context, string) (rebased.Encoder, error) {
	return indextest.Encoder{Size: 24}, nil
}

type teachers struct{ *world }

func (t teachers) Open(rebased.Teacher) (llm.Teacher, error) { return t.teacher, nil }

func (t teachers) Models(context.Context, rebased.Teacher) ([]string, error) {
	if t.teacher.Fail != nil {
		if err := t.teacher.Fail(llm.Request{}); err != nil {
			return nil, err
		}
	}
	return []string{mem.Model}, nil
}

// prices knows one model: a picodollar a token of input, two a token of output.
type prices struct{}

func (prices) Price(_, model string) (rebased.Price, bool) {
	return rebased.Price{Input: 1, Output: 2}, model == mem.Model
}

type tasks struct{}

func (tasks) Decode(name string, data []byte) (rebased.Task, error) {
	return taskfile.Decode(name, data)
}
func (tasks) Encode(task rebased.Task) ([]byte, error) { return taskfile.Encode(task) }

// environment is a Temporal test environment with the project's workflows and its real activities over the world.
func (w *world) environment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a machine with much else to do is no deadlock
	env.RegisterWorkflowWithOptions(workflows.BuildDataset, workflow.RegisterOptions{Name: workflows.BuildDatasetName})
	env.RegisterWorkflowWithOptions(workflows.IndexCorpus, workflow.RegisterOptions{Name: workflows.IndexCorpusName})
	env.RegisterWorkflowWithOptions(workflows.ImportCorpus, workflow.RegisterOptions{Name: workflows.ImportCorpusName})
	env.RegisterWorkflowWithOptions(workflows.Preview, workflow.RegisterOptions{Name: workflows.PreviewName})
	env.RegisterWorkflowWithOptions(workflows.Estimate, workflow.RegisterOptions{Name: workflows.EstimateName})
	env.RegisterWorkflowWithOptions(workflows.CollectGarbage, workflow.RegisterOptions{Name: workflows.CollectName})
	env.RegisterWorkflowWithOptions(workflows.Deliver, workflow.RegisterOptions{Name: workflows.DeliverName})
	rows, datasets := mem.NewTable[rebased.Row](w.objects), mem.NewTable[rebased.Dataset](w.objects)
	importer, err := ingest.New(ingest.Config{Objects: w.objects, Rows: rows, Datasets: datasets, Parquet: source.Parquet{}, Limits: ingest.DefaultLimits(), Origins: w.origins})
	if err != nil {
		t.Fatal(err)
	}
	benchmarks := &activities.Benchmarks{Objects: w.objects, Parquet: source.Parquet{}, Origins: w.origins}
	build := &activities.Build{
		Objects: w.objects, Tasks: tasks{}, Candidates: mem.NewTable[rebased.Candidate](w.objects),
		Examples: mem.NewTable[rebased.Example](w.objects), Rejects: mem.NewTable[rebased.Reject](w.objects),
		Benchmarks: benchmarks,
	}
	teaching := &activities.Teaching{
		Build: build, Teachers: teachers{w}, Store: w.answers, Batches: &llm.Batches{Store: w.answers, Now: env.Now},
	}
	w.teacher.Now = env.Now
	bucket, server := connection{"bucket", w}, connection{"index", w}
	publishers := activities.Publishers{rebased.TargetWebhook: &w.hook}
	for _, steps := range []any{
		&activities.Ingest{Objects: w.objects, Bucket: bucket, Importer: importer},
		&activities.Index{Objects: w.objects, Rows: rows, Datasets: datasets, Writer: writer{w.index, w}, Server: server, Encoders: w},
		&activities.Plan{Objects: w.objects, Bucket: bucket, Index: server, Tasks: tasks{}, Teachers: teachers{w}, Prices: prices{}, Encoders: w, Parquet: source.Parquet{},
			Examples: build.Examples, Benchmarks: benchmarks, ShardedFrom: w.shardedFrom, Publishers: publishers},
		&activities.Retrieve{Build: build, Rows: rows, Datasets: datasets, Index: w.index, Encoders: w},
		&activities.Redrive{Build: build},
		&activities.Transform{Teaching: teaching},
		&activities.Reason{Teaching: teaching},
		&activities.Estimate{Teaching: teaching},
		&activities.Judge{Teaching: teaching},
		&activities.Batch{Teaching: teaching},
		&activities.Dedupe{Build: build, Encoders: w, Vectors: &w.vectors, Parquet: source.Parquet{}},
		&activities.Handoff{Build: build, URI: "s3://bucket", Publishers: publishers},
		&activities.Collect{Objects: w.objects, Examples: build.Examples, Rejects: build.Rejects, Answers: w.answers, Running: w.running},
		&activities.Nights{Objects: w.objects, Builds: &w.fleet, Batches: teaching.Batches},
	} {
		env.RegisterActivity(steps)
	}
	return env
}

// run executes a workflow to its end and decodes its result.
func run[T any](t *testing.T, env *testsuite.TestWorkflowEnvironment, id, name string, in any) (T, error) {
	t.Helper()
	var out T
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id})
	env.ExecuteWorkflow(name, in)
	if !env.IsWorkflowCompleted() {
		t.Fatal("the workflow did not end")
	}
	if err := env.GetWorkflowError(); err != nil {
		return out, err
	}
	return out, env.GetWorkflowResult(&out)
}

// importRows makes corpus "hub" of a dataset's rows through the import workflow, from uploaded JSONL.
func (w *world) importRows(t *testing.T, rows int) workflows.ImportResult {
	t.Helper()
	var sources []rebased.Source
	for d := range 3 {
		var body []byte
		for i := range rows / 3 {
			body = fmt.Appendf(body, `{"question":"what is number %d of %d%s","answer":"it is %d"}`+"\n", i, d, w.template, i*i)
		}
		key := fmt.Sprintf("uploads/%d", d)
		if _, err := w.objects.Put(t.Context(), key, body); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, rebased.Source{
			Path: fmt.Sprintf("set%d/default.jsonl", d), Key: key, SHA256: sha(body), Size: int64(len(body)),
			DatasetID: rebased.DatasetID{Name: fmt.Sprintf("set%d", d), Config: "default", Split: "train"}, Description: "numbers and questions",
		})
	}
	key, err := ingest.WriteSources(t.Context(), w.objects, sources)
	if err != nil {
		t.Fatal(err)
	}
	in := workflows.ImportInput{Corpus: "hub", SourcesKey: key, MaxRowsPerConfig: 1000}
	out, err := run[workflows.ImportResult](t, w.environment(t), workflows.ImportID("hub"), workflows.ImportCorpusName, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// indexed makes corpus "hub" and its index.
func (w *world) indexed(t *testing.T, rows int) {
	t.Helper()
	w.importRows(t, rows)
	in := workflows.IndexInput{Corpus: "hub", Encoder: "static"}
	if _, err := run[workflows.IndexResult](t, w.environment(t), workflows.IndexID("hub"), workflows.IndexCorpusName, in); err != nil {
		t.Fatal(err)
	}
}

const taskYAML = `name: numbers
corpus: hub
instruction: Answer the question about a number.
examples:
  - {input: what is number 7 of 1, output: it is 49}
retrieve: {rows: 60}
`

// build uploads a task file and gives what starts its build.
func (w *world) build(t *testing.T, yaml string) workflows.BuildInput {
	t.Helper()
	key := rebased.TaskKey("numbers", sha([]byte(yaml)))
	if _, err := w.objects.Put(t.Context(), key, []byte(yaml)); err != nil {
		t.Fatal(err)
	}
	return workflows.BuildInput{Task: "numbers", TaskKey: key}
}
