package cluster_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func connect(server *clustertest.Temporal) *cluster.Cluster {
	return cluster.New(server, "localhost:7233", "default", time.Millisecond)
}

var squad = workflows.BuildInput{Task: "squad", TaskKey: "tasks/squad/x.yaml"}

func wantError(t *testing.T, err error, kind rebased.Kind, message string) {
	t.Helper()
	if err == nil || err.Error() != message || rebased.KindOf(err) != kind {
		t.Errorf("\n got %v (%s)\nwant %s (%s)", err, rebased.KindOf(err), message, kind)
	}
}

func TestDialSaysThatTemporalIsDown(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, err = cluster.Dial(t.Context(), cluster.Options{Environ: []string{"TEMPORAL_CONFIG_FILE=" + t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS=" + address}})
	if rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("kind %q of %v", rebased.KindOf(err), err)
	}
	for _, want := range []string{"cannot reach Temporal at " + address + " (", "): start it, or set TEMPORAL_ADDRESS"} {
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q does not hold %q in one line", err, want)
		}
	}
}

func TestDialRefusesSettingsThatCannotBeRead(t *testing.T) {
	_, err := cluster.Dial(t.Context(), cluster.Options{Environ: []string{"TEMPORAL_PROFILE=none", "TEMPORAL_CONFIG_FILE=" + t.TempDir() + "/none.toml"}})
	wantError(t, err, rebased.Invalid, "read the settings of Temporal (TEMPORAL_*): unable to find profile none in config data")
}

func TestRequireWorkerSaysThatNoneIsThere(t *testing.T) {
	wantError(t, connect(&clustertest.Temporal{}).RequireWorker(t.Context()), rebased.Unavailable,
		`no worker on task queue "rebased" of localhost:7233, namespace default: start rebased-worker`)
	if err := connect(&clustertest.Temporal{Workers: 1}).RequireWorker(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWorkersMustBeOfTheVersionThatNewWorkflowsGoTo(t *testing.T) {
	for _, c := range []struct{ version, current, says string }{
		{"", "", `1 on task queue "rebased", last heard of 2026-11-22T21:00:00Z`},
		{"rebased:v2", "rebased:v2", `1 on task queue "rebased" (workers of rebased:v2; new workflows go to workers of rebased:v2), last heard of 2026-11-22T21:00:00Z`},
	} {
		if said, err := connect(&clustertest.Temporal{Workers: 1, Version: c.version, Current: c.current}).Workers(t.Context()); err != nil || said != c.says {
			t.Errorf("%q, %v", said, err)
		}
	}
	for _, c := range []struct{ version, current, says string }{
		{"rebased:v2", "", `new workflows go to workers without a version, and on task queue "rebased" of localhost:7233, namespace default there are only workers of rebased:v2: ` +
			`start those, or make these the current ones: temporal worker deployment set-current-version --deployment-name rebased --build-id v2`},
		{"rebased:v1", "rebased:v2", `new workflows go to workers of rebased:v2, and on task queue "rebased" of localhost:7233, namespace default there are only workers of rebased:v1: ` +
			`start those, or make these the current ones: temporal worker deployment set-current-version --deployment-name rebased --build-id v1`},
		{"", "rebased:v2", `new workflows go to workers of rebased:v2, and on task queue "rebased" of localhost:7233, namespace default there are only workers without a version: ` +
			`start those, or make these the current ones: temporal worker deployment set-current-version --deployment-name rebased --unversioned`},
	} {
		wantError(t, connect(&clustertest.Temporal{Workers: 1, Version: c.version, Current: c.current}).RequireWorker(t.Context()), rebased.Unavailable, c.says)
	}
}

func TestABuildIsStartedUnderItsIDOnce(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	if err := c.StartBuild(t.Context(), "b1", squad); err != nil {
		t.Fatal(err)
	}
	run := server.Runs()[0]
	if run.ID != "build/squad/b1" || run.Type != "BuildDataset" || run.Options.TaskQueue != "rebased" {
		t.Errorf("started %s of %s on %s", run.ID, run.Type, run.Options.TaskQueue)
	}
	if want := `{"task":"squad","task_key":"tasks/squad/x.yaml"}`; string(run.Input) != want {
		t.Errorf("input %s, want %s", run.Input, want)
	}
	if value, ok := run.Options.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword("RebasedTask")); !ok || value != "squad" {
		t.Errorf("search attribute RebasedTask = %q", value)
	}
	run.End(rebased.BuildResult{}, nil)
	wantError(t, c.StartBuild(t.Context(), "b1", squad), rebased.Conflict, "build/squad/b1 runs already")
}

func TestAnImportRunsOnceAtATime(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	for _, want := range []string{"", "import/hub runs already"} {
		if err := c.StartImport(t.Context(), workflows.ImportInput{Corpus: "hub"}); want != "" {
			wantError(t, err, rebased.Conflict, want)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	server.Runs()[0].End(workflows.ImportResult{}, nil)
	if err := c.StartImport(t.Context(), workflows.ImportInput{Corpus: "hub"}); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
}

func TestAWorkflowThatNoWorkerTakesIsWithdrawn(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1, Asleep: true}
	err := connect(server).StartIndex(t.Context(), workflows.IndexInput{Corpus: "hub"})
	wantError(t, err, rebased.Unavailable, `no worker on task queue "rebased" of localhost:7233, namespace default: start rebased-worker`)
	_, _, err = cluster.Follow[workflows.CorpusProgress, workflows.IndexResult](t.Context(), connect(server), cluster.Watch[workflows.CorpusProgress]{ID: "index/hub", Silent: func(string) {}})
	if err == nil || err.Error() != "terminated" {
		t.Errorf("the workflow is left: %v", err)
	}
}

func TestAWorkflowThatEveryWorkerFailsAtIsWithdrawnAndSaysWhy(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1, Fails: "the key is not\nthere"}
	err := connect(server).StartIndex(t.Context(), workflows.IndexInput{Corpus: "hub"})
	wantError(t, err, rebased.Unavailable, `no worker can do the first step of index/hub: the key is not there`)
	_, _, err = cluster.Follow[workflows.CorpusProgress, workflows.IndexResult](t.Context(), connect(server), cluster.Watch[workflows.CorpusProgress]{ID: "index/hub", Silent: func(string) {}})
	if err == nil || err.Error() != "terminated" {
		t.Errorf("the workflow is left: %v", err)
	}
}

func TestFollowSaysWhyWorkersFail(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1, Fails: "the key is not there"}
	run := server.Add("index/hub", workflows.IndexCorpusName)
	var said string
	_, _, err := cluster.Follow[workflows.CorpusProgress, workflows.IndexResult](t.Context(), connect(server), cluster.Watch[workflows.CorpusProgress]{
		ID: run.ID, Silent: func(message string) {
			said = message
			run.End(workflows.IndexResult{}, nil)
		},
	})
	if want := "workers fail at it: the key is not there: still waiting"; err != nil || said != want {
		t.Errorf("said %q, error %v", said, err)
	}
}

// fault is the error of one call, by its method's name.
func fault(call string, err error) func(string) error {
	return func(now string) error {
		if now == call {
			return err
		}
		return nil
	}
}

var unavailable = serviceerror.NewUnavailable("connection reset")

func TestAStartWhoseAnswerIsLostIsLookedFor(t *testing.T) {
	t.Run("it is there", func(t *testing.T) {
		server := &clustertest.Temporal{Workers: 1, Lose: fault("ExecuteWorkflow", unavailable)}
		if err := connect(server).StartBuild(t.Context(), "b1", squad); err != nil || len(server.Runs()) != 1 {
			t.Errorf("%v, %d runs", err, len(server.Runs()))
		}
	})
	t.Run("it is not there", func(t *testing.T) {
		server := &clustertest.Temporal{Workers: 1, Drop: fault("ExecuteWorkflow", unavailable)}
		wantError(t, connect(server).StartBuild(t.Context(), "b1", squad), rebased.Unavailable, "start build/squad/b1: connection reset")
	})
	t.Run("nobody knows", func(t *testing.T) {
		server := &clustertest.Temporal{Workers: 1, Drop: func(call string) error {
			return cmp.Or(fault("ExecuteWorkflow", unavailable)(call), fault("DescribeWorkflowExecution", unavailable)(call))
		}}
		err := connect(server).StartBuild(t.Context(), "b1", squad)
		wantError(t, err, rebased.Unavailable, "start build/squad/b1: connection reset: it may have been started")
		if _, doubt := errors.AsType[*cluster.Doubt](err); !doubt {
			t.Errorf("%T is no doubt", err)
		}
	})
	t.Run("an import that ended before is another one", func(t *testing.T) {
		server := &clustertest.Temporal{Workers: 1, Drop: fault("ExecuteWorkflow", unavailable)}
		run := server.Add("import/hub", workflows.ImportCorpusName)
		if err := connect(server).StartImport(t.Context(), workflows.ImportInput{Corpus: "hub"}); err != nil {
			t.Errorf("one that runs is followed: %v", err)
		}
		run.End(workflows.ImportResult{}, nil)
		wantError(t, connect(server).StartImport(t.Context(), workflows.ImportInput{Corpus: "hub"}), rebased.Unavailable, "start import/hub: connection reset")
	})
}

func TestABuildOfWhichTemporalTellsNothingIsNotWithdrawn(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1, Drop: fault("DescribeWorkflowExecution", unavailable)}
	if err := connect(server).StartBuild(t.Context(), "b1", squad); err != nil {
		t.Fatal(err)
	}
	server.Drop = nil
	if b, err := connect(server).Describe(t.Context(), "squad", "b1"); err != nil || b.State != rebased.StateRunning {
		t.Errorf("%+v, %v", b, err)
	}
}

