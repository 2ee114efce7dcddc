package activities

import (
	"context"
	"fmt"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/judge"
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
	scoreTokens     = 40  // a score and a sentence
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
	steps := []*tally{newTally(transform.Step, task.Transform.Teacher, teacher, in.Plan.Price)}
	steps[0].output = exampleTokens(task)
	if task.Reason.Mode != rebased.ReasonNone {
		t := newTally(reason.Step, task.Transform.Teacher, teacher, in.Plan.Price)
		t.usual, t.most = reason.CallsOfRow(task)
		t.output, t.typical = rationaleTokens, reason.Requests(teacher.Endpoint(), task, examplesOf(task))
		steps = append(steps, t)
	}
	if task.Judge != nil {
		judging, err := a.Teachers.Open(task.JudgeTeacher())
		if err != nil {
			return rebased.Estimate{}, err
		}
		t := newTally(judge.Step, task.JudgeTeacher(), judging, in.Plan.Judge.Price)
		t.output, t.typical = scoreTokens, judge.Requests(judging.Endpoint(), task, examplesOf(task))
		steps = append(steps, t)
	}
	done := 0
	for n := range in.Ranked.Shards {
		rows, err := a.Candidates.Read(ctx, in.key(folderRetrieved, n))
		if err != nil {
			return rebased.Estimate{}, fmt.Errorf("read shard %d: %w", n, err)
		}
		examples, err := stored(ctx, a.Store, steps[0], task, rows, transform.Shard)
		for _, t := range steps[1:] {
			shard := reason.Shard
			if t.step == judge.Step {
				shard = judge.Shard
			}
			if err == nil {
				examples, err = stored(ctx, a.Store, t, task, examples, shard)
			}
		}
		if err != nil {
			return rebased.Estimate{}, err
		}
		done += len(rows)
		progress(done)
	}
	out := rebased.Estimate{
		Task: task.Name, Corpus: in.Plan.Corpus, Revision: in.Plan.Revision, Model: task.Transform.Teacher.Model, Candidates: in.Ranked.Rows,
		Target: in.Plan.Target, Skipped: in.Ranked.Skipped, Encoded: in.Ranked.Encoded, Budget: in.Plan.Budget, Priced: true,
	}
	var expected, bound int64 // picodollars
	unmade := 0
	for _, t := range steps {
		s := t.estimate(unmade)
		prompts, _ := t.Prompts()
		unmade += prompts
		out.Steps = append(out.Steps, s)
		out.Tokens, out.Bound = out.Tokens.Add(s.Tokens), out.Bound.Add(s.Bound)
		expected, bound = expected+t.price.Cost(s.Tokens, 0, 0, in.Plan.Batch), bound+t.price.Cost(s.Bound, 0, 0, in.Plan.Batch)
		out.Priced = out.Priced && t.price != (rebased.Price{})
	}
	if out.Priced {
		out.CostUSD, out.BoundUSD = rebased.Amount{Pico: expected}.USD(), rebased.Amount{Pico: bound}.USD()
	}
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
	step      string
	maxTokens int
	price     rebased.Price
	// A row is asked about a usual number of times and at most a most one; output is what an answer has, in tokens, where too few are stored to know.
	usual, most, output int
	typical             []llm.Request // about rows that the steps before have yet to make, as far as the task's examples tell

	stored int           // answers
	used   rebased.Usage // by them
}

func newTally(step string, spec rebased.Teacher, teacher llm.Teacher, price rebased.Price) *tally {
	return &tally{Unasked: llm.Unasked{Teacher: teacher}, step: step, maxTokens: spec.MaxTokens, price: price, usual: 1, most: 1}
}

// estimate tells of the step, when the steps before it have yet to make so many rows.
func (t *tally) estimate(unmade int) rebased.StepEstimate {
	prompts, bytes := t.Prompts()
	bound := bytes // of one call about each row
	if n := len(t.typical); unmade > 0 && n > 0 {
		all := int64(0)
		for _, r := range t.typical {
			all += llm.Bound(r).InputTokens
		}
		bytes += int64(unmade) * all / int64(n)
		bound = bytes + int64(unmade)*int64(t.maxTokens)*bytesOfToken // their inputs are as long as an answer may be
	}
	rows := prompts + unmade
	out := rebased.StepEstimate{Step: t.step, Stored: t.stored, Calls: rows * t.usual, Most: rows * t.most}
	out.Tokens = rebased.Usage{InputTokens: bytes * int64(t.usual) / bytesOfToken, OutputTokens: int64(out.Calls) * int64(t.output)}
	if n := int64(t.stored); n >= enoughStored {
		out.Tokens = rebased.Usage{InputTokens: int64(out.Calls) * t.used.InputTokens / n, OutputTokens: int64(out.Calls) * t.used.OutputTokens / n}
	}
	out.Bound = rebased.Usage{InputTokens: bound * int64(t.most), OutputTokens: int64(out.Most) * int64(t.maxTokens)}
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
