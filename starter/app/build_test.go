package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

var counts = rebased.Counts{
	Retrieved: 3000, Rows: 2900, Rejected: map[rebased.Reason]int{"near_duplicate": 60, "unusable_answer": 40}, Skipped: map[string]int{"quota": 5},
	Calls: rebased.Calls{Made: 2000, Reused: 1000, Failed: 3}, Tokens: rebased.Usage{InputTokens: 1234567, OutputTokens: 89},
}

// resultIn is a result in a state, of the build that runs.
func resultIn(run *clustertest.Run, state rebased.State) rebased.BuildResult {
	task, build, _ := workflows.ParseBuildID(run.ID)
	return rebased.BuildResult{
		Build: build, Task: task, Version: "0123456789ab", State: state, URI: "s3://bucket/datasets/squad/0123456789ab/", Seconds: 12.5, Counts: counts,
	}
}

func TestBuildPrintsTheResultThatTheContractNames(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.temporal.Play = func(run *clustertest.Run) { run.End(resultIn(run, rebased.StateReleased), nil) }
	status, stdout, stderr := w.run("build", "-f", w.task(), "--json")
	run := w.temporal.Runs()[0]
	_, build, _ := workflows.ParseBuildID(run.ID)
	if !regexp.MustCompile(`^\d{8}-\d{6}-[0-9a-f]{4}$`).MatchString(build) {
		t.Errorf("build is called %q", build)
	}
	want := `{"build":"` + build + `","task":"squad","version":"0123456789ab","state":"released","cost_usd":0,` +
		`"uri":"s3://bucket/datasets/squad/0123456789ab/","seconds":12.5,"retrieved":3000,"rows":2900,` +
		`"rejected":{"near_duplicate":60,"unusable_answer":40},"skipped":{"quota":5},` +
		`"calls":{"made":2000,"reused":1000,"failed":3},"tokens":{"input":1234567,"output":89}}` + "\n"
	if status != 0 || stdout != want {
		t.Errorf("status %d\n%swant\n%s", status, stdout, want)
	}
	if stderr != "" {
		t.Errorf("stderr %q", stderr)
	}
	in := inputOf[workflows.BuildInput](t, run)
	uploaded, _, err := w.bucket.Get(t.Context(), in.TaskKey)
	if err != nil || in.Task != "squad" || in.TaskKey != rebased.TaskKey("squad", fmt.Sprintf("%x", sha256.Sum256(uploaded))) || in.Unattended {
		t.Errorf("input %s, %v", run.Input, err)
	}
}

func TestBuildPrintsTextForPeople(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.temporal.Play = func(run *clustertest.Run) { run.End(resultIn(run, rebased.StateReleased), nil) }
	status, stdout, _ := w.run("build", "-f", w.task())
	_, build, _ := workflows.ParseBuildID(w.temporal.Runs()[0].ID)
	want := "squad/" + build + `: released after 12.5s
  rows      2,900 of 3,000 retrieved
  rejected  60 near_duplicate, 40 unusable_answer
  skipped   5 quota
  calls     2,000 made, 1,000 reused, 3 failed; 1,234,567 tokens in, 89 out
  version   0123456789ab
  uri       s3://bucket/datasets/squad/0123456789ab/
`
	if status != 0 || stdout != want {
		t.Errorf("status %d\n%swant\n%s", status, stdout, want)
	}
}