// follow follows a build whose end the test plays.
func follow(t *testing.T, play func(run *clustertest.Run), progress func(rebased.Progress) bool) (rebased.BuildResult, bool, error) {
	t.Helper()
	server := &clustertest.Temporal{Workers: 1, Play: play}
	c := connect(server)
	if err := c.StartBuild(t.Context(), "b1", squad); err != nil {
		t.Fatal(err)
	}
	return cluster.Follow[rebased.Progress, rebased.BuildResult](t.Context(), c, cluster.Watch[rebased.Progress]{
		ID: "build/squad/b1", Progress: progress, Silent: func(string) {},
	})
}

func TestFollowGivesProgressAndTheResult(t *testing.T) {
	seen := make(chan struct{})
	once := false
	result, ended, err := follow(t, func(run *clustertest.Run) {
		run.Show(rebased.Progress{Phase: "retrieve"}, rebased.StateRunning)
		<-seen
		run.End(rebased.BuildResult{Version: "abc", State: rebased.StateReleased}, nil)
	}, func(p rebased.Progress) bool {
		if p.Phase == "retrieve" && !once {
			once = true
			close(seen)
		}
		return false
	})
	if err != nil || !ended || result.Version != "abc" {
		t.Errorf("result %+v, ended %v, error %v", result, ended, err)
	}
}

