package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
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
	Parquet  ingest.Format // reads benchmarks
}

// PlanInput names the task file that the starter put into the bucket.
type PlanInput struct {
	Task    string `json:"task"`
	Build   string `json:"build"`
	TaskKey string `json:"task_key"`
}

// PlanResult is what the build depends on, by reference.
type PlanResult struct {
	TaskKey  string                `json:"task_key"` // the frozen task, in the build's folder
	Corpus   string                `json:"corpus"`
	Revision string                `json:"revision"`  // pinned: the revision that is indexed
	Encoder  string                `json:"encoder"`   // identity, and that of retrieve.rerank
	Endpoint string                `json:"endpoint"`  // of the teacher
	InFlight int                   `json:"in_flight"` // 0 = no cap
	RPM      int                   `json:"rpm"`       // 0 = no cap
	TPM      int                   `json:"tpm"`       // 0 = no cap
	Price    rebased.Price         `json:"price"`
	Budget   rebased.Budget        `json:"budget"`
	Batch    bool                  `json:"batch,omitempty"`  // the provider answers in batches
	Reason   string                `json:"reason"`           // mode of the reason step
	Judge    *JudgePlan            `json:"judge,omitempty"`  // nil = there is no judge
	Rows     int                   `json:"rows"`             // to retrieve
	Target   int                   `json:"target,omitempty"` // rows that are wanted; 0 = all that can be made
	Approval bool                  `json:"approval"`
	Trigger  *rebased.WorkflowSpec `json:"trigger,omitempty"`
}

// JudgePlan is what asking the judge depends on.
type JudgePlan struct {
	InFlight int           `json:"in_flight"` // 0 = no cap, as of all three
	RPM      int           `json:"rpm"`
	TPM      int           `json:"tpm"`
	Price    rebased.Price `json:"price"`
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
	found, err := findIndex(ctx, a.Objects, task.Corpus, encoder.Identity())
	if err != nil {
		return PlanResult{}, err
	}
	if _, err := readBenchmarks(ctx, a.Objects, a.Parquet, task.Decontaminate); err != nil {
		return PlanResult{}, err
	}
	teacher, err := a.teacher(ctx, &task.Transform.Teacher, "transform.teacher")
	if err != nil {
		return PlanResult{}, err
	}
	if task.Transform.Batch {
		if err := takesBatches(ctx, teacher, task.Transform.Teacher.Provider); err != nil {
			return PlanResult{}, err
		}
	}
	price, err := a.price(task.Budget, teacher, task.Transform.Teacher.Model)
	if err != nil {
		return PlanResult{}, err
	}
	judge, err := a.judge(ctx, &task)
	if err != nil {
		return PlanResult{}, err
	}
	frozen := rebased.BuildKey(task.Name, in.Build, "task.yaml")
	data, err := a.Tasks.Encode(task)
	if err != nil {
		return PlanResult{}, err
	}
	if _, err := a.Objects.Put(ctx, frozen, data); err != nil {
		return PlanResult{}, fmt.Errorf("write the frozen task: %w", err)
	}
	activity.GetLogger(ctx).Info("planned", "task", task.Name, "corpus", task.Corpus, "revision", found.Revision, "model", task.Transform.Teacher.Model)
	return PlanResult{
		TaskKey: frozen, Corpus: task.Corpus, Revision: found.Revision, Encoder: identity, Endpoint: teacher.Endpoint(),
		InFlight: task.Transform.Teacher.Limits.InFlight, RPM: task.Transform.Teacher.Limits.RPM, TPM: task.Transform.Teacher.Limits.TPM,
		Price: price, Budget: task.Budget, Batch: task.Transform.Batch, Reason: task.Reason.Mode, Judge: judge, Rows: task.Retrieve.Rows, Target: task.Transform.TargetRows,
		Approval: task.Handoff.Approval, Trigger: task.Handoff.Workflow,
	}, nil
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

// price is what a model costs. A budget in money needs to know.
func (a *Plan) price(budget rebased.Budget, teacher llm.Teacher, model string) (rebased.Price, error) {
	price, known := a.Prices.Price(teacher.Endpoint(), model)
	if budget.USD > 0 && !known {
		return price, rebased.E(
			rebased.Invalid, "budget.usd: no price is known of model %q at %s: add it to the worker's price table (REBASED_PRICES), or cap tokens",
			model, teacher.Endpoint(),
		)
	}
	return price, nil
}

// judge settles who judges; nil for a task without a judge.
func (a *Plan) judge(ctx context.Context, task *rebased.Task) (*JudgePlan, error) {
	if task.Judge == nil {
		return nil, nil
	}
	t := task.JudgeTeacher()
	teacher, err := a.teacher(ctx, &t, "judge.teacher")
	if err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	price, err := a.price(task.Budget, teacher, t.Model)
	if err != nil {
		return nil, err
	}
	judge := *task.Judge
	if judge.Teacher != nil {
		judge.Teacher = &t
	}
	task.Judge = &judge
	return &JudgePlan{InFlight: t.Limits.InFlight, RPM: t.Limits.RPM, TPM: t.Limits.TPM, Price: price}, nil
}

// teacher asks a teacher's server what it offers, which proves address and key, and settles address and model.
func (a *Plan) teacher(ctx context.Context, t *rebased.Teacher, key string) (llm.Teacher, error) {
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
		return nil, rebased.E(rebased.Invalid, "%s.model: is required: the server at %s offers %d models", key, teacher.Endpoint(), len(models))
	}
	t.BaseURL = teacher.Endpoint()
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
