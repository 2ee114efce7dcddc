package app

import (
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

func TestAScheduleIsMadeShownTriggeredPausedAndDeleted(t *testing.T) {
	w := newWorld(t)
	create := []string{"schedule", "create", "-f", w.task(), "--cron", "0 2 * * *", "--timezone", "Europe/Berlin", "--jitter", "5m"}
	w.want(create, 2, "", "rebased: "+w.dir+"/task.yaml:2: corpus: no corpus hub in …")
	w.corpus()
	w.want(args("schedule ls"), 0, "", "no schedules\n")
	w.want(create, 0, `task   squad
when   0 2 * * *, Europe/Berlin
state  active
next   2026-11-23T02:00:00Z
`, "")
	if made, _ := w.temporal.Scheduled("schedule/squad"); made.Spec.Jitter != 5*time.Minute {
		t.Errorf("jitter %s", made.Spec.Jitter)
	}
	w.want(create, 2, "", "rebased: task squad has a schedule already: rebased schedule update gives it another task file; for other times delete it first (rebased schedule delete squad)\n")
	w.want(args("schedule trigger squad"), 0, "started squad/nightly-2026-11-22T22:00:00Z: rebased builds watch squad/nightly-2026-11-22T22:00:00Z\n", "")
	first := w.temporal.Runs()[0]
	first.End(rebased.BuildResult{Task: "squad", Build: "nightly-2026-11-22T22:00:00Z", State: rebased.StateSuperseded, SupersededBy: "nightly-2026-11-22T22:01:00Z"}, nil)
	w.want(args("schedule trigger squad"), 0, "started squad/nightly-2026-11-22T22:01:00Z: …", "")
	if status, out, _ := w.run("builds", "show", "squad/nightly-2026-11-22T22:00:00Z"); status != 0 || !strings.Contains(out, "rebased builds show squad/nightly-2026-11-22T22:01:00Z") {
		t.Errorf("status %d: %s", status, out)
	}
	w.want([]string{"schedule", "pause", "squad", "--reason", "moving house"}, 0, "task     squad\nwhen     0 2 * * *, Europe/Berlin\nstate    paused: moving house\n"+
		"started  2026-11-22T22:00:00Z  squad/nightly-2026-11-22T22:00:00Z  superseded by nightly-2026-11-22T22:01:00Z\n"+
		"started  2026-11-22T22:01:00Z  squad/nightly-2026-11-22T22:01:00Z  running\nnext     2026-11-23T02:00:00Z\n", "")
	w.want(args("schedule ls"), 0, `TASK   WHEN       TIMEZONE       STATE                 LAST                  RESULT                                             NEXT
squad  0 2 * * *  Europe/Berlin  paused: moving house  2026-11-22T22:01:00Z  running, in place of nightly-2026-11-22T22:00:00Z  -
`, "")
	w.want(args("schedule resume squad --json"), 0, `{"task":"squad","spec":"0 2 * * *","timezone":"Europe/Berlin","paused":false,"note":"resumed by ada",`+
		`"last":[{"build":"nightly-2026-11-22T22:00:00Z","at":"2026-11-22T22:00:00Z","state":"superseded","superseded_by":"nightly-2026-11-22T22:01:00Z"},`+
		`{"build":"nightly-2026-11-22T22:01:00Z","at":"2026-11-22T22:01:00Z","state":"running"}],"next":["2026-11-23T02:00:00Z"],"skipped":0}`+"\n", "")
	w.want(args("schedule backfill squad --from 2026-11-20 --to 2026-11-21T00:00:00Z"), 2, "",
		`rebased: invalid argument "2026-11-20" for "--from" flag: give date, time and zone, for instance 2026-11-20T00:00:00Z: see rebased schedule backfill --help`+"\n")
	w.want(args("schedule backfill squad --from 2026-11-20T00:00:00Z --to 2026-11-19T00:00:00Z"), 2, "", "rebased: --from must be before --to: …")
	w.want(args("schedule backfill squad --from 2026-11-19T00:00:00Z --to 2026-11-20T00:00:00Z"), 0, "asked for the runs of squad: rebased schedule show squad tells what comes of them\n", "")
	if runs := w.temporal.Runs(); len(runs) != 4 || runs[3].ID != "build/squad/nightly-2026-11-20T00:00:00Z" {
		t.Errorf("%d runs", len(runs))
	}
	w.want(args("schedule delete squad"), 0, "deleted the schedule of squad\n", "")
	w.want(args("schedule show squad"), 2, "", "rebased: task squad has no schedule: rebased schedule ls lists those there are\n")
}

func TestTheIndexOfACorpusHasAScheduleLikeATask(t *testing.T) {
	w := newWorld(t)
	create := []string{"schedule", "create", "--index", "hub", "--cron", "0 1 * * *", "--encoder", "openai:m"}
	w.want(create, 2, "", "rebased: no corpus hub in s3://bucket/: import it with rebased corpus import hub FOLDER\n")
	w.corpus()
	w.want(create, 0, `index  hub
when   0 1 * * *, UTC
state  active
next   2026-11-23T02:00:00Z
`, "")
	made, _ := w.temporal.Scheduled("schedule/index/hub")
	action := made.Action.(*client.ScheduleWorkflowAction)
	if in := action.Args[0]; action.ID != "index/hub/nightly" || action.Workflow != workflows.IndexCorpusName || action.TaskQueue != workflows.TaskQueue ||
		in != (workflows.IndexInput{Corpus: "hub", Encoder: "openai:m", Unattended: true}) {
		t.Errorf("%+v", action)
	}
	w.want(create, 2, "", "rebased: the index of hub has a schedule already: rebased schedule delete index/hub, then create it anew\n")
	w.want(args("schedule trigger index/hub"), 0, "asked for an index run of hub: rebased corpus ls shows when it is done\n", "")
	w.want(args("schedule trigger index/hub"), 2, "", "rebased: an index run of hub still runs: the schedule does not start another beside it\n")
	w.want(args("schedule pause index/hub --reason move"), 0, "index    hub\nwhen     0 1 * * *, UTC\nstate    paused: move\n…", "")
	w.want(args("schedule ls"), 0, `TASK       WHEN       TIMEZONE  STATE         LAST                  RESULT   NEXT
index/hub  0 1 * * *  UTC       paused: move  2026-11-22T22:00:00Z  running  -
`, "")
	w.want(args("schedule resume index/hub --json"), 0, `{"task":"index/hub","corpus":"hub","spec":"0 1 * * *",…`, "")
	w.want(args("schedule delete index/hub"), 0, "deleted the schedule of index/hub\n", "")
	w.want(args("schedule show index/hub"), 2, "", "rebased: the index of hub has no schedule: rebased schedule ls lists those there are\n")
	w.want(args("schedule show index/"), 2, "", `rebased: "" is no name of a corpus…`)
}
