package e2e

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/teacher"
)

// batchMS is how long the teacher takes for a batch: long enough that a kill finds it under way.
const batchMS = 6000

// TestBatchesAreSubmittedOnceAndLoseNothing builds in batches of both providers, each time from nothing, with something that goes wrong: the end must
// be the version of the undisturbed build, byte for byte, from as many batches, and nothing is answered twice. REBASED_FAULTS=all runs more kills.
func TestBatchesAreSubmittedOnceAndLoseNothing(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{rebased.ProviderOpenAI, rebased.ProviderAnthropic} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, map[string]any{
				"batch": true, "teacher": map[string]any{"provider": provider, "timeout": 2, "limits": map[string]any{"in_flight": faultCalls}},
			})
			undisturbed := s.build(t, trial{name: provider + ": undisturbed", before: batchFaults(teacher.BatchFaults{LatencyMS: 100})})
			stats := statsOf(t, s.Stack)
			made, asked := stats.number(t, "batches"), stats.number(t, "answered")
			if stats.number(t, "batched") != asked || made == 0 || stats.number(t, "requests") != 0 {
				t.Errorf("not everything was asked in batches: %v", stats)
			}
			for _, c := range batchTrials() {
				c.name = provider + ": " + c.name
				got := s.build(t, c)
				stats := statsOf(t, s.Stack)
				if got.Version != undisturbed.Version || got.Rows != undisturbed.Rows {
					t.Errorf("%s: version %s of %d rows, undisturbed %s of %d", c.name, got.Version, got.Rows, undisturbed.Version, undisturbed.Rows)
				}
				if stats.number(t, "batches") != made || stats.number(t, "repeated") != 0 || stats.number(t, "answered") != asked {
					t.Errorf("%s: %v, undisturbed %d batches and %d answers", c.name, stats, made, asked)
				}
			}
			s.canceled(t, undisturbed)
			t.Log("\n" + s.table.String())
		})
	}
}

// batchFaults sets how batches fare before a build starts.
func batchFaults(f teacher.BatchFaults) func(*stand) {
	return func(s *stand) { s.setFaults(teacher.Faults{BatchFaults: f}) }
}

func batchTrials() []trial {
	slow := batchFaults(teacher.BatchFaults{LatencyMS: batchMS})
	underWay := func(s *stand) {
		waitUntil(s.t, "batches are under way", func() bool { return statsOf(s.t, s.Stack).number(s.t, "batches") >= 2 })
	}
	trials := []trial{
		{name: "3 replies to a submission cut off", before: batchFaults(teacher.BatchFaults{LatencyMS: 100, Cut: 3})},
		{name: "3 of 10 requests expire", before: batchFaults(teacher.BatchFaults{LatencyMS: 100, Expired: 0.3})},
		{name: "3 of 10 requests fail", before: batchFaults(teacher.BatchFaults{LatencyMS: 100, Errored: 0.3})},
		{name: "Temporal restarted while batches are under way", before: slow, disturb: func(s *stand) {
			underWay(s)
			s.KillPart("temporal")
			s.StartPart("temporal")
		}},
		{name: "worker killed while batches are under way", before: slow, disturb: func(s *stand) {
			underWay(s)
			s.KillWorker()
			s.StartWorker()
		}},
	}
	if os.Getenv("REBASED_FAULTS") == "all" {
		for range 5 {
			trials = append(trials, trial{name: "worker killed at a random moment", before: slow, disturb: func(s *stand) { s.killAtRandom() }})
		}
	}
	return trials
}

// killAtRandom kills the worker within the time that a build in batches takes.
func (s *stand) killAtRandom() {
	<-time.After(time.Duration(rand.IntN(3*batchMS)) * time.Millisecond)
	s.KillWorker()
	s.StartWorker()
}

// canceled cancels a build whose batches are under way, which cancels them, and builds again: what they had answered by then is not paid again.
func (s *stand) canceled(t *testing.T, undisturbed rebased.BuildResult) {
	t.Helper()
	s.forget(t)
	s.setFaults(teacher.Faults{BatchFaults: teacher.BatchFaults{LatencyMS: 3_600_000, Done: 0.5}})
	started := result(t, must(t, s.Stack, "build", "-f", s.task, "--detach", "--json"))
	waitUntil(t, "all batches of the first step are under way", func() bool { return statsOf(t, s.Stack).number(t, "batches") == shardsOf400 })
	must(t, s.Stack, "builds", "cancel", started.Build)
	stats := statsOf(t, s.Stack)
	if n := stats.number(t, "batches_canceled"); n != shardsOf400 {
		t.Errorf("%d of %d batches were canceled", n, shardsOf400)
	}
	s.setFaults(teacher.Faults{BatchFaults: teacher.BatchFaults{LatencyMS: 100}})
	again := result(t, must(t, s.Stack, "build", "-f", s.task, "--json"))
	stats = statsOf(t, s.Stack)
	if again.Version != undisturbed.Version || stats.number(t, "repeated") != 0 {
		t.Errorf("after a cancel: %+v, %v", again, stats)
	}
	kept, all := again.Calls.Reused-undisturbed.Calls.Reused, undisturbed.Calls.Made
	if kept < all/8 || again.Calls.Made != all-kept {
		t.Errorf("after a cancel: %+v, undisturbed %+v", again.Calls, undisturbed.Calls)
	}
}

// shardsOf400 is how many shards 400 rows make.
const shardsOf400 = 7
