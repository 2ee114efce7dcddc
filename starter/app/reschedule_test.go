package app

import (
	"os"
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/rebased/rebased/starter/cluster/clustertest"
	"github.com/rebased/rebased/workflows"
)

func TestAScheduleGetsAnotherTaskFileItsCostFirst(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.temporal.Play = func(run *clustertest.Run) { run.End(someEstimate(), nil) }
	file := w.task()
	w.want([]string{"schedule", "update", "-f", file}, 2, "", "rebased: task squad has no schedule: rebased schedule ls lists those there are\n")
	w.want([]string{"schedule", "create", "-f", file, "--every", "24h", "--pause-on-failure"}, 0, "…", "")
	w.want([]string{"schedule", "update", "-f", file}, 0, "nothing changes in the task\n--yes changes the schedule's other settings: …", "")
	input := func() (client.ScheduleOptions, workflows.BuildInput) {
		made, _ := w.temporal.Scheduled("schedule/squad")
		in, _ := made.Action.(*client.ScheduleWorkflowAction).Args[0].(workflows.BuildInput)
		return made, in
	}
	_, before := input()

	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.file("task.yaml", string(body)+"transform: {teacher: {model: better}}\nreason: {mode: rationale}\n")
	shown := "KEY                      NOW     THEN\nreason.mode              \"none\"  \"rationale\"\ntransform.teacher.model  -       \"better\"\n\nsquad: 1,500 candidates from hub, …"
	w.want([]string{"schedule", "update", "-f", file}, 0, shown, "")
	if _, now := input(); now != before || len(w.temporal.Runs()) != 1 {
		t.Errorf("it was changed without --yes: %+v, %d runs", now, len(w.temporal.Runs()))
	}
	w.want([]string{"schedule", "update", "-f", file, "--yes", "--catch-up", "1s"}, 2, "", "rebased: --catch-up must be at least 10s, got 1s: …")
	status, out, _ := w.run("schedule", "update", "-f", file, "--yes", "--catch-up", "3h")
	if status != 0 || !strings.HasSuffix(out, "\nthe schedule of squad has this task from the next run on\n") {
		t.Errorf("status %d: %s", status, out)
	}
	made, now := input()
	if now.TaskKey == before.TaskKey || !now.Unattended || !now.PauseOnFailure || made.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL || made.CatchupWindow.Hours() != 3 {
		t.Errorf("%+v, %+v", made, now)
	}
	w.want([]string{"schedule", "update", "-f", file, "--yes", "--pause-on-failure=false", "--json"}, 0, `{"task":"squad","changes":[],"estimate":null,"updated":true}`+"\n", "")
	if _, now := input(); now.PauseOnFailure {
		t.Errorf("%+v", now)
	}
}
