package app

import (
	"testing"

	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func TestGCSaysWhatWasRemovedAndWhatWasLeft(t *testing.T) {
	w := newWorld(t)
	w.temporal.Play = func(run *clustertest.Run) {
		in := inputOf[workflows.CollectInput](t, run)
		if run.ID != "gc/dry-run" || in != (workflows.CollectInput{DryRun: true, Policy: activities.CollectPolicy{Versions: 3, Builds: 172800, Uploads: 604800}}) {
			t.Errorf("%s: input %+v", run.ID, in)
		}
		run.End(workflows.CollectResult{DryRun: true, Objects: 1201, Bytes: 5000, Rows: []activities.CollectRow{
			{Kind: "builds", Why: "ended more than 2 days ago", Things: 40, Objects: 1201, Bytes: 5000, Names: []string{"squad/b1"}},
			{Kind: "versions", Why: "a build of their task is under way", Left: true, Things: 1, Objects: 6, Bytes: 70},
		}}, nil)
	}
	w.want(args("gc --dry-run --keep-versions 3 --keep-builds 48h"), 0, ""+
		"KIND                        NUMBER  OBJECTS  BYTES  WHY\n"+
		"builds    would be removed  40      1,201    5,000  ended more than 2 days ago\n"+
		"versions  left              1       6        70     a build of their task is under way\n"+
		"would be removed: 1,201 objects, 5,000 bytes\n", "")
}

func TestGCWithNothingToDo(t *testing.T) {
	w := newWorld(t)
	w.temporal.Play = func(run *clustertest.Run) {
		if in := inputOf[workflows.CollectInput](t, run); run.ID != "gc" || in.Policy.Versions != 0 || in.Policy.Answers != 0 || in.Policy.Builds != 30*86400 {
			t.Errorf("%s: input %+v", run.ID, in)
		}
		run.End(workflows.CollectResult{Rows: []activities.CollectRow{}}, nil)
	}
	w.want(args("gc"), 0, "removed: 0 objects, 0 bytes\n", "")
	w.want(args("gc --json"), 0, `{"dry_run":false,"objects":0,"bytes":0,"rows":[]}`+"\n", "")
}

func TestGCRefusesAPolicyBeforeItStarts(t *testing.T) {
	w := newWorld(t)
	w.want(args("gc --keep-answers 1h"), 2, "", "rebased: --keep-answers must be 48h0m0s or more: what is younger may be in use, got 1h0m0s\n")
	w.want(args("gc --keep-builds 30d"), 2, "", `rebased: invalid argument "30d" for "--keep-builds" flag: give hours, minutes or seconds, for instance 720h: see rebased gc --help`+"\n")
	w.want(args("gc --keep-versions -1"), 2, "", "rebased: --keep-versions must be 0 (all) or more, got -1\n")
	if len(w.temporal.Runs()) != 0 {
		t.Error("something was started")
	}
}

func TestAGCThatRunsIsFollowedAndCanBeStopped(t *testing.T) {
	w := newWorld(t)
	w.want(args("gc --cancel"), 2, "", "rebased: no collection runs\n")
	begun := make(chan struct{})
	w.temporal.Play = func(run *clustertest.Run) {
		close(begun)
		<-run.Canceled()
		run.EndCanceled()
	}
	followed := make(chan int)
	go func() {
		status, _, _ := w.run("gc")
		followed <- status
	}()
	<-begun
	w.want(args("gc --cancel --json"), 0, `{"canceled":true}`+"\n", "")
	if status := <-followed; status != 4 {
		t.Errorf("who follows it ends with status %d", status)
	}
	w.want(args("gc --cancel"), 2, "", "rebased: no collection runs\n")
	w.want(args("gc --cancel --dry-run"), 2, "", "rebased: --cancel and --dry-run exclude each other: see rebased gc --help\n")
}
