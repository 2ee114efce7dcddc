package teacher

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestALimitOfRequestsAMinuteFillsEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate{now: time.Now}
		l := Limits{RPM: 600, Headers: true}
		try := func() (let int, h http.Header, retryAfter int) {
			for range 100 {
				h = http.Header{}
				after, ok := g.enter(l, h)
				if !ok {
					return let, h, after
				}
				g.leave()
				let++
			}
			return let, h, 0
		}
		let, h, after := try()
		if let != 10 || after != 1 || h.Get("X-Ratelimit-Limit-Requests") != "600" || h.Get("X-Ratelimit-Remaining-Requests") != "0" ||
			h.Get("X-Ratelimit-Reset-Requests") != "1000ms" {
			t.Errorf("%d of the first second's worth of 10 were let in, then %v, retry after %d s", let, h, after)
		}
		time.Sleep(500 * time.Millisecond)
		if let, _, _ := try(); let != 5 {
			t.Errorf("%d were let in after half a second, want 5", let)
		}
		time.Sleep(time.Minute)
		if let, _, _ := try(); let != 10 {
			t.Errorf("%d were let in after a minute of rest, want 10", let)
		}
	})
}

func TestALimitOfRequestsAtOneTime(t *testing.T) {
	g := gate{now: time.Now}
	l := Limits{Concurrent: 2}
	for i, want := range []bool{true, true, false} {
		if _, ok := g.enter(l, http.Header{}); ok != want {
			t.Errorf("request %d: let in %v", i, ok)
		}
	}
	g.leave()
	if _, ok := g.enter(l, http.Header{}); !ok {
		t.Error("not let in after another had left")
	}
}

func TestFaultsEndByThemselvesAndLimitsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{APIKey: "k", Faults: Faults{Failed: 1, ForS: 20, LatencyMS: 5, Limits: Limits{RPM: 7}}})
		if err != nil {
			t.Fatal(err)
		}
		if f := s.present(); f.Failed != 1 {
			t.Errorf("at first %+v", f)
		}
		time.Sleep(20 * time.Second)
		if f := s.present(); f.Failed != 0 || f.LatencyMS != 5 || f.RPM != 7 {
			t.Errorf("after their time %+v", f)
		}
	})
}
