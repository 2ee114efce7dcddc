package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func TestBuildsAreListed(t *testing.T) {
	w := newWorld(t)
	w.want(args("builds ls"), 0, "", "no builds\n")
	first := w.temporal.Add("build/squad/1", workflows.BuildDatasetName)
	first.End(resultIn(first, rebased.StateReleased), nil)
	w.temporal.Add("build/other/2", workflows.BuildDatasetName).EndCanceled()
	w.want(args("builds ls"), 0, "BUILD    STATE     STARTED               TOOK\n"+
		"other/2  canceled  2026-11-22T21:02:00Z  1m30s\nsquad/1  released  2026-11-22T21:01:00Z  1m30s\n", "")
	w.want(args("builds ls squad --json"), 0, `{"build":"1","task":"squad","state":"released","started":"2026-11-22T21:01:00Z",`+
		`"ended":"2026-11-22T21:02:30Z","seconds":90}`+"\n", "")
	w.want(args("builds ls --state canceled -n 1"), 0, "BUILD    STATE     STARTED               TOOK\nother/2  canceled  2026-11-22T21:02:00Z  1m30s\n", "")
}

func TestShowTellsAResultAFailureOrTheProgress(t *testing.T) {
	w := newWorld(t)
	released := w.temporal.Add("build/squad/1", workflows.BuildDatasetName)
	released.End(resultIn(released, rebased.StateReleased), nil)
	w.want(args("builds show squad/1"), 0, "squad/1: released after 12.5s\n  rows      2,900 of 3,000 retrieved\n…", "")

	failed := w.temporal.Add("build/squad/2", workflows.BuildDatasetName)
	failed.End(nil, temporal.NewNonRetryableApplicationError("teacher is gone", "unavailable", nil))
	w.want(args("builds show squad/2"), 0, "squad/2: failed after 1m30s\n  because  teacher is gone\n", "")
	w.put(rebased.BuildKey("squad", "2", "result.json"), resultIn(failed, rebased.StateFailed))
	w.want(args("builds show squad/2"), 0, "squad/2: failed after 12.5s\n  because   teacher is gone\n  rows      2,900 of 3,000 retrieved\n…", "")

	w.temporal.Add("build/squad/3", workflows.BuildDatasetName).Show(
		rebased.Progress{State: rebased.StateRunning, Phase: "transform", Counts: counts}, rebased.StateRunning)
	status, stdout, _ := w.run("builds", "show")
	if status != 0 || !strings.HasPrefix(stdout, "squad/3: running after ") || !strings.Contains(stdout, "rebased builds watch squad/3") {
		t.Errorf("status %d\n%s", status, stdout)
	}
	w.want(args("builds show squad/9"), 2, "", "rebased: no build squad/9: rebased builds ls lists them\n")
}

func TestApproveTakesThePersonToTheBuildThatWaits(t *testing.T) {
	w := newWorld(t)
	var got workflows.Decision
	w.temporal.Update = func(_ *clustertest.Run, name string, decision any) (rebased.Progress, error) {
		got, _ = decision.(workflows.Decision)
		return rebased.Progress{State: rebased.StateRunning}, nil
	}
	w.want(args("builds approve"), 2, "", "rebased: no build that is awaiting_approval: rebased builds ls lists all\n")
	w.temporal.Add("build/squad/1", workflows.BuildDatasetName).Show(nil, rebased.StateAwaitingApproval)
	w.temporal.Add("build/squad/2", workflows.BuildDatasetName)
	w.want([]string{"builds", "approve", "--reason", "looks good"}, 0, "squad/1: running after …", "")
	if want := (workflows.Decision{By: "ada", Reason: "looks good"}); got != want {
		t.Errorf("decision %+v, want %+v", got, want)
	}
}

func TestADecisionThatIsNotAnsweredIsNotRefused(t *testing.T) {
	w := newWorld(t)
	w.temporal.Add("build/squad/1", workflows.BuildDatasetName).Show(nil, rebased.StateAwaitingApproval)
	w.temporal.Drop = func(call string) error {
		if call == "UpdateWorkflow" {
			return serviceerror.NewUnavailable("connection reset")
		}
		return nil
	}
	w.want(args("builds approve"), 1, "", "rebased: approve squad/1: connection reset: it may still take effect: rebased builds show squad/1 tells\n")
}

func TestCancelEndsABuild(t *testing.T) {
	w := newWorld(t)
	run := w.temporal.Add("build/squad/1", workflows.BuildDatasetName)
	go func() { <-run.Canceled(); run.EndCanceled() }()
	w.want(args("builds cancel squad/1"), 0, "squad/1: canceled after 1m30s\n  because  canceled\n", "")
	w.want(args("builds cancel squad/1"), 2, "", "rebased: cancel squad/1: it has ended: rebased builds show squad/1 says how\n")
}

