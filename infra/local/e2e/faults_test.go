package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/infra/local/teacher"
)

// faultCalls is how many calls of the fault tests' task may be under way.
const faultCalls = 16

// trial is a build that something happens to.
type trial struct {
	name string
	// faults of the teacher while it runs; nil = none.
	faults *teacher.Faults
	// before prepares it, and disturb does something to the stack while calls are under way, or when what was prepared has come.
	before, disturb func(s *stand)
	// killed says that a process was killed: then answers that were under way may be paid for again.
	killed bool
	// other says that some rows are asked for in other words: then the version names other answers, and its training file is the same.
	other bool
	slow  bool // only with REBASED_FAULTS=all
}

// TestFaultsLoseNoRowAndPayNothingTwice runs one task again and again, each time from nothing, with something that goes wrong: the end must be the
// version of the undisturbed build, byte for byte, without a person's help. REBASED_FAULTS=all runs the long cases too.
func TestFaultsLoseNoRowAndPayNothingTwice(t *testing.T) {
	t.Parallel()
	all := os.Getenv("REBASED_FAULTS") == "all"
	long := func(seconds, quick int) int {
		if all {
			return seconds
		}
		return quick
	}
	s := newStand(t, map[string]any{"teacher": map[string]any{"timeout": 2, "limits": map[string]any{"in_flight": faultCalls}}})
	want := s.build(t, trial{name: "undisturbed"})
	trained := s.trainingFile(t, want)
	for _, c := range []trial{
		{name: "429 with Retry-After, 60% of calls", faults: &teacher.Faults{Throttled: 0.6, RetryAfterS: 1, ForS: long(20, 4)}},
		{name: "HTTP 500, 30% of calls", faults: &teacher.Faults{Failed: 0.3, ForS: long(20, 4)}},
		{name: "cut in mid-body, 30% of calls", faults: &teacher.Faults{Cut: 0.3, ForS: long(20, 4)}},
		{name: "hang beyond the timeout, 10% of calls", faults: &teacher.Faults{Hanging: 0.1, ForS: long(10, 3)}},
		{name: "no chat completion, 30% of calls", faults: &teacher.Faults{Page: 0.3, ForS: long(20, 4)}},
		{name: "text without an answer, 20 calls", faults: &teacher.Faults{Prose: 1, Count: 20}, other: true},
		{name: "empty answers, 20 calls", faults: &teacher.Faults{Empty: 1, Count: 20}, other: true},
		{name: "endpoint down", faults: &teacher.Faults{Down: 1, ForS: long(30, 8)}},
		{name: "bucket unreachable", disturb: func(s *stand) { s.away(s.bucket, long(30, 5)) }},
		{name: "Qdrant unreachable at retrieve", before: func(s *stand) { s.index.CutAfter(planBytes) }, disturb: func(s *stand) { s.cutItself(s.index, long(30, 5)) }},
		{name: "Temporal restarted", disturb: func(s *stand) { s.KillPart("temporal"); s.StartPart("temporal") }},
		{name: "two workers, one killed", disturb: func(s *stand) { s.KillSecondWorker() }, killed: true, slow: true},
	} {
		if c.slow && !all {
			continue
		}
		got := s.build(t, c)
		if !c.other && got.Version != want.Version {
			t.Errorf("%s: version %s, undisturbed %s", c.name, got.Version, want.Version)
		}
		if c.other && s.trainingFile(t, got) != trained {
			t.Errorf("%s: the training file differs", c.name)
		}
		if got.Rows != want.Rows || got.Retrieved != want.Retrieved {
			t.Errorf("%s: %d rows of %d, undisturbed %d of %d", c.name, got.Rows, got.Retrieved, want.Rows, want.Retrieved)
		}
	}
	t.Log("\n" + s.table.String())
}

// stand is a stack whose bucket and index stand behind ways that can be cut.
type stand struct {
	*stacktest.Stack
	t             *testing.T
	bucket, index *stacktest.Proxy
	task          string
	table         strings.Builder
}

