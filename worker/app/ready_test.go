package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

// world is the servers of a worker as a readiness sees them.
type world struct {
	readiness
	asked int
	clock time.Time
	fails error // of the bucket
}

func newWorld() *world {
	w := &world{clock: time.Unix(1_800_000_000, 0)}
	w.now = func() time.Time { return w.clock }
	w.checks = []check{
		{"temporal", func(context.Context) error { return nil }},
		{"bucket", func(context.Context) error { w.asked++; return w.fails }},
	}
	return w
}

func (w *world) get() (status int, body string) {
	reply := httptest.NewRecorder()
	w.ServeHTTP(reply, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return reply.Code, reply.Body.String()
}

func TestAWorkerIsReadyWhileItPollsAndItsServersAnswer(t *testing.T) {
	w := newWorld()
	if status, body := w.get(); status != http.StatusServiceUnavailable || w.asked != 0 {
		t.Errorf("before it polls: %d %q, asked %d times", status, body, w.asked)
	}
	w.polls(true)
	if status, body := w.get(); status != http.StatusOK || body != "temporal ok\nbucket ok\n" {
		t.Errorf("%d %q", status, body)
	}
	w.fails = rebased.E(rebased.Unavailable, "secret words of a server")
	w.clock = w.clock.Add(readyFor)
	status, body := w.get()
	if status != http.StatusServiceUnavailable || body != "temporal ok\nbucket does not answer: unavailable\n" || strings.Contains(body, "secret") {
		t.Errorf("a bucket that is down: %d %q", status, body)
	}
	w.polls(false)
	if status, body := w.get(); status != http.StatusServiceUnavailable || !strings.Contains(body, "stops") {
		t.Errorf("one that stops: %d %q", status, body)
	}
}

func TestAskingForReadinessOftenCostsNothing(t *testing.T) {
	w := newWorld()
	w.polls(true)
	for range 100 {
		w.get()
	}
	if w.asked != 1 {
		t.Errorf("the bucket was asked %d times within seconds", w.asked)
	}
	w.clock = w.clock.Add(readyFor)
	if w.get(); w.asked != 2 {
		t.Errorf("asked %d times, it must be asked again after %v", w.asked, readyFor)
	}
}
