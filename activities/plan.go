package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/activities/transform"
)

// Tasks reads and writes task files.
type Tasks interface {
	Decode(name string, data []byte) (rebased.Task, error)
	Encode(task rebased.Task) ([]byte, error)
}

// Teachers opens the teacher that a task names.
type Teachers interface {
	Open(t rebased.Teacher) (llm.Teacher, error)
	// Models lists what the teacher's server offers.
	Models(ctx context.Context, t rebased.Teacher) ([]string, error)
}

// Prices knows what models cost.
type Prices interface {
	// Price is what a model of an endpoint (a base URL) costs; false when that is not known.
	Price(endpoint, model string) (rebased.Price, bool)
}

// Encoders opens an encoder by the name that task files use: static, static:<model>, transformer:<model> or openai:<model>.
type Encoders interface {
	Open(ctx context.Context, name string) (rebased.Encoder, error)
}

// Connection is something that must answer before anything is spent.
type Connection interface {
	Ping(ctx context.Context) error
}

// Plan checks everything that a build needs and freezes what it depends on.
type Plan struct {
	Objects  rebased.Objects
	Bucket   Connection // proves that the bucket can be written
	Index    Connection
	Tasks    Tasks
	Teachers Teachers
	Prices   Prices
	Encoders Encoders
	Parquet  ingest.Format // reads files that rows must not repeat
	Examples rebased.Table[rebased.Example]

	// ShardedFrom is how many rows a build must have for its deduplication to be split over workers; 0 = any number stays with one.
	ShardedFrom int

	Benchmarks *Benchmarks
}

// PlanInput names the task file that the starter put into the bucket.
type PlanInput struct {
	Task    string `json:"task"`
	Build   string `json:"build"`
	TaskKey string `json:"task_key"`
}

// PlanResult is what the build depends on, by reference.
type PlanResult struct {
	TaskKey  string         `json:"task_key"` // the frozen task, in the build's folder
	Corpus   string         `json:"corpus"`
	Revision string         `json:"revision"`  // pinned: the revision that is indexed
	Encoder  string         `json:"encoder"`   // identity, and that of retrieve.rerank
	Endpoint string         `json:"endpoint"`  // of the teacher
	InFlight int            `json:"in_flight"` // 0 = no cap
	RPM      int            `json:"rpm"`       // 0 = no cap
	TPM      int            `json:"tpm"`       // 0 = no cap
	Price    rebased.Price  `json:"price"`
	Budget   rebased.Budget `json:"budget"`
	Batch    bool           `json:"batch,omitempty"`  // the provider answers in batches
	Reason   string         `json:"reason"`           // mode of the reason step
	Rows     int            `json:"rows"`             // to retrieve
	Target   int            `json:"target,omitempty"` // rows that are wanted; 0 = all that can be made
	// TargetKey is the key of the task that says so; "" = transform.target_rows, of a history recorded before there was another.
	TargetKey string `json:"target_key,omitempty"`

	Approval bool                  `json:"approval"`
	Delta    bool                  `json:"delta,omitempty"`        // the version holds new rows only
	Against  int                   `json:"against,omitempty"`      // versions and files that rows must not repeat
	Sharded  int                   `json:"sharded_from,omitempty"` // rows from which deduplication is split over workers; 0 = never
	Trigger  *rebased.WorkflowSpec `json:"trigger,omitempty"`
}

// Check checks bucket, index, encoder, corpus and teacher, then writes the frozen task. Every error is one line for the user.
func (a *Plan) Check(ctx context.Context, in PlanInput) (PlanResult, error) {
	out, err := a.check(ctx, in)
	return out, translate(ctx, err)
}