func TestRaiseBudgetTakesThePersonToTheBuildThatWaitsAtItsBudget(t *testing.T) {
	w := newWorld(t)
	var got any
	w.temporal.Update = func(_ *clustertest.Run, _ string, r any) (rebased.Progress, error) {
		got = r
		return rebased.Progress{State: rebased.StateRunning, Spent: rebased.Spend{USD: 1.25}}, nil
	}
	w.want(args("builds raise-budget"), 2, "", "rebased: --usd or --tokens is required: the new budget in all: see rebased builds raise-budget --help\n")
	w.want(args("builds raise-budget --usd -1"), 2, "", "rebased: --usd and --tokens must not be negative: see rebased builds raise-budget --help\n")
	w.want(args("builds raise-budget --usd 2"), 2, "", "rebased: no build that is budget_exhausted: rebased builds ls lists all\n")
	exhausted := w.temporal.Add("build/squad/1", workflows.BuildDatasetName)
	exhausted.Heartbeats = []any{200, "no number", 34}
	exhausted.Show(rebased.Progress{
		State: rebased.StateBudgetExhausted, Phase: "transform", Asked: 1000, ToAsk: 6000, Spent: rebased.Spend{USD: 1.25, Tokens: 900}, Cap: rebased.Spend{USD: 1.3, Tokens: 1000},
		Detail: "the budget does not cover the next call",
	}, rebased.StateBudgetExhausted)
	status, stdout, stderr := w.run("builds", "watch", "squad/1")
	if status != 3 || !strings.Contains(stderr, "transform 1,234/6,000 rows asked about: 1.2500 of 1.3000 USD, 900 of 1,000 tokens") || !strings.Contains(stdout, "cost     1.2500 USD\n") ||
		!strings.Contains(stdout, "next     rebased builds raise-budget squad/1 --usd or --tokens, or rebased builds cancel squad/1\n") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	w.want([]string{"builds", "raise-budget", "--usd", "2.5", "--reason", "worth it"}, 0, "squad/1: running after …", "")
	if want := (workflows.BudgetRaise{Decision: workflows.Decision{By: "ada", Reason: "worth it"}, USD: 2.5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRedriveStartsABuildThatNamesTheOldOne(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.want(args("builds redrive squad/1"), 2, "", "rebased: --reason is required: why the rows to try again were rejected; or --without: what to leave out: see rebased builds redrive --help\n")
	status, _, stderr := w.run("builds", "redrive", "squad/1", "--reason", "duplicate")
	if status != 2 || !strings.Contains(stderr, `got "duplicate"`) {
		t.Errorf("status %d: %s", status, stderr)
	}
	w.temporal.Add("build/squad/1", workflows.BuildDatasetName).Show(nil, rebased.StateRunning)
	status, _, stderr = w.run("builds", "redrive", "squad/1", "--reason", "refused")
	if status != 2 || !strings.Contains(stderr, "squad/1 is running") {
		t.Errorf("status %d: %s", status, stderr)
	}
	w.temporal.Add("build/squad/2", workflows.BuildDatasetName).Show(nil, rebased.StateAwaitingApproval)
	for _, extra := range [][]string{nil, {"-f", w.task()}} {
		status, stdout, stderr := w.run(append([]string{"builds", "redrive", "squad/2", "--reason", "refused,too_long", "--detach"}, extra...)...)
		runs := w.temporal.Runs()
		var in workflows.BuildInput
		if err := json.Unmarshal(runs[len(runs)-1].Input, &in); err != nil {
			t.Fatal(err)
		}
		own := in.TaskKey == "builds/squad/2/task.yaml"
		if status != 0 || !strings.Contains(stdout, "running") || in.Task != "squad" || own != (extra == nil) ||
			in.Redrive == nil || in.Redrive.Build != "2" || fmt.Sprint(in.Redrive.Reasons) != "[refused too_long]" {
			t.Errorf("status %d, started %+v\n%s%s", status, in, stdout, stderr)
		}
	}
}

func TestADecisionAboutABuildThatDoesNotWaitSaysWhatItDoes(t *testing.T) {
	w := newWorld(t)
	w.temporal.Add("build/squad/1", workflows.BuildDatasetName).Show(nil, rebased.StateRunning)
	w.want(args("builds approve squad"), 2, "", "rebased: no build that is awaiting_approval called \"squad\": squad/1 is running\n")
	w.want(args("builds raise-budget squad --usd much"), 2, "", "rebased: invalid argument \"much\" for \"--usd\" flag: see rebased builds raise-budget --help\n")
}
