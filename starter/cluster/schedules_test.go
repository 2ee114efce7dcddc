package cluster_test

import (
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func TestAScheduleStartsUnattendedBuildsThatDoNotOverlap(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	spec := cluster.ScheduleSpec{Cron: "0 2 * * *", TimeZone: "Europe/Berlin", Jitter: time.Minute}
	if err := c.CreateSchedule(t.Context(), squad, spec); err != nil {
		t.Fatal(err)
	}
	made, ok := server.Scheduled("schedule/squad")
	if !ok {
		t.Fatal("there is no schedule/squad")
	}
	if made.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_SKIP || made.Spec.TimeZoneName != "Europe/Berlin" || made.Spec.Jitter != time.Minute ||
		len(made.Spec.CronExpressions) != 1 || made.Spec.CronExpressions[0] != "0 2 * * *" || made.CatchupWindow != 12*time.Hour {
		t.Errorf("%+v", made)
	}
	action := made.Action.(*client.ScheduleWorkflowAction)
	if in := action.Args[0].(workflows.BuildInput); action.ID != "build/squad/nightly" || action.TaskQueue != "rebased" || !in.Unattended || in.TaskKey != squad.TaskKey {
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

func TestATriggerNamesItsBuildOrSaysThatOneStillRuns(t *testing.T) {
	server := &clustertest.Temporal{Workers: 1}
	c := connect(server)
	if err := c.CreateSchedule(t.Context(), squad, cluster.ScheduleSpec{Every: time.Hour}); err != nil {
		t.Fatal(err)
	}
	build, err := c.TriggerSchedule(t.Context(), "squad")
	if err != nil || build != "nightly-2026-11-22T22:00:00Z" {
		t.Errorf("%q, %v", build, err)
	}
	_, err = c.TriggerSchedule(t.Context(), "squad")
	wantError(t, err, rebased.Conflict, "a build of squad still runs: the schedule does not start another beside it")
	server.Runs()[0].End(rebased.BuildResult{}, nil)
	if build, err = c.TriggerSchedule(t.Context(), "squad"); err != nil || build != "nightly-2026-11-22T22:01:00Z" {
		t.Errorf("%q, %v", build, err)
	}
}
