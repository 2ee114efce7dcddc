package teacher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/local/teacher"
)

func TestEachFaultIsWhatItSays(t *testing.T) {
	for name, c := range map[string]struct {
		faults   teacher.Faults
		answered int
		check    func(r reply, err error) bool
	}{
		"throttled": {teacher.Faults{Throttled: 1, RetryAfterS: 7}, 0, func(r reply, _ error) bool {
			return r.status == 429 && r.header.Get("Retry-After") == "7" && r.Error.Code == "rate_limit_exceeded"
		}},
		"failed": {teacher.Faults{Failed: 1}, 0, func(r reply, _ error) bool { return r.status == 500 && r.Error.Type == "server_error" }},
		"cut": {teacher.Faults{Cut: 1}, 0, func(_ reply, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF)
		}},
		"prose": {teacher.Faults{Prose: 1}, 1, func(r reply, _ error) bool {
			return r.status == 200 && r.content() != "" && !strings.Contains(r.content(), "{")
		}},
		"empty": {teacher.Faults{Empty: 1}, 1, func(r reply, _ error) bool { return r.status == 200 && r.content() == "" }},
		"down":  {teacher.Faults{Down: 1}, 0, func(r reply, err error) bool { return r.status == 0 && errors.Is(err, io.EOF) }},
		"page": {teacher.Faults{Page: 1}, 0, func(r reply, _ error) bool {
			return r.status == 200 && bytes.HasPrefix(r.raw, []byte("<html>"))
		}},
	} {
		c2 := serve(t, teacher.Config{Faults: c.faults})
		r, err := c2.do("POST", "/v1/chat/completions", asking(transformPrompt(squad, warsaw)))
		if !c.check(r, err) {
			t.Errorf("%s: got %d %v %s, %v", name, r.status, r.header, r.raw, err)
		}
		if s := c2.stats(); len(s.Faults) != 1 || fmt.Sprint(s.Faults) != "map["+name+":1]" || s.Answered != c.answered {
			t.Errorf("%s: counted as %+v", name, s)
		}
	}
}

// leave asks so many different prompts at once, and leaves when all of them are being answered, or have met the fault that is named.
func leave(t *testing.T, c client, n int, fault string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- c.askUntil(ctx, transformPrompt(squad, fmt.Sprintf(`{"text": "row %d"}`, i))) }()
	}
	until(t, func() bool {
		stats, chosen := c.stats(), 0
		for name, count := range stats.Faults { // a fault is chosen after the request is counted
			if string(name) == fault {
				chosen = count
			}
		}
		return stats.InFlight == n && (fault == "" || chosen == n)
	})
	cancel()
	for range n {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("the call ended with %v, want context.Canceled", err)
		}
	}
	until(t, func() bool { return c.stats().InFlight == 0 })
	if s := c.stats(); s.Requests != n || s.MaxInFlight != n || s.Answered != 0 {
		t.Errorf("counted as %+v", s)
	}
}

func TestAHangingAnswerEndsWhenTheClientLeaves(t *testing.T) {
	c := serve(t, teacher.Config{Faults: teacher.Faults{Hanging: 1}})
	leave(t, c, 1, "hanging")
	if got := c.stats().Faults["hanging"]; got != 1 {
		t.Errorf("%d faults, want 1", got)
	}
}

func TestLatencyHoldsAnswersBackSideBySide(t *testing.T) {
	leave(t, serve(t, teacher.Config{Latency: time.Hour}), 16, "")
	leave(t, serve(t, teacher.Config{Faults: teacher.Faults{LatencyMS: 3_600_000}}), 16, "")
	c := serve(t, teacher.Config{Latency: time.Millisecond})
	if r := c.ask(asking(transformPrompt(squad, warsaw))); r.status != 200 {
		t.Errorf("got %d after the latency", r.status)
	}
}

// until looks again and again, by asking the server, until something holds.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for range 100_000 {
		if holds() {
			return
		}
	}
	t.Fatal("it never came to pass")
}

