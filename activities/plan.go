package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
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
	// Resolve gives the name that fixes what the name stands for now: a model of the hub, hf://owner/name[@revision], by its commit. Others stay.
	Resolve(ctx context.Context, name string) (string, error)
	Open(ctx context.Context, name string) (rebased.Encoder, error)
}

// Tokenizers opens a student's tokenizer by the name that a frozen task has: hf://owner/name[@revision], or a folder that was uploaded.
type Tokenizers interface {
	Open(ctx context.Context, name string) (handoff.Tokenizer, error)
}

// Connection is something that must answer before anything is spent.
type Connection interface {
	Ping(ctx context.Context) error
}

// Plan checks everything that a build needs and freezes what it depends on.
type Plan struct {
	Objects    rebased.Objects
	Bucket     Connection // proves that the bucket can be written
	Index      Connection
	Tasks      Tasks
	Teachers   Teachers
	Prices     Prices
	Encoders   Encoders
	Tokenizers Tokenizers
	Parquet    ingest.Format // reads files that rows must not repeat
	Examples   rebased.Table[rebased.Example]

	// ShardedFrom is how many rows a build must have for its deduplication to be split over workers; 0 = any number stays with one.
	ShardedFrom int

	Benchmarks *Benchmarks
	Publishers Publishers
}

// PlanInput names the task file that the starter put into the bucket.
type PlanInput struct {
	Task    string `json:"task"`
	Build   string `json:"build"`
	TaskKey string `json:"task_key"`
	Redrive string `json:"redrive,omitempty"` // the build whose rows are taken over; "" = they are retrieved
}