func TestFollowStopsWhereProgressSaysSo(t *testing.T) {
	_, ended, err := follow(t, func(run *clustertest.Run) {
		run.Show(rebased.Progress{State: rebased.StateAwaitingApproval}, rebased.StateAwaitingApproval)
	}, func(p rebased.Progress) bool { return p.State.Waits() })
	if err != nil || ended {
		t.Errorf("ended %v, error %v", ended, err)
	}
}

func TestFollowSaysThatNobodyAnswersAndWaitsOn(t *testing.T) {
	server := &clustertest.Temporal{}
	run := server.Add("index/hub", workflows.IndexCorpusName)
	var said []string
	result, ended, err := cluster.Follow[workflows.CorpusProgress, workflows.IndexResult](t.Context(), connect(server), cluster.Watch[workflows.CorpusProgress]{
		ID: run.ID, Silent: func(message string) {
			said = append(said, message)
			run.End(workflows.IndexResult{Rows: 7}, nil)
		},
	})
	want := `no answer for 10ms: are Temporal and a worker on task queue "rebased" up? still waiting`
	if err != nil || !ended || result.Rows != 7 || len(said) != 1 || said[0] != want {
		t.Errorf("said %q, result %+v, ended %v, error %v", said, result, ended, err)
	}
}

func TestFollowEndsWithItsContextAndLeavesTheWorkflow(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	run := server.Add("build/squad/b1", workflows.BuildDatasetName)
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err := cluster.Follow[rebased.Progress, rebased.BuildResult](ctx, connect(server), cluster.Watch[rebased.Progress]{
		ID: run.ID, Progress: func(rebased.Progress) bool { cancel(); return false }, Silent: func(string) {},
	})
	if err != context.Canceled { //nolint:errorlint // as it is
		t.Errorf("error %v", err)
	}
	select {
	case <-run.Canceled():
		t.Error("the workflow was canceled")
	default:
	}
}

