package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

// connectToWorker reaches Temporal and a worker behind it.
func (a *app) connectToWorker(ctx context.Context) (*cluster.Cluster, error) {
	temporal, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := temporal.RequireWorker(ctx); err != nil {
		temporal.Close()
		return nil, err
	}
	return temporal, nil
}

// reach opens the bucket and a connection, which is to be closed.
func (a *app) reach(ctx context.Context, connect func(context.Context) (*cluster.Cluster, error)) (bucket store, temporal *cluster.Cluster, err error) {
	if bucket, err = a.bucket(ctx); err != nil {
		return nil, nil, err
	}
	temporal, err = connect(ctx)
	return bucket, temporal, err
}

// followCorpus shows the progress of an import or index run until its end.
func followCorpus[R any](ctx context.Context, a *app, temporal *cluster.Cluster, id, unit string) (R, error) {
	progress := a.console.Progress()
	result, _, err := cluster.Follow[workflows.CorpusProgress, R](ctx, temporal, cluster.Watch[workflows.CorpusProgress]{
		ID: id,
		Progress: func(p workflows.CorpusProgress) bool {
			if p.Phase == "" {
				return false // it has not begun
			}
			step := console.Step{Phase: p.Phase, Done: p.Done, Total: p.Total, Unit: unit}
			if p.Rows > 0 {
				step.Detail = console.Thousands(p.Rows) + " rows"
			}
			progress.Show(step)
			return false
		},
		Silent: func(message string) { a.console.Notef("%s", message) },
	})
	progress.Close()
	if ctx.Err() != nil {
		a.console.Notef("%s goes on without you: the same command follows it again", id)
		return result, &ended{exitCanceled}
	}
	return result, afterStart(err)
}

// afterStart marks the error of something that was started, unless it says itself how it ended.
func afterStart(err error) error {
	if err == nil {
		return nil
	}
	return failed{err}
}

// followBuild shows the progress of a build in one line until it ends or waits for a person, prints the result, and ends the command with the
// state's status.
func (a *app) followBuild(ctx context.Context, temporal *cluster.Cluster, bucket store, b cluster.Build) error {
	progress := a.console.Progress()
	announced := false
	return a.follow(ctx, temporal, bucket, b, follower{
		show: func(p rebased.Progress) {
			if p.Phase == "plan" {
				return // it may still be refused, and a refusal is one line
			}
			if !announced {
				announced = true
				a.console.Notef("build %s", b.Name())
			}
			step := buildStep(p)
			if p.Phase == "transform" && p.ToAsk > 0 {
				step.Done = min(p.Asked+temporal.UnderWay(ctx, b.ID()), p.ToAsk)
			}
			progress.Show(step)
		},
		note:  func(message string) { a.console.Notef("%s", message) },
		close: progress.Close,
	})
}

// follower is where the progress of a build that is followed is shown.
type follower struct {
	show  func(rebased.Progress)
	note  func(message string) // nobody answers
	close func()               // what is written next stands on a line of its own
}

// follow shows a build's progress until it ends, waits, or ctx ends, then prints the result.
func (a *app) follow(ctx context.Context, temporal *cluster.Cluster, bucket store, b cluster.Build, f follower) error {
	var last rebased.Progress
	result, finished, err := cluster.Follow[rebased.Progress, rebased.BuildResult](ctx, temporal, cluster.Watch[rebased.Progress]{
		ID: b.ID(),
		Progress: func(p rebased.Progress) bool {
			last = p
			if p.Phase == "" {
				return false
			}
			f.show(p)
			return p.State.Waits()
		},
		Silent: f.note,
	})
	f.close()
	b = timed(ctx, temporal, b)
	switch {
	case ctx.Err() != nil:
		a.console.Notef("%s goes on without you: rebased builds watch %s follows it, rebased builds cancel %s ends it", b.Name(), b.Name(), b.Name())
		if a.console.JSON {
			_ = a.printBuild(resultOf(bucket, b, last)) // the status tells all the same
		}
		return left(ctx)
	case err != nil:
		return a.buildFailed(ctx, bucket, b, last, err)
	case !finished:
		result = resultOf(bucket, b, last)
	}
	if err := a.printBuild(result); err != nil {
		return failed{err}
	}
	if status := statusOfState(result.State); status != exitDone {
		return &ended{status}
	}
	return nil
}

// timed adds to a build how long it has run; a Temporal that is slow to tell is not waited for.
func timed(ctx context.Context, temporal *cluster.Cluster, b cluster.Build) cluster.Build {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if now, err := temporal.Describe(ctx, b.Task, b.Build); err == nil {
		return now
	}
	return b
}

// buildFailed prints what is known of a build that failed or was canceled, then ends the command with its error.
func (a *app) buildFailed(ctx context.Context, bucket store, b cluster.Build, last rebased.Progress, err error) error {
	failure := asFailure(err)
	if failure == nil {
		return failed{fmt.Errorf("%w: the build may go on: rebased builds watch %s", err, b.Name())}
	}
	if failure.Refused {
		return failure
	}
	result := recorded(ctx, bucket, b)
	if result.Build == "" {
		result = resultOf(bucket, b, last)
	}
	result.State, result.Detail = failure.State, failure.Message
	if a.console.JSON {
		if err := a.printBuild(result); err != nil {
			return failed{err}
		}
	}
	return failed{fmt.Errorf("build %s: %w", b.Name(), failure)}
}

// buildStep is a build's progress as one line.
func buildStep(p rebased.Progress) console.Step {
	step := console.Step{Phase: p.Phase}
	if p.Phase == "transform" {
		step.Done, step.Total, step.Unit = p.Asked, p.ToAsk, "rows asked about"
	}
	var facts []string
	if p.Detail != "" && p.Phase == "plan" {
		facts = append(facts, p.Detail)
	}
	if p.Retrieved > 0 && p.Phase != "transform" {
		facts = append(facts, fmt.Sprintf("%s of %s rows", console.Thousands(p.Rows), console.Thousands(p.Retrieved)))
	}
	if p.Batches > 0 {
		facts = append(facts, fmt.Sprintf("%d batches under way at the provider", p.Batches))
	}
	if n := sum(p.Rejected); n > 0 {
		facts = append(facts, console.Thousands(n)+" rejected")
	}
	if n := p.Calls.Made + p.Calls.Reused; n > 0 {
		facts = append(facts, console.Thousands(n)+" calls")
	}
	switch {
	case p.Cap.USD > 0:
		facts = append(facts, fmt.Sprintf("%.4f of %.4f USD", p.Spent.USD, p.Cap.USD))
	case p.Spent.USD > 0:
		facts = append(facts, fmt.Sprintf("%.4f USD", p.Spent.USD))
	}
	if p.Cap.Tokens > 0 {
		facts = append(facts, fmt.Sprintf("%s of %s tokens", console.Thousands(int(p.Spent.Tokens)), console.Thousands(int(p.Cap.Tokens))))
	}
	step.Detail = strings.Join(facts, ", ")
	return step
}

func sum[K comparable](counts map[K]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// byCount lists counts as text, the largest first; those of zero are left out.
func byCount[K ~string](counts map[K]int) string {
	keys := make([]K, 0, len(counts))
	for k, n := range counts {
		if n > 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b K) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(string(a), string(b))
	})
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = fmt.Sprintf("%s %s", console.Thousands(counts[k]), k)
	}
	return strings.Join(words, ", ")
}
