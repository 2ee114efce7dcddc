package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

func (a *app) estimateCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "estimate -f task.yaml",
		Short: "Tell what a build would ask and cost, before anything is spent",
		Long: `Tell what a build would ask and cost, before anything is spent: the rows are ranked as a build would, and each question is looked up among the
stored answers. Nothing is asked. The expected tokens are those of the task's stored answers, or, while there are few, one for four bytes. The bound
is what a budget sets aside: each call with as many tokens as it has bytes, answered at max_tokens.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.readTask(cmd, file)
			if err != nil {
				return err
			}
			return a.estimate(cmd.Context(), t)
		},
	}
	fileFlag(cmd, &file)
	return cmd
}

func (a *app) estimate(ctx context.Context, t taskFile) error {
	bucket, temporal, err := a.reach(ctx, a.connectToWorker)
	if err != nil {
		return err
	}
	defer temporal.Close()
	key, err := t.submit(ctx, bucket)
	if err != nil {
		return err
	}
	e, err := estimated(ctx, temporal, t.task.Name, key)
	if err != nil {
		return err
	}
	return a.console.Result(e, func(w io.Writer) { writeEstimate(w, e) })
}

// estimated has a worker estimate a task that was submitted.
func estimated(ctx context.Context, temporal *cluster.Cluster, task, key string) (e rebased.Estimate, err error) {
	id := workflows.EstimateID(task, newBuild(time.Now()))
	if err := temporal.StartEstimate(ctx, id, workflows.EstimateInput{Task: task, TaskKey: key}); err != nil {
		return e, err
	}
	if e, err = attended[rebased.Estimate](ctx, temporal, id); e.Skipped == nil {
		e.Skipped = map[string]int{}
	}
	return e, err
}

func writeEstimate(w io.Writer, e rebased.Estimate) {
	fmt.Fprintf(w, "%s: %s candidates from %s, revision %s\n", e.Task, console.Thousands(e.Candidates), e.Corpus, e.Revision)
	if skipped := byCount(e.Skipped); skipped != "" {
		fmt.Fprintf(w, "passed over: %s\n", skipped)
	}
	if e.Encoded > 0 {
		fmt.Fprintf(w, "encoded by retrieve.rerank, and kept: %s texts\n", console.Thousands(e.Encoded))
	}
	rows := make([][]string, 0, len(e.Steps)+1)
	for _, s := range e.Steps {
		calls := console.Thousands(s.Calls)
		if s.Most > s.Calls {
			calls += " to " + console.Thousands(s.Most)
		}
		rows = append(rows, []string{s.Step, console.Thousands(s.Stored), calls, tokens(s.Tokens), tokens(s.Bound)})
	}
	console.Table(w, []string{"STEP", "STORED", "CALLS", "TOKENS IN, OUT", "AT THEIR BOUND"}, rows)
	cost := "no price is known of " + console.OneLine(e.Model) + ": add it to the worker's price table (REBASED_PRICES)"
	if e.Priced {
		cost = fmt.Sprintf("%.4f USD by %s, at most %.4f USD unless unusable answers are asked for again", e.CostUSD, console.OneLine(e.Model), e.BoundUSD)
	}
	fmt.Fprintln(w, "cost: "+cost)
	if e.Target > 0 {
		fmt.Fprintf(w, "all candidates are counted; the build ends when %s rows are good\n", console.Thousands(e.Target))
	}
	switch {
	case e.Budget == rebased.Budget{}:
		fmt.Fprintln(w, "budget: none")
	case e.Covered():
		fmt.Fprintln(w, "budget: covers the bound")
	default:
		fmt.Fprintln(w, "budget: may run out; the build then waits for rebased builds raise-budget")
	}
}

func tokens(u rebased.Usage) string {
	return console.Thousands(int(u.InputTokens)) + ", " + console.Thousands(int(u.OutputTokens))
}
