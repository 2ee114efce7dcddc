// Package transform has a teacher rewrite retrieved rows into examples of the task. It stands between retrieve and reason: a shard of
// candidates goes in; examples and typed rejects come out, in the order of the candidates.
package transform

import (
	"context"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// Step is the name of this step in rejects.
const Step = "transform"

// Requests are the first requests that Shard sends for candidates.
func Requests(endpoint string, task rebased.Task, candidates []rebased.Candidate) []llm.Request {
	return llm.Requests(endpoint, params(task, llm.Charge{}), len(candidates), questions(task, candidates, nil))
}

func params(task rebased.Task, charge llm.Charge) llm.Params {
	p := llm.ParamsOf(task.Transform.Teacher, system, charge)
	p.Schema = schema
	return p
}

func questions(task rebased.Task, candidates []rebased.Candidate, c *checker) func(i int) llm.Question[example] {
	sections := taskSections(task)
	read := func(a llm.Answer) (example, *llm.Problem) {
		e, problem := parse(a)
		if problem == nil {
			problem = c.check(e)
		}
		return e, problem
	}
	return func(i int) llm.Question[example] {
		return llm.Question[example]{Prompt: prompt(sections, candidates[i], task.Transform.CellChars), Shared: len(sections), Parse: read}
	}
}

// Shard transforms candidates within what the charge lets. done is told how many rows are done, from several goroutines. Errors are
// those of llm.Run; the answers that were paid by then are stored.
func Shard(
	ctx context.Context, runner *llm.Runner, task rebased.Task, candidates []rebased.Candidate, charge llm.Charge, done func(int),
) (llm.Shard, error) {
	c, err := newChecker(task.Transform.Constraints)
	if err != nil {
		return llm.Shard{}, err
	}
	outcomes, bill, err := llm.Run(ctx, runner, params(task, charge), len(candidates), questions(task, candidates, c), done)
	result := llm.Shard{Bill: bill}
	if err != nil || bill.Short != nil {
		return result, err
	}
	for i, c := range candidates {
		o := outcomes[i]
		result.Tokens = result.Tokens.Add(o.Usage)
		lineage := rebased.LineageOf(c)
		lineage.Responses, lineage.Teacher = o.Responses, o.Model
		if o.Problem != nil {
			result.Rejects = append(result.Rejects, rebased.Reject{
				Lineage: lineage, Step: Step, Reason: o.Problem.Reason, Detail: o.Problem.Detail, Attempts: o.Attempts, Usage: o.Usage,
			})
			continue
		}
		result.Examples = append(result.Examples, rebased.Example{
			Input: o.Value.input, Output: o.Value.output, Answer: rebased.ShortAnswer(o.Value.output), Lineage: lineage, Usage: o.Usage,
		})
	}
	return result, nil
}
