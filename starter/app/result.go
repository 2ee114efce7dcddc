package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
)

// resultOf is the result so far of a build that runs, waits, or left no result.
func resultOf(bucket store, b cluster.Build, p rebased.Progress) rebased.BuildResult {
	result := rebased.BuildResult{
		Build: b.Build, Task: b.Task, Version: p.Version, State: p.State, Seconds: b.Seconds, Detail: p.Detail, CostUSD: p.Spent.USD, Counts: p.Counts,
	}
	if result.State == "" {
		result.State = b.State
	}
	if p.Version != "" && bucket != nil {
		result.URI = bucket.URI(rebased.VersionKey(b.Task, p.Version)) + "/"
	}
	return result
}

// recorded is the result that the worker wrote into a build's folder; zero when there is none.
func recorded(ctx context.Context, bucket store, b cluster.Build) (result rebased.BuildResult) {
	if bucket == nil {
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body, _, err := bucket.Get(ctx, rebased.BuildKey(b.Task, b.Build, "result.json"))
	if err != nil || json.Unmarshal(body, &result) != nil {
		return rebased.BuildResult{}
	}
	return result
}

func asFailure(err error) *cluster.Failure {
	var failure *cluster.Failure
	errors.As(err, &failure)
	return failure
}

// printBuild prints a result: the JSON form is a contract, the text is for people.
func (a *app) printBuild(r rebased.BuildResult) error {
	if r.Rejected == nil {
		r.Rejected = map[rebased.Reason]int{}
	}
	if r.Skipped == nil {
		r.Skipped = map[string]int{}
	}
	return a.console.Result(r, func(w io.Writer) { writeBuild(w, r) })
}

func writeBuild(w io.Writer, r rebased.BuildResult) {
	name := r.Task + "/" + r.Build
	fmt.Fprintf(w, "%s: %s after %s\n", name, r.State, (time.Duration(r.Seconds * float64(time.Second))).Round(time.Second/10))
	var rows [][]string
	add := func(label, text string) {
		if text != "" {
			rows = append(rows, []string{"  " + label, text})
		}
	}
	add("because", r.Detail)
	add("decided", r.DecidedBy)
	if r.Retrieved > 0 {
		add(rowsLabel, fmt.Sprintf("%s of %s retrieved", console.Thousands(r.Rows), console.Thousands(r.Retrieved)))
		add("rejected", byCount(r.Rejected))
		add("skipped", byCount(r.Skipped))
		add("calls", fmt.Sprintf("%s made, %s reused, %s failed; %s tokens in, %s out", console.Thousands(r.Calls.Made), console.Thousands(r.Calls.Reused),
			console.Thousands(r.Calls.Failed), console.Thousands(int(r.Tokens.InputTokens)), console.Thousands(int(r.Tokens.OutputTokens))))
	}
	if r.CostUSD > 0 {
		add("cost", fmt.Sprintf("%.4f USD", r.CostUSD))
	}
	add("version", r.Version)
	add("uri", r.URI)
	add("next", nextStep(r, name))
	console.Table(w, nil, rows)
}

// nextStep says what a person can do about a build.
func nextStep(r rebased.BuildResult, name string) string {
	switch r.State {
	case rebased.StateSuperseded:
		if r.SupersededBy != "" {
			return "rebased builds show " + r.Task + "/" + r.SupersededBy
		}
	case rebased.StateRunning:
		return "rebased builds watch " + name
	case rebased.StateAwaitingApproval:
		return fmt.Sprintf("rebased builds approve %s, or rebased builds reject %s", name, name)
	case rebased.StatePaused:
		return "see to the cause, then rebased builds resume " + name
	case rebased.StateBudgetExhausted:
		return fmt.Sprintf("rebased builds raise-budget %s --usd or --tokens, or rebased builds cancel %s", name, name)
	}
	return ""
}
