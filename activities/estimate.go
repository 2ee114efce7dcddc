package activities

import (
	"context"
	"fmt"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/activities/reason"
	"github.com/rebased/rebased/activities/transform"
)

// Estimate tells what a build would ask its teacher.
type Estimate struct{ *Teaching }

// EstimateInput names what was planned and retrieved.
type EstimateInput struct {
	BuildRef
	Plan   PlanResult `json:"plan"`
	Ranked RankResult `json:"ranked"`
}

// What is taken of answers of which none is stored yet.
const (
	bytesOfToken    = 4   // of English text, as the providers say of theirs
	rationaleTokens = 120 // a few short sentences
	enoughStored    = 10  // answers, to go by what they used
	formOfAnswer    = 24  // bytes of the JSON around an example
)

// Calls goes through the steps that ask, with the stored answers alone.
func (a *Estimate) Calls(ctx context.Context, in EstimateInput) (rebased.Estimate, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	out, err := a.calls(work, in, progress)
	return out, translate(ctx, err)
}

func (a *Estimate) calls(ctx context.Context, in EstimateInput, progress func(int)) (rebased.Estimate, error) {
	task, _, err := a.task(ctx, in.BuildRef)
	if err != nil {
		return rebased.Estimate{}, err
	}
	teacher, err := a.Teachers.Open(task.Transform.Teacher)
	if err != nil {
		return rebased.Estimate{}, err
	}
	transforms := tally{Unasked: llm.Unasked{Teacher: teacher}}
	reasons := tally{Unasked: llm.Unasked{Teacher: teacher}}
	done := 0
	for n := range in.Ranked.Shards {
		rows, err := a.Candidates.Read(ctx, in.key(folderRetrieved, n))
		if err != nil {
			return rebased.Estimate{}, fmt.Errorf("read shard %d: %w", n, err)
		}
		examples, err := stored(ctx, a.Store, &transforms, task, rows, transform.Shard)
		if err != nil {
			return rebased.Estimate{}, err
		}
		if task.Reason.Mode != rebased.ReasonNone {
			if _, err := stored(ctx, a.Store, &reasons, task, examples, reason.Shard); err != nil {
				return rebased.Estimate{}, err
			}
		}
		done += len(rows)
		progress(done)
	}
	out := rebased.Estimate{
		Task: task.Name, Corpus: in.Plan.Corpus, Revision: in.Plan.Revision, Model: task.Transform.Teacher.Model, Candidates: in.Ranked.Rows,
		Target: in.Plan.Target, Skipped: in.Ranked.Skipped, Encoded: in.Ranked.Encoded, Budget: in.Plan.Budget,
		Priced: in.Plan.Price != (rebased.Price{}),
	}
	first := transforms.estimate(transform.Step, task, 1, 1, exampleTokens(task))
	out.Steps = append(out.Steps, first)
	if task.Reason.Mode != rebased.ReasonNone {
		usual, most := reason.CallsOfRow(task)
		for _, r := range reason.Requests(teacher.Endpoint(), task, examplesOf(task)) { // what the rows yet to be transformed will look like
			reasons.typical += llm.Bound(r).InputTokens
			reasons.typicals++
		}
		reasons.unmade = first.Calls
		out.Steps = append(out.Steps, reasons.estimate(reason.Step, task, usual, most, rationaleTokens))
	}
	for _, s := range out.Steps {
		out.Tokens, out.Bound = out.Tokens.Add(s.Tokens), out.Bound.Add(s.Bound)
	}
	out.CostUSD = rebased.Amount{Pico: in.Plan.Price.Cost(out.Tokens, 0, 0, in.Plan.Batch)}.USD()
	out.BoundUSD = rebased.Amount{Pico: in.Plan.Price.Cost(out.Bound, 0, 0, in.Plan.Batch)}.USD()
	return out, nil
}

// stored runs a step on a shard with what is stored alone, and gives the examples that come of it.
func stored[T any](
	ctx context.Context, store *llm.Store, t *tally, task rebased.Task, rows []T,
	shard func(context.Context, *llm.Runner, rebased.Task, []T, llm.Charge, func(int)) (llm.Shard, error),
) ([]rebased.Example, error) {
	made, err := shard(ctx, &llm.Runner{Teacher: &t.Unasked, Store: store}, task, rows, llm.Charge{}, func(int) {})
	if err != nil {
		return nil, err
	}
	t.stored += made.Calls.Reused
	t.used = t.used.Add(made.Tokens)
	return made.Examples, nil
}

// tally is what one step has stored and what it lacks.
type tally struct {
	llm.Unasked
	stored int           // answers
	used   rebased.Usage // by them

	unmade            int   // rows that the step before has yet to make
	typical, typicals int64 // bytes and number of requests such as theirs
}

// estimate tells of a step that asks about a row a usual number of times and at most a most one; output is what an answer has, in tokens, where too
// few are stored to know.
func (t *tally) estimate(step string, task rebased.Task, usual, most, output int) rebased.StepEstimate {
	prompts, bytes := t.Prompts()
	maxTokens := int64(task.Transform.Teacher.MaxTokens)
	bound := bytes // of one call about each row
	if t.unmade > 0 && t.typicals > 0 {
		bytes += int64(t.unmade) * t.typical / t.typicals
		bound = bytes + int64(t.unmade)*maxTokens*bytesOfToken // their inputs are as long as an answer may be
	}
	rows := prompts + t.unmade
	out := rebased.StepEstimate{Step: step, Stored: t.stored, Calls: rows * usual, Most: rows * most}
	out.Tokens = rebased.Usage{InputTokens: bytes * int64(usual) / bytesOfToken, OutputTokens: int64(out.Calls) * int64(output)}
	if n := int64(t.stored); n >= enoughStored {
		out.Tokens = rebased.Usage{InputTokens: int64(out.Calls) * t.used.InputTokens / n, OutputTokens: int64(out.Calls) * t.used.OutputTokens / n}
	}
	out.Bound = rebased.Usage{InputTokens: bound * int64(most), OutputTokens: int64(out.Most) * maxTokens}
	return out
}

// exampleTokens is how long the task's examples are, as an answer writes them.
func exampleTokens(task rebased.Task) int {
	bytes := 0
	for _, e := range task.Examples {
		bytes += len(e.Input) + len(e.Output) + formOfAnswer
	}
	return bytes / len(task.Examples) / bytesOfToken
}

// examplesOf gives the task's examples as a step makes them.
func examplesOf(task rebased.Task) []rebased.Example {
	out := make([]rebased.Example, len(task.Examples))
	for i, e := range task.Examples {
		out[i] = rebased.Example{Input: e.Input, Output: e.Output, Answer: e.Target()}
	}
	return out
}