func (a *Plan) check(ctx context.Context, in PlanInput) (PlanResult, error) {
	if err := a.Bucket.Ping(ctx); err != nil {
		return PlanResult{}, fmt.Errorf("the bucket cannot be used: %w", err)
	}
	task, err := a.read(ctx, in)
	if err != nil {
		return PlanResult{}, err
	}
	if err := a.Index.Ping(ctx); err != nil {
		return PlanResult{}, fmt.Errorf("the vector index cannot be used (QDRANT_URL, QDRANT_API_KEY of the worker): %w", err)
	}
	encoder, err := a.Encoders.Open(ctx, task.Retrieve.Encoder)
	if err != nil {
		return PlanResult{}, fmt.Errorf("encoder %s: %w", task.Retrieve.Encoder, err)
	}
	identity := encoder.Identity()
	if rerank := task.Retrieve.Rerank; rerank != nil {
		better, err := a.Encoders.Open(ctx, rerank.Encoder)
		if err != nil {
			return PlanResult{}, fmt.Errorf("retrieve.rerank.encoder %s: %w", rerank.Encoder, err)
		}
		identity += " reranked by " + better.Identity()
	}
	if semantic := task.Dedupe.Semantic; semantic != nil {
		opened, err := a.Encoders.Open(ctx, semantic.Encoder)
		if err != nil {
			return PlanResult{}, fmt.Errorf("dedupe.semantic.encoder %s: %w", semantic.Encoder, err)
		}
		identity += " deduplicated by " + opened.Identity()
	}
	against := given{versions: handoff.Versions{Objects: a.Objects, Examples: a.Examples}, parquet: a.Parquet}
	if err := against.pin(ctx, &task); err != nil {
		return PlanResult{}, err
	}
	found, err := findIndex(ctx, a.Objects, task.Corpus, encoder.Identity())
	if err != nil {
		return PlanResult{}, err
	}
	if task.Decontaminate.Files, err = a.Benchmarks.pin(ctx, task.Decontaminate.Files); err != nil {
		return PlanResult{}, err
	}
	if _, err := a.Benchmarks.open(ctx, task.Decontaminate); err != nil {
		return PlanResult{}, err
	}
	teacher, err := a.teacher(ctx, &task)
	if err != nil {
		return PlanResult{}, err
	}
	price, priced := a.Prices.Price(teacher.Endpoint(), task.Transform.Teacher.Model)
	if task.Budget.USD > 0 && !priced {
		return PlanResult{}, rebased.E(
			rebased.Invalid, "budget.usd: no price is known of model %q at %s: add it to the worker's price table (REBASED_PRICES), or cap tokens",
			task.Transform.Teacher.Model, teacher.Endpoint(),
		)
	}
	frozen := rebased.BuildKey(task.Name, in.Build, "task.yaml")
	data, err := a.Tasks.Encode(task)
	if err != nil {
		return PlanResult{}, err
	}
	if _, err := a.Objects.Put(ctx, frozen, data); err != nil {
		return PlanResult{}, fmt.Errorf("write the frozen task: %w", err)
	}
	target, key := task.Target()
	activity.GetLogger(ctx).Info("planned", "task", task.Name, "corpus", task.Corpus, "revision", found.Revision, "model", task.Transform.Teacher.Model)
	return PlanResult{
		TaskKey: frozen, Corpus: task.Corpus, Revision: found.Revision, Encoder: identity, Endpoint: teacher.Endpoint(),
		InFlight: task.Transform.Teacher.Limits.InFlight, RPM: task.Transform.Teacher.Limits.RPM, TPM: task.Transform.Teacher.Limits.TPM,
		Price: price, Budget: task.Budget, Batch: task.Transform.Batch, Reason: task.Reason.Mode, Rows: task.Retrieve.Rows, Target: target, TargetKey: key,
		Approval: task.Handoff.Approval, Trigger: task.Handoff.Workflow, Delta: task.Output.Delta(), Against: len(task.Dedupe.Against), Sharded: a.shardedFrom(task),
	}, nil
}

// semanticTimes is how many rows without vectors take as long as one that has to be encoded.
const semanticTimes = 20

// shardedFrom is how many rows make it worth while to split the deduplication of a task over workers.
func (a *Plan) shardedFrom(task rebased.Task) int {
	if task.Dedupe.Semantic != nil && a.ShardedFrom > 0 {
		return max(1, a.ShardedFrom/semanticTimes)
	}
	return a.ShardedFrom
}

func (a *Plan) read(ctx context.Context, in PlanInput) (rebased.Task, error) {
	data, _, err := a.Objects.Get(ctx, in.TaskKey)
	if err != nil {
		return rebased.Task{}, fmt.Errorf("read the task file: %w", err)
	}
	task, err := a.Tasks.Decode(in.TaskKey, data)
	if err != nil {
		return rebased.Task{}, err
	}
	if task.Name != in.Task {
		return rebased.Task{}, rebased.E(rebased.Invalid, "%s: name is %q, the build was started for %q", in.TaskKey, task.Name, in.Task)
	}
	return task, transform.Check(task)
}

// teacher asks the teacher's server what it offers, which proves address and key, and settles the model.
func (a *Plan) teacher(ctx context.Context, task *rebased.Task) (llm.Teacher, error) {
	t := &task.Transform.Teacher
	teacher, err := a.Teachers.Open(*t)
	if err != nil {
		return nil, err
	}
	models, err := a.Teachers.Models(ctx, *t)
	switch kind := rebased.KindOf(err); {
	case kind == rebased.NotFound && t.Model != "": // a server without a list of models
	case err != nil:
		return nil, err
	case t.Model == "" && len(models) == 1:
		t.Model = models[0]
	case t.Model == "":
		return nil, rebased.E(rebased.Invalid, "transform.teacher.model: is required: the server at %s offers %d models", teacher.Endpoint(), len(models))
	}
	t.BaseURL = teacher.Endpoint()
	if task.Transform.Batch {
		return teacher, takesBatches(ctx, teacher, t.Provider)
	}
	return teacher, nil
}

// takesBatches looks for a batch that is not there, which proves that the server knows what a batch is.
func takesBatches(ctx context.Context, teacher llm.Teacher, provider string) error {
	batcher, ok := teacher.(llm.Batcher)
	if !ok {
		return noBatches(provider)
	}
	_, err := batcher.Find(ctx, "rebased-plan", 0, time.Now())
	if rebased.KindOf(err) == rebased.NotFound {
		return rebased.E(rebased.Invalid, "transform.batch: the server at %s has no batches: leave batch out", teacher.Endpoint())
	}
	return err
}