// PlanResult is what the build depends on, by reference.
type PlanResult struct {
	Waits        string         `json:"waits,omitempty"` // what is to end before a plan can be made, a sentence; "" = this is one
	TaskKey      string         `json:"task_key"`        // the frozen task, in the build's folder
	Corpus       string         `json:"corpus"`
	Revision     string         `json:"revision"`               // pinned: the revision that is indexed, or that the rows were retrieved from that a redrive takes over
	Encoder      string         `json:"encoder"`                // identity, and that of retrieve.rerank
	Deduplicated string         `json:"deduplicated,omitempty"` // what is said behind Encoder of that of dedupe.semantic
	Endpoint     string         `json:"endpoint"`               // of the teacher
	InFlight     int            `json:"in_flight"`              // 0 = no cap
	RPM          int            `json:"rpm"`                    // 0 = no cap
	TPM          int            `json:"tpm"`                    // 0 = no cap
	Price        rebased.Price  `json:"price"`
	Budget       rebased.Budget `json:"budget"`
	Batch        bool           `json:"batch,omitempty"`  // the provider answers in batches
	Reason       string         `json:"reason"`           // mode of the reason step
	Judge        *JudgePlan     `json:"judge,omitempty"`  // nil = there is no judge
	Rows         int            `json:"rows"`             // to retrieve
	Target       int            `json:"target,omitempty"` // rows that are wanted; 0 = all that can be made
	// TargetKey is the key of the task that says so; "" = transform.target_rows, of a history recorded before there was another.
	TargetKey string `json:"target_key,omitempty"`

	Approval bool                  `json:"approval"`
	Deadline time.Duration         `json:"approval_deadline,omitempty"` // how long it is waited for; 0 = until a person decides
	Approves bool                  `json:"approval_default,omitempty"`  // then it is given, else refused
	Delta    bool                  `json:"delta,omitempty"`             // the version holds new rows only
	Against  int                   `json:"against,omitempty"`           // versions and files that rows must not repeat
	Sharded  int                   `json:"sharded_from,omitempty"`      // rows from which deduplication is split over workers; 0 = never
	Trigger  *rebased.WorkflowSpec `json:"trigger,omitempty"`
	Targets  []string              `json:"targets,omitempty"` // of the hand-off; none in a plan of an older program, which knew Trigger alone
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
	work, _, stop := heartbeat(ctx)
	defer stop()
	out, err := a.check(work, in)
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
	if err := a.pin(ctx, &task); err != nil {
		return PlanResult{}, err
	}
	from, err := a.source(ctx, in, task)
	if rebased.KindOf(err) == rebased.Conflict {
		return PlanResult{Waits: err.Error()}, nil
	}
	if err != nil {
		return PlanResult{}, err
	}
	deduplicated := ""
	if semantic := task.Dedupe.Semantic; semantic != nil {
		opened, err := a.Encoders.Open(ctx, semantic.Encoder)
		if err != nil {
			return PlanResult{}, fmt.Errorf("dedupe.semantic.encoder %s: %w", semantic.Encoder, err)
		}
		deduplicated = " deduplicated by " + opened.Identity()
	}
	against := given{versions: handoff.Versions{Objects: a.Objects, Examples: a.Examples}, parquet: a.Parquet}
	if err := against.pin(ctx, &task); err != nil {
		return PlanResult{}, err
	}
	if name := task.Output.Tokenizer; name != "" {
		if _, err := a.Tokenizers.Open(ctx, name); err != nil {
			return PlanResult{}, fmt.Errorf("output.tokenizer: %w", err)
		}
	}
	if task.Decontaminate.Files, err = a.Benchmarks.pin(ctx, task.Decontaminate.Files); err != nil {
		return PlanResult{}, err
	}
	if _, err := a.Benchmarks.open(ctx, task.Decontaminate); err != nil {
		return PlanResult{}, err
	}
	if err := a.Publishers.check(ctx, task.Handoff); err != nil {
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
	if waits, err := gc.Waits(ctx, a.Objects, frozen); err != nil || waits != "" { // after the frozen task: a collection that does not see it is seen
		return PlanResult{Waits: waits}, err
	}
	target, key := task.Target()
	activity.GetLogger(ctx).Info("planned", "task", task.Name, "corpus", task.Corpus, "revision", from.Revision, "model", task.Transform.Teacher.Model)
	return PlanResult{
		TaskKey: frozen, Corpus: task.Corpus, Revision: from.Revision, Encoder: from.Encoder, Deduplicated: deduplicated, Endpoint: teacher.Endpoint(),
		InFlight: task.Transform.Teacher.Limits.InFlight, RPM: task.Transform.Teacher.Limits.RPM, TPM: task.Transform.Teacher.Limits.TPM,
		Price: price, Budget: task.Budget, Batch: task.Transform.Batch, Reason: task.Reason.Mode, Judge: judge, Rows: task.Retrieve.Rows, Target: target, TargetKey: key,
		Approval: task.Handoff.Approval, Deadline: task.Handoff.Deadline(), Approves: task.Handoff.ApprovalDefault == rebased.ApprovalApprove,
		Trigger: task.Handoff.Workflow, Targets: task.Handoff.Targets(), Delta: task.Output.Delta(), Against: len(task.Dedupe.Against), Sharded: a.shardedFrom(task),
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

// pin fixes the models that the task names, so that all steps of the build on all workers use the same, and a later look at the task knows which.
func (a *Plan) pin(ctx context.Context, task *rebased.Task) (err error) {
	if semantic := task.Dedupe.Semantic; semantic != nil {
		fixed := *semantic
		if fixed.Encoder, err = a.Encoders.Resolve(ctx, semantic.Encoder); err != nil {
			return fmt.Errorf("dedupe.semantic.encoder %s: %w", semantic.Encoder, err)
		}
		task.Dedupe.Semantic = &fixed
	}
	retrieve := &task.Retrieve
	named := retrieve.Encoder
	if retrieve.Encoder, err = a.Encoders.Resolve(ctx, named); err != nil {
		return fmt.Errorf("encoder %s: %w", named, err)
	}
	if retrieve.Rerank == nil {
		return nil
	}
	better := *retrieve.Rerank
	if better.Encoder, err = a.Encoders.Resolve(ctx, better.Encoder); err != nil {
		return fmt.Errorf("retrieve.rerank.encoder %s: %w", retrieve.Rerank.Encoder, err)
	}
	if better.Encoder == retrieve.Encoder {
		return rebased.E(rebased.Invalid, "retrieve.rerank.encoder: must be another one than retrieve.encoder, both are %s", better.Encoder)
	}
	retrieve.Rerank = &better
	return nil
}

// source says what the rows come from: the index, which must be fit for use, or what those of an earlier build came from, which needs none.
func (a *Plan) source(ctx context.Context, in PlanInput, task rebased.Task) (retrieved, error) {
	if in.Redrive != "" {
		record, found, err := readRetrieved(ctx, a.Objects, BuildRef{Task: in.Task, Build: in.Redrive})
		if err != nil || found {
			return record, err
		}
	}
	if err := a.Index.Ping(ctx); err != nil {
		return retrieved{}, fmt.Errorf("the vector index cannot be used (QDRANT_URL, QDRANT_API_KEY of the worker): %w", err)
	}
	encoder, err := a.Encoders.Open(ctx, task.Retrieve.Encoder)
	if err != nil {
		return retrieved{}, fmt.Errorf("encoder %s: %w", task.Retrieve.Encoder, err)
	}
	identity := encoder.Identity()
	if rerank := task.Retrieve.Rerank; rerank != nil {
		better, err := a.Encoders.Open(ctx, rerank.Encoder)
		if err != nil {
			return retrieved{}, fmt.Errorf("retrieve.rerank.encoder %s: %w", rerank.Encoder, err)
		}
		identity += " reranked by " + better.Identity()
	}
	found, err := findIndex(ctx, a.Objects, task.Corpus, encoder.Identity())
	if err != nil {
		return retrieved{}, err
	}
	return retrieved{Revision: found.Revision, Encoder: identity}, nil
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
