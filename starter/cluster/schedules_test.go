package cluster_test

import (
	"errors"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func TestAScheduleStartsUnattendedBuildsThatMindEachOther(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	spec := cluster.ScheduleSpec{Cron: "0 2 * * *", TimeZone: "Europe/Berlin", Jitter: time.Minute, PauseOnFailure: true}
	if err := c.CreateSchedule(t.Context(), squad, spec); err != nil {
		t.Fatal(err)
	}
	made, ok := server.Scheduled("schedule/squad")
	if !ok {
		t.Fatal("there is no schedule/squad")
	}
	if made.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL || made.PauseOnFailure || made.Spec.TimeZoneName != "Europe/Berlin" || made.Spec.Jitter != time.Minute ||
		len(made.Spec.CronExpressions) != 1 || made.Spec.CronExpressions[0] != "0 2 * * *" || made.CatchupWindow != 12*time.Hour {
		t.Errorf("%+v", made)
	}
	action := made.Action.(*client.ScheduleWorkflowAction)
	if in := action.Args[0].(workflows.BuildInput); action.ID != "build/squad/nightly" || action.TaskQueue != "rebased" || !in.Unattended || !in.PauseOnFailure || in.TaskKey != squad.TaskKey {
		t.Errorf("%+v", action)
	}
	wantError(t, c.CreateSchedule(t.Context(), squad, spec), rebased.Conflict,
		"task squad has a schedule already: rebased schedule delete squad, then create it anew")
}

func TestAScheduleIsShownPausedAndDeleted(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	if err := c.CreateSchedule(t.Context(), squad, cluster.ScheduleSpec{Every: 24 * time.Hour, TimeZone: "UTC"}); err != nil {
		t.Fatal(err)
	}
	if err := c.PauseSchedule(t.Context(), "squad", "holidays"); err != nil {
		t.Fatal(err)
	}
	s, err := c.Schedule(t.Context(), "squad")
	if err != nil || s.Spec != "every 24h0m0s" || s.TimeZone != "UTC" || !s.Paused || s.Note != "holidays" || len(s.Next) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := c.ResumeSchedule(t.Context(), "squad", ""); err != nil {
		t.Fatal(err)
	}
	list, err := c.Schedules(t.Context())
	if err != nil || len(list) != 1 || list[0].Task != "squad" || list[0].Spec != "every 24h0m0s" || list[0].Paused {
		t.Errorf("%+v, %v", list, err)
	}
	if err := c.DeleteSchedule(t.Context(), "squad"); err != nil {
		t.Fatal(err)
	}
	_, err = c.Schedule(t.Context(), "squad")
	wantError(t, err, rebased.NotFound, "task squad has no schedule: rebased schedule ls lists those there are")
}

func TestATriggerNamesItsBuildWhateverRuns(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	if err := c.CreateSchedule(t.Context(), squad, cluster.ScheduleSpec{Every: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"nightly-2026-11-22T22:00:00Z", "nightly-2026-11-22T22:01:00Z"} {
		if build, err := c.TriggerSchedule(t.Context(), "squad"); err != nil || build != want {
			t.Errorf("%q, %v", build, err)
		}
	}
}

func TestAnIndexRunDoesNotStartBesideAnother(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	if err := c.CreateIndexSchedule(t.Context(), workflows.IndexInput{Corpus: "hub"}, cluster.ScheduleSpec{Every: time.Hour, PauseOnFailure: true}); err != nil {
		t.Fatal(err)
	}
	if made, _ := server.Scheduled("schedule/index/hub"); made.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_SKIP || !made.PauseOnFailure {
		t.Errorf("%+v", made)
	}
	if _, err := c.TriggerSchedule(t.Context(), "index/hub"); err != nil {
		t.Fatal(err)
	}
	_, err := c.TriggerSchedule(t.Context(), "index/hub")
	wantError(t, err, rebased.Conflict, "an index run of hub still runs: the schedule does not start another beside it")
	server.Runs()[0].End(workflows.IndexResult{Rows: 12}, nil)
	if build, err := c.TriggerSchedule(t.Context(), "index/hub"); err != nil || build != "nightly-2026-11-22T22:01:00Z" {
		t.Errorf("%q, %v", build, err)
	}
	s, err := c.Schedule(t.Context(), "index/hub")
	if err != nil {
		t.Fatal(err)
	}
	c.Results(t.Context(), []cluster.Schedule{s}, 10)
	if s.Last[0].State != "done" || s.Last[0].Rows != 12 || s.Last[1].State != rebased.StateRunning {
		t.Errorf("%+v", s.Last)
	}
}

func TestAScheduleTellsWhatCameOfItsBuilds(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	if err := c.CreateSchedule(t.Context(), squad, cluster.ScheduleSpec{Every: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC)
	if err := c.BackfillSchedule(t.Context(), "squad", day, day.Add(72*time.Hour)); err != nil {
		t.Fatal(err)
	}
	runs := server.Runs()
	if len(runs) != 4 || runs[0].ID != "build/squad/nightly-2026-11-19T00:00:00Z" {
		t.Fatalf("%d runs", len(runs))
	}
	runs[0].End(rebased.BuildResult{State: rebased.StateSuperseded, SupersededBy: "nightly-2026-11-21T00:00:00Z", Version: "aa"}, nil)
	runs[1].End(nil, errors.New("the corpus is gone"))
	runs[2].End(rebased.BuildResult{State: rebased.StateReleased, Version: "bb", CostUSD: 0.5, Counts: rebased.Counts{Rows: 7}}, nil)
	runs[3].Show(rebased.Progress{}, rebased.StateAwaitingApproval)
	list, err := c.Schedules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Results(t.Context(), list, 3)
	last := list[0].Last
	if last[0].State != "" || last[1].State != rebased.StateFailed || last[1].Detail != "the corpus is gone" || last[3].State != rebased.StateAwaitingApproval {
		t.Errorf("%+v", last)
	}
	if b := last[2]; b.State != rebased.StateReleased || b.Version != "bb" || b.Rows != 7 || b.CostUSD != 0.5 {
		t.Errorf("%+v", b)
	}
	c.Results(t.Context(), list, 10)
	if b := list[0].Last[0]; b.State != rebased.StateSuperseded || b.SupersededBy != "nightly-2026-11-21T00:00:00Z" {
		t.Errorf("%+v", b)
	}
	builds, err := c.Builds(t.Context(), "squad", 10, func(cluster.Build) bool { return true })
	if err != nil || len(builds) != 4 {
		t.Fatalf("%v, %v", builds, err)
	}
	for _, b := range builds { // that a night was made up for later does not make it longer
		if b.Started.Before(day.Add(72 * time.Hour)) {
			t.Errorf("%s began at %s", b.Name(), b.Started)
		}
	}
	_, err = c.Decide(t.Context(), cluster.Build{Task: "squad", Build: "nightly-2026-11-19T00:00:00Z"}, workflows.UpdateApprove, workflows.Decision{})
	wantError(t, err, rebased.Invalid, "approve squad/nightly-2026-11-19T00:00:00Z: it was superseded by squad/nightly-2026-11-21T00:00:00Z: decide about that one")
}