// failures asks prompts so many times each and gives what failed, as "prompt attempt".
func failures(c client, prompts, attempts int) map[string]bool {
	failed := map[string]bool{}
	for a := range attempts {
		for p := range prompts {
			if c.ask(asking(transformPrompt(squad, fmt.Sprintf(`{"text": "row %d"}`, p)))).status != 200 {
				failed[fmt.Sprint(p, " ", a)] = true
			}
		}
	}
	return failed
}

func TestWhichAttemptsFailIsAlwaysTheSame(t *testing.T) {
	faults := teacher.Faults{Failed: 0.3, Throttled: 0.1}
	first := failures(serve(t, teacher.Config{Faults: faults}), 100, 3)
	second := failures(serve(t, teacher.Config{Faults: faults}), 100, 3)
	if len(first) < 90 || len(first) > 150 {
		t.Fatalf("%d of 300 attempts failed, want about 120", len(first))
	}
	changed := 0
	for p := range 100 {
		if first[fmt.Sprint(p, " 0")] != first[fmt.Sprint(p, " 1")] {
			changed++
		}
	}
	if changed < 20 {
		t.Fatalf("the second attempt fared otherwise than the first for %d of 100 prompts, want about 48", changed)
	}
	if fmt.Sprint(first) != fmt.Sprint(second) {
		t.Fatal("another server failed at other attempts")
	}
}

func TestFaultsAreBounded(t *testing.T) {
	c := serve(t, teacher.Config{Faults: teacher.Faults{Failed: 1, Attempts: 2}})
	for f := range failures(c, 3, 4) {
		if strings.HasSuffix(f, " 2") || strings.HasSuffix(f, " 3") {
			t.Errorf("a third or fourth attempt failed: %s", f)
		}
	}
	if got := c.stats().Faults["failed"]; got != 6 {
		t.Errorf("%d faults, want 6", got)
	}
	c = serve(t, teacher.Config{Faults: teacher.Faults{Failed: 1, Count: 5}})
	if got := len(failures(c, 4, 3)); got != 5 {
		t.Errorf("%d faults, want 5", got)
	}
}

func TestFaultsAreSetWhileTheServerRuns(t *testing.T) {
	c := serve(t, teacher.Config{AllowFaults: true})
	prompt := asking(transformPrompt(squad, warsaw))
	for _, step := range []struct {
		body any
		set  int
		then int
	}{
		{teacher.Faults{Failed: 1}, 200, 500},
		{map[string]any{"unknown": 1}, 400, 500},
		{map[string]any{"failed": 1.5}, 400, 500},
		{map[string]any{}, 200, 200},
	} {
		if r := c.must("POST", "/faults", step.body); r.status != step.set {
			t.Errorf("set %v: %d %s, want %d", step.body, r.status, r.raw, step.set)
		}
		if r := c.ask(prompt); r.status != step.then {
			t.Errorf("after %v: %d, want %d", step.body, r.status, step.then)
		}
	}
	if r := serve(t, teacher.Config{}).must("POST", "/faults", teacher.Faults{}); r.status != 404 {
		t.Errorf("set where that is not allowed: %d %s", r.status, r.raw)
	}
}

func TestStatsTellWhatWasPaidTwice(t *testing.T) {
	c := serve(t, teacher.Config{})
	if s := c.stats(); s.Requests != 0 || s.FirstRequest != 0 || s.LastAnswer != 0 {
		t.Fatalf("before the first request: %+v", s)
	}
	other := transformPrompt(squad, `{"text": "another row"}`)
	for _, prompt := range []string{transformPrompt(squad, warsaw), other, other, other, "Hello!"} {
		c.ask(asking(prompt))
	}
	s := c.stats()
	if s.Requests != 5 || s.Answered != 4 || s.Refused != 1 || s.Distinct != 3 || s.Repeated != 1 || s.MaxInFlight != 1 || s.InFlight != 0 {
		t.Fatalf("got %+v", s)
	}
	if s.FirstRequest == 0 || s.LastAnswer < s.FirstRequest {
		t.Fatalf("first request at %d, last answer at %d", s.FirstRequest, s.LastAnswer)
	}
	c.must("POST", "/stats/reset", nil)
	if s := c.stats(); s.Requests != 0 || s.Distinct != 0 || s.FirstRequest != 0 {
		t.Fatalf("after the reset: %+v", s)
	}
}