func TestFollowTellsHowAWorkflowFailed(t *testing.T) {
	cases := []struct {
		name string
		play func(run *clustertest.Run)
		want cluster.Failure
	}{
		{"refused", func(run *clustertest.Run) {
			run.End(nil, temporal.NewNonRetryableApplicationError("corpus hub\nis not indexed", "refused", nil))
		}, cluster.Failure{State: rebased.StateFailed, Refused: true, Message: "corpus hub is not indexed"}},
		{"failed", func(run *clustertest.Run) {
			run.End(nil, temporal.NewNonRetryableApplicationError("teacher: 401", "unauthorized", nil))
		}, cluster.Failure{State: rebased.StateFailed, Message: "teacher: 401"}},
		{"canceled", func(run *clustertest.Run) { run.EndCanceled() }, cluster.Failure{State: rebased.StateCanceled, Message: "canceled"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := follow(t, c.play, func(rebased.Progress) bool { return false })
			failure, ok := err.(*cluster.Failure) //nolint:errorlint // as it is
			if !ok || *failure != c.want {
				t.Errorf("got %#v, want %#v", err, c.want)
			}
		})
	}
}

func TestFindUnderstandsWhatAUserCallsABuild(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	for _, id := range []string{"build/squad/1", "build/squad/2", "build/other/3"} {
		server.Add(id, workflows.BuildDatasetName).End(rebased.BuildResult{State: rebased.StateReleased}, nil)
	}
	server.Add("build/squad/4", workflows.BuildDatasetName).Show(rebased.Progress{}, rebased.StateAwaitingApproval)
	server.Add("build/other/5", workflows.BuildDatasetName).Show(rebased.Progress{}, rebased.StateAwaitingApproval)
	server.Add("index/hub", workflows.IndexCorpusName)
	c := connect(server)
	all := func(cluster.Build) bool { return true }
	final := func(b cluster.Build) bool { return b.State.Final() }
	waits := func(b cluster.Build) bool { return b.State == rebased.StateAwaitingApproval }
	for _, q := range []struct {
		name string
		fits func(cluster.Build) bool
		only bool
		want string // the build's name or the error
	}{
		{"squad/1", all, true, "squad/1"},
		{"build/squad/1", all, true, "squad/1"},
		{"2", all, true, "squad/2"},
		{"squad", final, false, "squad/2"},
		{"squad", waits, true, "squad/4"},
		{"", final, false, "other/3"},
		{"", waits, false, "other/5"},
		{"", waits, true, "more than one build (other/5, squad/4): say which"},
		{"", func(cluster.Build) bool { return false }, false, "no build: rebased builds ls lists all"},
		{"none", all, false, `no build called "none": rebased builds ls lists all`},
		{"squad/9", all, false, "no build squad/9: rebased builds ls lists them"},
	} {
		b, err := c.Find(t.Context(), cluster.Wanted{Name: q.name, What: "build", Fits: q.fits, Only: q.only})
		got := b.Name()
		if err != nil {
			got = err.Error()
		}
		if got != q.want {
			t.Errorf("Find(%q, only %v) = %s, want %s", q.name, q.only, got, q.want)
		}
	}
}