func TestBuildIsRefusedBeforeAnythingIsStarted(t *testing.T) {
	t.Run("no corpus", func(t *testing.T) {
		w := newWorld(t)
		w.want([]string{"build", "-f", w.task()}, 2, "", "rebased: "+w.dir+
			"/task.yaml:2: corpus: no corpus hub in s3://bucket/: import it with rebased corpus import hub FOLDER\n")
		if runs := w.temporal.Runs(); len(runs) > 0 {
			t.Errorf("%d workflows were started", len(runs))
		}
	})
	t.Run("no worker", func(t *testing.T) {
		w := newWorld(t)
		w.corpus()
		w.temporal.Workers = 0
		w.want([]string{"build", "-f", w.task()}, 2, "", "rebased: no worker on task queue \"rebased\" of localhost:7233, namespace default: start rebased-worker\n")
		if runs := w.temporal.Runs(); len(runs) > 0 {
			t.Errorf("%d workflows were started", len(runs))
		}
	})
	t.Run("by the worker", func(t *testing.T) {
		w := newWorld(t)
		w.corpus()
		w.temporal.Play = func(run *clustertest.Run) {
			run.Show(rebased.Progress{State: rebased.StateRunning, Phase: "plan"}, rebased.StateRunning)
			<-run.Asked() // what was shown before a refusal would be a second line
			run.End(nil, temporal.NewNonRetryableApplicationError("corpus hub is not indexed: run rebased index hub", "refused", nil))
		}
		status, stdout, stderr := w.run("build", "-f", w.task(), "--json")
		if status != 2 || stdout != "" || stderr != "rebased: corpus hub is not indexed: run rebased index hub\n" {
			t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
		}
	})
}

func TestTheExitStatusFollowsTheEndOfTheBuild(t *testing.T) {
	cases := []struct {
		name   string
		play   func(run *clustertest.Run)
		status int
		stdout string
		stderr string // "" = any
	}{
		{"unchanged", func(run *clustertest.Run) { run.End(resultIn(run, rebased.StateUnchanged), nil) }, 0, `"state":"unchanged"`, ""},
		{"rejected", func(run *clustertest.Run) { run.End(resultIn(run, rebased.StateRejected), nil) }, 1, `"state":"rejected"`, ""},
		{"failed", func(run *clustertest.Run) {
			run.End(nil, temporal.NewNonRetryableApplicationError("none of the rows could be used", "invalid", nil))
		}, 1, `"state":"failed"`, "rebased: build squad/BUILD: none of the rows could be used"},
		{"canceled", func(run *clustertest.Run) { run.EndCanceled() }, 4, `"state":"canceled"`, "rebased: build squad/BUILD: canceled"},
		{"waits for approval", func(run *clustertest.Run) {
			run.Show(rebased.Progress{State: rebased.StateAwaitingApproval, Phase: "approval", Version: "0123456789ab", Counts: counts}, rebased.StateAwaitingApproval)
		}, 3, `"state":"awaiting_approval"`, ""},
		{"paused", func(run *clustertest.Run) {
			run.Show(rebased.Progress{State: rebased.StatePaused, Phase: "transform", Detail: "teacher: 401"}, rebased.StatePaused)
		}, 3, `"detail":"teacher: 401"`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.corpus()
			w.temporal.Play = c.play
			status, stdout, stderr := w.run("build", "-f", w.task(), "--json")
			_, build, _ := workflows.ParseBuildID(w.temporal.Runs()[0].ID)
			if status != c.status || !strings.Contains(stdout, c.stdout) {
				t.Errorf("status %d, want %d; stdout %s, want %s in it", status, c.status, stdout, c.stdout)
			}
			if want := strings.ReplaceAll(c.stderr, "BUILD", build); want != "" && stderr != want+"\n" {
				t.Errorf("stderr %q, want %q", stderr, want)
			}
		})
	}
}

func TestABuildThatWaitsSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.temporal.Add("build/squad/1", workflows.BuildDatasetName).Show(
		rebased.Progress{State: rebased.StateAwaitingApproval, Phase: "approval", Version: "0123456789ab"}, rebased.StateAwaitingApproval)
	status, stdout, stderr := w.run("builds", "watch", "squad/1")
	if status != 3 || stderr != "build squad/1\napproval\n" || !strings.Contains(stdout, "uri      s3://bucket/datasets/squad/0123456789ab/\n") ||
		!strings.Contains(stdout, "next     rebased builds approve squad/1, or rebased builds reject squad/1\n") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}

func TestDetachLeavesOnceAWorkerHasTakenTheBuild(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	status, stdout, _ := w.run("build", "-f", w.task(), "--detach")
	_, build, _ := workflows.ParseBuildID(w.temporal.Runs()[0].ID)
	if want := fmt.Sprintf("squad/%s: running after 0s\n  next  rebased builds watch squad/%s\n", build, build); status != 0 || stdout != want {
		t.Errorf("status %d\n%swant\n%s", status, stdout, want)
	}
}

