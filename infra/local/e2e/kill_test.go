package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// TestKilledWorkersAndAKilledStackGiveTheBytesOfAnUndisturbedBuild runs one task twice in two folders of the bucket: undisturbed, then with the
// worker killed, and everything killed once, at random moments. The versions must be equal byte for byte, and no more calls be paid twice than
// were in flight at the kills. Each kill costs a heartbeat timeout of a minute, so the worker is killed once, or REBASED_KILLS times.
func TestKilledWorkersAndAKilledStackGiveTheBytesOfAnUndisturbedBuild(t *testing.T) {
	t.Parallel()
	const inFlight = 16
	kills := 1
	if n, err := strconv.Atoi(os.Getenv("REBASED_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // a seed
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // moments of a test
	s := stacktest.Start(t, stacktest.Options{Latency: 100 * time.Millisecond})
	corpus := demoCorpus(t)
	task := demoTask(t, 2000, map[string]any{
		"retrieve":  map[string]any{"rows": 2000, "mode": "paper"},
		"transform": map[string]any{"teacher": map[string]any{"limits": map[string]any{"in_flight": inFlight}}},
		"reason":    map[string]any{"mode": "rationale"},
	})

	indexed(t, s, corpus)
	undisturbed := result(t, must(t, s, "build", "-f", task, "--json"))
	want := bucketOf(t, s).files("datasets/demo/" + undisturbed.Version + "/")
	teacherCall(t, s, "POST", "/stats/reset", nil)

	s.KillWorker()
	s.SetEnv("REBASED_STORE=s3://rebased/second")
	s.StartWorker()
	indexed(t, s, corpus)
	started := result(t, must(t, s, "build", "-f", task, "--detach", "--json"))
	requests := func() int { return statsOf(t, s).number(t, "requests") }
	total := undisturbed.Calls.Made
	answered := 0 // by teachers that were killed with their counters
	for kill := range kills + 1 {
		seen := requests()
		more := 1 + random.IntN(max(1, total/(2*kills)))
		waitUntil(t, fmt.Sprintf("%d more calls are made, before kill %d", more, kill+1), func() bool {
			return requests() >= min(seen+more, total-1) || ended(t, s, started.Build)
		})
		if kill == kills/2 {
			answered += statsOf(t, s).number(t, "answered")
			s.KillAll()
			s.Restart()
		} else {
			s.KillWorker()
			s.StartWorker()
		}
	}
	disturbed := result(t, must(t, s, "builds", "watch", started.Build, "--json"))
	t.Logf("undisturbed %+v\ndisturbed %+v", undisturbed, disturbed)
	checkSum(t, disturbed)
	if disturbed.State != rebased.StateReleased || disturbed.Version != undisturbed.Version {
		t.Errorf("disturbed: %+v, want version %s", disturbed, undisturbed.Version)
	}
	sameFiles(t, want, bucketOf(t, s).files("second/datasets/demo/"+disturbed.Version+"/"))
	again := answered + statsOf(t, s).number(t, "answered") - total
	t.Logf("%d answers were given more than in the undisturbed build, at most %d were in flight at the kills", again, inFlight*(kills+1))
	if again > inFlight*(kills+1) {
		t.Errorf("%d calls were paid twice", again)
	}
}

// ended tells whether a build is over, which a kill would find too late.
func ended(t *testing.T, s *stacktest.Stack, build string) bool {
	t.Helper()
	var out bytes.Buffer
	cmd := s.Command(t.Context(), "builds", "show", build, "--json")
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		if _, exited := err.(*exec.ExitError); exited { //nolint:errorlint // what os/exec gives
			return false
		}
		t.Fatal(err)
	}
	return bytes.Contains(out.Bytes(), []byte(`"released"`))
}
