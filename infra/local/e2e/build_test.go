package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// TestSquadFromRealDatasetsToAReleasedVersion is the main job: a folder of 390 real dataset configurations, a real task, recorded answers.
func TestSquadFromRealDatasetsToAReleasedVersion(t *testing.T) {
	t.Parallel()
	hub, replay := data(t, "hub"), data(t, "outputs/squad.jsonl")
	s := stacktest.Start(t, stacktest.Options{Replay: replay})
	indexed(t, s, hub)
	formats := []string{rebased.FormatMessages, rebased.FormatPromptCompletion, rebased.FormatAlpaca, rebased.FormatShareGPT}
	task := taskFile(t, "squad", map[string]any{"output": map[string]any{"formats": formats}})

	first := result(t, must(t, s, "build", "-f", task, "--json"))
	t.Logf("%+v", first)
	if first.State != rebased.StateReleased || first.Retrieved != 3000 || first.Calls.Made == 0 {
		t.Fatalf("got %+v", first)
	}
	checkSum(t, first)
	paid := statsOf(t, s).number(t, "answered")

	second := result(t, must(t, s, "build", "-f", task, "--json"))
	if second.State != rebased.StateUnchanged || second.Version != first.Version || second.Calls.Made != 0 {
		t.Errorf("a second build of the same: %+v", second)
	}
	if now := statsOf(t, s).number(t, "answered"); now != paid {
		t.Errorf("the second build paid for %d answers", now-paid)
	}

	for _, format := range formats {
		if lines := countLines(t, must(t, s, "export", "squad", "--format", format)); lines != first.Rows {
			t.Errorf("export as %s: %d lines, the version has %d rows", format, lines, first.Rows)
		}
	}
	files := bucketOf(t, s).files("datasets/squad/" + first.Version + "/")
	for _, name := range []string{"README.md", "manifest.json", "task.yaml", "train-00000.parquet", "train.messages.jsonl"} {
		if files[name] == "" {
			t.Errorf("the version has no %s", name)
		}
	}
	if loaded := os.Getenv("REBASED_E2E_KEEP"); loaded != "" { // for the loaders of other languages
		for name, body := range files {
			if err := os.WriteFile(loaded+"/"+name, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func countLines(t *testing.T, out string) int {
	t.Helper()
	lines := 0
	scanner := bufio.NewScanner(strings.NewReader(out))
	scanner.Buffer(nil, 64<<20)
	for ; scanner.Scan(); lines++ {
		if !json.Valid(scanner.Bytes()) {
			t.Fatalf("line %d is no JSON: %.200s", lines+1, scanner.Text())
		}
	}
	return lines
}

// demoStack starts a stack with the demo corpus imported and indexed, and gives a task of it with n rows.
func demoStack(t *testing.T, options stacktest.Options, n int, more map[string]any) (*stacktest.Stack, string) {
	t.Helper()
	s := stacktest.Start(t, options)
	indexed(t, s, demoCorpus(t))
	return s, demoTask(t, n, more)
}

func TestCancelEndsABuildWithinSecondsAndReleasesNothing(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{Latency: time.Hour}, 100, nil)
	build := strings.TrimSpace(must(t, s, "build", "-f", task, "--detach", "--json"))
	id := result(t, build).Build
	waitUntil(t, "calls are under way", func() bool { return statsOf(t, s).number(t, "requests") > 0 })
	started := time.Now()
	must(t, s, "builds", "cancel", id)
	out, errs, code := s.Run("builds", "watch", id, "--json")
	t.Logf("canceled after %s", time.Since(started))
	if code != 4 { // the calls would take an hour: a build that ends was canceled in mid-call
		t.Errorf("exit status %d after %s: %s%s", code, time.Since(started), out, errs)
	}
	if files := bucketOf(t, s).files("datasets/"); len(files) != 0 {
		t.Errorf("a canceled build left %d files of a dataset", len(files))
	}
}

func TestApprovalIsAskedForAndRecorded(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{}, 60, map[string]any{"handoff": map[string]any{"approval": true}})
	out, errs, code := s.Run("build", "-f", task, "--json")
	if code != 3 {
		t.Fatalf("exit status %d, want 3 (waits for a person): %s%s", code, out, errs)
	}
	waiting := result(t, out)
	if waiting.State != rebased.StateAwaitingApproval {
		t.Fatalf("got %+v", waiting)
	}
	s.KillWorker() // who waits needs no process
	s.StartWorker()
	must(t, s, "builds", "approve", waiting.Build)
	released := result(t, must(t, s, "builds", "watch", waiting.Build, "--json"))
	if released.State != rebased.StateReleased {
		t.Errorf("got %+v", released)
	}
	checkSum(t, released)
	if latest := bucketOf(t, s).files("datasets/demo/latest.json")[""]; !strings.Contains(latest, released.Version) {
		t.Errorf("latest.json is %s", latest)
	}
}

func TestAScheduledNightThatChangesNothingMakesNoVersionAndNoCall(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{}, 60, nil)
	must(t, s, "schedule", "create", "--every", "24h", "-f", task)
	states := func() []string { return buildStates(t, s) }
	must(t, s, "schedule", "trigger", "demo")
	waitUntil(t, "the first night has ended", func() bool { return len(states()) == 1 && states()[0] == "released" })
	paid := statsOf(t, s).number(t, "answered")
	must(t, s, "schedule", "trigger", "demo")
	waitUntil(t, "the second night has ended", func() bool { return len(states()) == 2 && states()[0] != "running" && states()[1] != "running" })
	if got := strings.Join(states(), " "); !strings.Contains(got, "unchanged") {
		t.Errorf("the nights ended as %s", got)
	}
	if now := statsOf(t, s).number(t, "answered"); now != paid {
		t.Errorf("the second night paid for %d answers", now-paid)
	}
	if versions := must(t, s, "versions", "ls", "demo", "--json"); len(strings.Fields(versions)) == 0 || strings.Count(versions, `"version"`) != 1 {
		t.Errorf("versions: %s", versions)
	}
	must(t, s, "schedule", "delete", "demo")
}

func buildStates(t *testing.T, s *stacktest.Stack) []string {
	t.Helper()
	var states []string
	for line := range strings.SplitSeq(strings.TrimSpace(must(t, s, "builds", "ls", "--json")), "\n") {
		var build struct{ State string }
		if line != "" && json.Unmarshal([]byte(line), &build) == nil {
			states = append(states, build.State)
		}
	}
	return states
}

// waitUntil polls a condition of another process. The test's own limit ends it.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	t.Logf("waiting until %s", what)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("the test ended before %s", what)
		}
	}
}