func TestBuildsAreListedWithStateAndTime(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	server.Add("build/squad/1", workflows.BuildDatasetName).End(nil, temporal.NewNonRetryableApplicationError("x", "", nil))
	server.Add("build/squad/2", workflows.BuildDatasetName).EndCanceled()
	server.Add("build/other/3", workflows.BuildDatasetName)
	builds, err := connect(server).Builds(t.Context(), "squad", 10, func(cluster.Build) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if len(builds) != 2 || builds[0].Name() != "squad/2" || builds[0].State != rebased.StateCanceled || builds[1].State != rebased.StateFailed || builds[1].Seconds != 90 {
		t.Errorf("%+v", builds)
	}
}

func TestABuildOfSeveralRunsStartedWithItsFirst(t *testing.T) {
	for _, ids := range [][2]string{{"1", "2"}, {"20261122-210100-aaaa", "20261122-210200-bbbb"}, {"nightly-2026-11-22T21:00:00Z", "nightly-2026-11-22T21:02:00Z"}} {
		server := &clustertest.Temporal{Workers: 1}
		c := connect(server)
		first := server.Add("build/squad/"+ids[0], workflows.BuildDatasetName)
		server.Add("build/squad/"+ids[1], workflows.BuildDatasetName).End(rebased.BuildResult{}, nil)
		second := server.Continue(first)
		last := server.Continue(second)
		started := time.Date(2026, 11, 22, 21, 1, 0, 0, time.UTC)
		check := func(when string) {
			t.Helper()
			all := func(cluster.Build) bool { return true }
			listed, err := c.Builds(t.Context(), "squad", 10, all)
			if err != nil || len(listed) != 2 || listed[0].Build != ids[1] || !listed[1].Started.Equal(started) {
				t.Errorf("%s, listed %+v, %v", when, listed, err)
			}
			if youngest, err := c.Find(t.Context(), cluster.Wanted{Name: "squad", Fits: all}); err != nil || youngest.Build != ids[1] {
				t.Errorf("%s, the youngest is %+v, %v", when, youngest, err)
			}
			b, err := c.Describe(t.Context(), "squad", ids[0])
			if err != nil || !b.Started.Equal(started) || b.Ended != nil && b.Seconds != (48*time.Hour+3*time.Minute+90*time.Second).Seconds() {
				t.Errorf("%s, looked at %+v, %v", when, b, err)
			}
		}
		check("while it runs")
		last.End(rebased.BuildResult{}, nil)
		check("when it has ended")
		if ids[0] == "1" {
			continue // nothing tells then
		}
		server.Forget(first)
		server.Forget(second)
		if strings.HasPrefix(ids[0], "nightly") {
			started = started.Add(-time.Minute) // its time by the schedule is what is left
		}
		b, err := c.Describe(t.Context(), "squad", ids[0])
		if err != nil || !b.Started.Equal(started) {
			t.Errorf("when its first runs are forgotten: %+v, %v", b, err)
		}
		if listed, err := c.Builds(t.Context(), "squad", 10, func(cluster.Build) bool { return true }); err != nil || listed[0].Build != ids[1] {
			t.Errorf("when its first runs are forgotten: %+v, %v", listed, err)
		}
	}
}

func TestADecisionIsTakenToTheBuild(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1, Update: func(_ *clustertest.Run, name string, decision any) (rebased.Progress, error) {
		if name != "approve" {
			return rebased.Progress{}, temporal.NewApplicationError("the build is running, it is not paused", "")
		}
		return rebased.Progress{State: rebased.StateRunning, Detail: decision.(workflows.Decision).By}, nil
	}}
	run := server.Add("build/squad/1", workflows.BuildDatasetName)
	b := cluster.Build{Task: "squad", Build: "1"}
	progress, err := connect(server).Decide(t.Context(), b, workflows.UpdateApprove, workflows.Decision{By: "ada"})
	if err != nil || progress.State != rebased.StateRunning || progress.Detail != "ada" {
		t.Errorf("%+v, %v", progress, err)
	}
	_, err = connect(server).Decide(t.Context(), b, workflows.UpdateResume, workflows.Decision{})
	wantError(t, err, rebased.Invalid, "resume squad/1: the build is running, it is not paused")
	run.End(rebased.BuildResult{}, nil)
	_, err = connect(server).Decide(t.Context(), b, workflows.UpdateResume, workflows.Decision{})
	wantError(t, err, rebased.Invalid, "resume squad/1: it has ended: rebased builds show squad/1 says how")
}