// newStand starts a stand whose task transforms so.
func newStand(t *testing.T, transform map[string]any) *stand {
	t.Helper()
	s := &stand{Stack: stacktest.Start(t, stacktest.Options{Apart: true, NoWorker: true, Latency: 60 * time.Millisecond}), t: t}
	ports := s.Folder().Ports
	s.bucket = stacktest.NewProxy(t, ports.Address(folder.S3))
	s.index = stacktest.NewProxy(t, ports.Address(folder.Qdrant))
	s.SetEnv(
		"AWS_ENDPOINT_URL_S3=http://"+s.bucket.Address, "QDRANT_URL=http://"+s.index.Address,
		"ANTHROPIC_BASE_URL=http://"+ports.Address(folder.Teacher), "ANTHROPIC_API_KEY="+s.Folder().Credentials.TeacherAPIKey,
	)
	s.StartWorker()
	indexed(t, s.Stack, demoCorpus(t))
	s.task = demoTask(t, 400, map[string]any{
		"retrieve":  map[string]any{"rows": 400, "mode": "paper"},
		"transform": transform,
		"reason":    map[string]any{"mode": "rationale"},
	})
	fmt.Fprintf(&s.table, "%-40s %8s %6s %6s %8s %6s %6s %8s\n", "fault", "injected", "rows", "made", "failed", "twice", "maybe", "seconds")
	return s
}

// build forgets all answers and versions, builds once while the trial happens, and checks what holds for every trial.
func (s *stand) build(t *testing.T, c trial) rebased.BuildResult {
	t.Helper()
	s.forget(t)
	if c.killed {
		s.StartSecondWorker()
	}
	if c.before != nil {
		c.before(s)
	}
	started := result(t, must(t, s.Stack, "build", "-f", s.task, "--detach", "--json"))
	if c.faults != nil {
		s.setFaults(*c.faults)
	}
	if c.disturb != nil {
		if c.before == nil {
			waitUntil(t, "calls are under way", func() bool { return statsOf(t, s.Stack).number(t, "requests") > 100 })
		}
		c.disturb(s)
	}
	r := result(t, must(t, s.Stack, "builds", "watch", started.Build, "--json"))
	s.setFaults(teacher.Faults{})
	stats := statsOf(t, s.Stack)
	faults, _ := stats["faults"].(map[string]any)
	injected, maybe := 0, 0
	for name, n := range faults {
		count := int(n.(float64)) //nolint:forcetypeassert // the teacher's own JSON
		injected += count
		if name == "hanging" || name == "cut" {
			maybe += count
		}
	}
	twice := stats.number(t, "repeated")
	fmt.Fprintf(&s.table, "%-40s %8d %6d %6d %8d %6d %6d %8.1f\n", c.name, injected, r.Rows, r.Calls.Made, r.Calls.Failed, twice, maybe, r.Seconds)
	checkSum(t, r)
	if r.State != rebased.StateReleased {
		t.Errorf("%s: %+v", c.name, r)
	}
	if c.faults != nil && injected == 0 {
		t.Errorf("%s: nothing went wrong", c.name)
	}
	if bound := map[bool]int{true: faultCalls}[c.killed]; twice > bound {
		t.Errorf("%s: %d calls were paid twice, at most %d may be", c.name, twice, bound)
	}
	return r
}

// trainingFile is what a trainer reads of a version.
func (s *stand) trainingFile(t *testing.T, r rebased.BuildResult) string {
	t.Helper()
	const name = "train.messages.jsonl"
	body := bucketOf(t, s.Stack).files("datasets/" + r.Task + "/" + r.Version + "/")[name]
	if body == "" {
		t.Errorf("version %s has no %s", r.Version, name)
	}
	return body
}

// forget removes all answers and versions, from the worker's memory too, and what the teacher has counted.
func (s *stand) forget(t *testing.T) {
	t.Helper()
	s.KillWorker()
	b := bucketOf(t, s.Stack)
	b.delete("responses/")
	b.delete("datasets/")
	s.StartWorker()
	teacherCall(t, s.Stack, "POST", "/stats/reset", nil)
}

func (s *stand) setFaults(f teacher.Faults) {
	s.t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	teacherCall(s.t, s.Stack, "POST", "/faults", body)
}

// away cuts a way for so many seconds.
func (s *stand) away(way *stacktest.Proxy, seconds int) {
	way.Cut()
	s.pass(seconds)
	way.Heal()
}

// planBytes is more than the plan sends to the index, and less than retrieval does.
const planBytes = 2000

// cutItself waits until a way has been cut by what went through it, and heals it after so many seconds.
func (s *stand) cutItself(way *stacktest.Proxy, seconds int) {
	s.t.Helper()
	waitUntil(s.t, "the way is cut", way.IsCut)
	s.pass(seconds)
	way.Heal()
}

// pass lets real time pass: an outage lasts.
func (s *stand) pass(seconds int) {
	<-time.After(time.Duration(seconds) * time.Second)
}
