package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"
)

// nightOf is a night as schedule show tells it.
type nightOf struct {
	Build        string `json:"build"`
	State        string `json:"state"`
	Version      string `json:"version"`
	SupersededBy string `json:"superseded_by"`
	Detail       string `json:"detail"`
}

// nights are what a task's schedule started last, the oldest first.
func nights(t *testing.T, s *stacktest.Stack, task string) []nightOf {
	t.Helper()
	var schedule struct{ Last []nightOf }
	if err := json.Unmarshal([]byte(must(t, s, "schedule", "show", task, "--json")), &schedule); err != nil {
		t.Fatal(err)
	}
	return schedule.Last
}

func TestANightTakesThePlaceOfOneThatWaitsAndABackfillBuildsOnce(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{}, 60, map[string]any{"handoff": map[string]any{"approval": true}})
	must(t, s, "schedule", "create", "--every", "24h", "-f", task)
	states := func(want ...string) func() bool {
		return func() bool {
			got := make([]string, 0, len(want))
			for _, n := range nights(t, s, "demo") {
				got = append(got, n.State)
			}
			return strings.Join(got, " ") == strings.Join(want, " ")
		}
	}
	must(t, s, "schedule", "trigger", "demo")
	waitUntil(t, "the first night waits", states("awaiting_approval"))
	paid := statsOf(t, s).number(t, "answered")
	must(t, s, "schedule", "trigger", "demo")
	waitUntil(t, "the second night waits in its place", states("superseded", "awaiting_approval"))
	both := nights(t, s, "demo")
	if both[0].SupersededBy != both[1].Build || both[0].Version == "" {
		t.Errorf("%+v", both)
	}
	if out := must(t, s, "schedule", "ls"); !strings.Contains(out, "awaiting_approval, in place of "+both[0].Build) {
		t.Errorf("schedule ls says\n%s", out)
	}
	_, errs, code := s.Run("builds", "approve", "demo/"+both[0].Build)
	if want := "it was superseded by demo/" + both[1].Build + ": decide about that one"; code == 0 || !strings.Contains(errs, want) {
		t.Errorf("approval of the first night: exit %d, %s", code, errs)
	}
	released := result(t, must(t, s, "builds", "approve", "demo/"+both[1].Build, "--reason", "good", "--json"))
	waitUntil(t, "the second night has released", states("superseded", "released"))
	if released.Version != both[0].Version {
		t.Errorf("released %s, the first night had made %s", released.Version, both[0].Version)
	}
	record(t, "build-superseded.json", historyOf(t, s, workflows.BuildID("demo", both[0].Build)))
	record(t, "build-night.json", historyOf(t, s, workflows.BuildID("demo", both[1].Build)))

	to := time.Now().UTC().Truncate(time.Second)
	must(t, s, "schedule", "backfill", "demo", "--from", to.Add(-72*time.Hour).Format(time.RFC3339), "--to", to.Format(time.RFC3339))
	waitUntil(t, "the past nights have ended", func() bool {
		ended := 0
		for _, n := range nights(t, s, "demo") {
			if n.State == "skipped" || n.State == "unchanged" {
				ended++
			}
		}
		return ended == 3
	})
	built := 0
	for _, n := range nights(t, s, "demo")[2:] {
		switch {
		case n.State == "unchanged" && n.Version == released.Version:
			built++
		case n.State == "skipped" && strings.HasSuffix(n.Detail, " still runs"):
		default:
			t.Errorf("%+v", n)
		}
	}
	if now := statsOf(t, s).number(t, "answered"); now != paid || built == 0 {
		t.Errorf("%d answers were paid after the first night, %d of the past nights built", now-paid, built)
	}
}

func TestARejectionIsRecordedWithItsReason(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{}, 40, map[string]any{"handoff": map[string]any{"approval": true, "approval_deadline": "72h"}})
	out, errs, code := s.Run("build", "-f", task, "--json")
	waiting := result(t, out)
	if code != 3 || !strings.Contains(waiting.Detail, "rejected at ") {
		t.Fatalf("exit %d, %+v, %s", code, waiting, errs)
	}
	must(t, s, "builds", "reject", waiting.Build, "--by", "ann", "--reason", "too thin", "--json")
	out, _, _ = s.Run("builds", "watch", waiting.Build, "--json")
	if r := result(t, out); r.State != "rejected" || r.DecidedBy != "ann" || r.Detail != "too thin" {
		t.Errorf("%+v", r)
	}
	records := bucketOf(t, s).files("datasets/demo/releases/")
	if body := records[waiting.Version+".json"]; !strings.Contains(body, `"by": "ann"`) || !strings.Contains(body, "too thin") {
		t.Errorf("the release record is %q of %d", body, len(records))
	}
	record(t, "build-rejected.json", historyOf(t, s, workflows.BuildID("demo", waiting.Build)))
}