func TestADecisionThatIsNotAnsweredMayStillTakeEffect(t *testing.T) {
	b := cluster.Build{Task: "squad", Build: "1"}
	ctx, interrupt := context.WithCancel(t.Context())
	server := &clustertest.Temporal{Workers: 1, Update: func(*clustertest.Run, string, any) (rebased.Progress, error) { return rebased.Progress{}, nil }}
	server.Add("build/squad/1", workflows.BuildDatasetName)
	doubt := func(err error, message string) {
		t.Helper()
		wantError(t, err, rebased.Unavailable, message)
		if _, ok := errors.AsType[*cluster.Doubt](err); !ok {
			t.Errorf("%T is no doubt", err)
		}
	}
	server.Lose = func(string) error { return unavailable }
	_, err := connect(server).Decide(ctx, b, workflows.UpdateApprove, workflows.Decision{})
	doubt(err, "approve squad/1: connection reset: it may still take effect: rebased builds show squad/1 tells")
	_, err = connect(server).Cancel(ctx, b)
	doubt(err, "cancel squad/1: connection reset: it may still take effect: rebased builds show squad/1 tells")

	server.Lose = func(string) error { interrupt(); return ctx.Err() }
	_, err = connect(server).Decide(ctx, b, workflows.UpdateApprove, workflows.Decision{})
	doubt(err, "approve squad/1: interrupted: it may still take effect: rebased builds show squad/1 tells")

	server.Drop = func(string) error { return serviceerror.NewPermissionDenied("no", "") }
	_, err = connect(server).Decide(ctx, b, workflows.UpdateApprove, workflows.Decision{})
	if _, ok := errors.AsType[*cluster.Doubt](err); ok {
		t.Errorf("Temporal has refused it: %v", err)
	}
}

func TestCancelWaitsForTheEnd(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	run := server.Add("build/squad/1", workflows.BuildDatasetName)
	go func() { <-run.Canceled(); run.EndCanceled() }()
	b, err := connect(server).Cancel(t.Context(), cluster.Build{Task: "squad", Build: "1"})
	if err != nil || b.State != rebased.StateCanceled {
		t.Errorf("%+v, %v", b, err)
	}
	_, err = connect(server).Cancel(t.Context(), b)
	wantError(t, err, rebased.Invalid, "cancel squad/1: it has ended: rebased builds show squad/1 says how")
}

func TestAQueryThatNoWorkerAnswersSaysSo(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	server.Add("build/squad/1", workflows.BuildDatasetName)
	server.Drop = func(string) error {
		return serviceerror.NewDeadlineExceeded("query timed out before a worker could process it")
	}
	_, err := cluster.Query[rebased.Progress](t.Context(), connect(server), "build/squad/1")
	wantError(t, err, rebased.Unavailable, "ask build/squad/1: no worker answered: rebased doctor says whether there is one")
}

func TestRequireSearchAttributesSaysHowToMakeThem(t *testing.T) {
	wantError(t, connect(&clustertest.Temporal{Attributes: []string{"RebasedTask"}}).RequireSearchAttributes(t.Context()), rebased.Invalid,
		"namespace default has no search attribute RebasedState: temporal operator search-attribute create --name RebasedState --type Keyword")
	if err := connect(&clustertest.Temporal{Attributes: []string{"RebasedTask", "RebasedState"}}).RequireSearchAttributes(t.Context()); err != nil {
		t.Error(err)
	}
}
