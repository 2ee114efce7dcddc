package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/workflows"
)

// TestAStoppedWorkerHandsItsShardsOverAndNothingIsPaidTwice stops a worker as a rollout does, with all shards of a build in its hands and calls under
// way. The one beside it goes on at once, and the version is that of an undisturbed build.
func TestAStoppedWorkerHandsItsShardsOverAndNothingIsPaidTwice(t *testing.T) {
	t.Parallel()
	s, task := demoStack(t, stacktest.Options{Latency: 300 * time.Millisecond}, 400, map[string]any{
		"transform": map[string]any{"teacher": map[string]any{"limits": map[string]any{"in_flight": 16}}},
	})
	requests := func() int { return statsOf(t, s).number(t, "requests") }
	teacherCall(t, s, "POST", "/stats/reset", nil)
	undisturbed := result(t, must(t, s, "build", "-f", task, "--json"))
	needed := requests()
	want := bucketOf(t, s).files("datasets/demo/" + undisturbed.Version + "/")

	s.KillWorker()
	s.SetEnv("REBASED_STORE=s3://rebased/second")
	s.StartWorker()
	indexed(t, s, demoCorpus(t))
	teacherCall(t, s, "POST", "/stats/reset", nil)
	started := result(t, must(t, s, "build", "-f", task, "--detach", "--json"))
	waitUntil(t, "the shards are under way", func() bool { return requests() >= undisturbed.Calls.Made/4 })
	s.StartSecondWorker()
	status, wrote := s.StopWorker()
	if status != 0 {
		t.Errorf("it ended with status %d:\n%s", status, wrote)
	}
	if at := requests(); at >= needed {
		t.Fatalf("all %d calls were made before the stop: it came too late to prove anything", at)
	}
	got := result(t, must(t, s, "builds", "watch", started.Build, "--json"))
	checkSum(t, got)
	if got.State != rebased.StateReleased || got.Version != undisturbed.Version {
		t.Errorf("got %+v, want version %s", got, undisturbed.Version)
	}
	sameFiles(t, want, bucketOf(t, s).files("second/datasets/demo/"+got.Version+"/"))
	if made := requests(); made != needed { // one that was cut off is made again, and may be billed twice
		t.Errorf("the teacher was asked %d times, %d are needed", made, needed)
	}
	history := string(historyOf(t, s, workflows.BuildID("demo", got.Build)))
	if strings.Contains(history, "TIMED_OUT") || !strings.Contains(history, "the worker is stopping") {
		t.Error("the shards were not handed back: another worker waited for a heartbeat timeout, or none was under way")
	}
}