func TestCtrlCLeavesTheBuildRunningAndSaysSo(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	ctx, interrupt := context.WithCancel(t.Context())
	w.ctx = ctx
	w.temporal.Play = func(run *clustertest.Run) {
		run.Show(rebased.Progress{State: rebased.StateRunning, Phase: "transform", Counts: counts}, rebased.StateRunning)
		interrupt()
	}
	status, stdout, stderr := w.run("build", "-f", w.task(), "--json")
	run := w.temporal.Runs()[0]
	name := strings.TrimPrefix(run.ID, "build/")
	want := fmt.Sprintf("%s goes on without you: rebased builds watch %s follows it, rebased builds cancel %s ends it\n", name, name, name)
	if status != 4 || !strings.HasSuffix(stderr, want) || !strings.Contains(stdout, `"state":"running"`) {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	select {
	case <-run.Canceled():
		t.Error("the build was canceled")
	default:
	}
}

func TestBuildNamesSortByTimeAndDiffer(t *testing.T) {
	at := time.Date(2026, 11, 22, 23, 5, 0, 0, time.FixedZone("", 2*3600))
	a, b := newBuild(at), newBuild(at.Add(time.Second))
	if !strings.HasPrefix(a, "20261122-210500-") || a >= b {
		t.Errorf("%q, %q", a, b)
	}
}

func TestCtrlCWhileABuildIsTakenSaysThatItGoesOn(t *testing.T) {
	for _, call := range []string{"ExecuteWorkflow", "DescribeWorkflowExecution"} {
		t.Run(call, func(t *testing.T) { interruptedAt(t, call) })
	}
}

func interruptedAt(t *testing.T, call string) {
	t.Helper()
	w := newWorld(t)
	w.corpus()
	ctx, interrupt := context.WithCancel(t.Context())
	w.ctx = ctx
	w.temporal.Asleep = true
	w.temporal.Lose = func(now string) error {
		if now != call {
			return nil
		}
		interrupt()
		return ctx.Err()
	}
	status, stdout, stderr := w.run("build", "-f", w.task(), "--json")
	runs := w.temporal.Runs()
	if len(runs) != 1 {
		t.Fatalf("%d builds, status %d, %s", len(runs), status, stderr)
	}
	task, build, _ := workflows.ParseBuildID(runs[0].ID)
	name := task + "/" + build
	if want := name + " goes on without you: rebased builds watch " + name + " follows it, rebased builds cancel " + name + " ends it\n"; status != 4 || stderr != want {
		t.Errorf("status %d, stderr %q, want %q", status, stderr, want)
	}
	if want := `{"build":"` + build + `","task":"squad","version":"","state":"running",`; !strings.HasPrefix(stdout, want) {
		t.Errorf("stdout %q", stdout)
	}
}

func TestABuildThatMayHaveBeenStartedIsNamed(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.temporal.Drop = func(call string) error {
		if call == "ExecuteWorkflow" || call == "DescribeWorkflowExecution" {
			return serviceerror.NewUnavailable("connection reset")
		}
		return nil
	}
	status, stdout, stderr := w.run("build", "-f", w.task())
	if !regexp.MustCompile(`^rebased: start build/squad/(\S+): connection reset: it may have been started: rebased builds show squad/\S+ tells\n$`).MatchString(stderr) ||
		status != 1 || stdout != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

func TestCtrlCWhileAPreviewIsTakenEndsIt(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	ctx, interrupt := context.WithCancel(t.Context())
	w.ctx = ctx
	w.temporal.Asleep = true
	w.temporal.Lose = func(call string) error {
		if call == "DescribeWorkflowExecution" {
			interrupt()
		}
		return nil
	}
	w.want([]string{"preview", "-f", w.task()}, 4, "", "rebased: interrupted\n")
	select {
	case <-w.temporal.Runs()[0].Canceled():
	default:
		t.Error("the preview goes on, and nobody waits for it")
	}
}
