package llm

import (
	"sync/atomic"
	"time"

	"github.com/rebased/rebased"
)

// Flow is how the calls of one step of a shard fare: what a heartbeat tells beside the rows that are done. Counts of calls are of this attempt.
type Flow struct {
	InFlight  int            `json:"in_flight"` // sent and not answered
	Answered  int            `json:"answered"`
	Throttled int            `json:"throttled"`      // 429 and the like
	Failed    int            `json:"failed"`         // 5xx, cut off, timed out
	Spent     rebased.Amount `json:"spent"`          // by the account, attempts before included, that its build does not count yet
	Most      int            `json:"most"`           // calls under way that the pace of the model and the build's share allow in this process now
	Rate      float64        `json:"rate,omitempty"` // calls a second that it allows, once a limit was met; 0 = none was
	Hold      float64        `json:"hold,omitempty"` // seconds for which nothing is sent, since the provider asked so
}

// Gauge counts what becomes of the calls of a step while it runs. The zero value is ready; a nil one counts nothing.
type Gauge struct {
	inFlight, answered, throttled, failed, pico, tokens atomic.Int64
	lane                                                atomic.Pointer[lane]
}

// Flow reads the gauge.
func (g *Gauge) Flow() Flow {
	f := Flow{
		InFlight: int(g.inFlight.Load()), Answered: int(g.answered.Load()), Throttled: int(g.throttled.Load()), Failed: int(g.failed.Load()),
		Spent: rebased.Amount{Pico: g.pico.Load(), Tokens: g.tokens.Load()},
	}
	if l := g.lane.Load(); l != nil {
		f.Most, f.Rate, f.Hold = l.limits(time.Now())
	}
	return f
}

func (g *Gauge) joined(l *lane, spent rebased.Amount) {
	if g != nil {
		g.lane.Store(l)
		g.pico.Store(spent.Pico)
		g.tokens.Store(spent.Tokens)
	}
}

func (g *Gauge) sent() {
	if g != nil {
		g.inFlight.Add(1)
	}
}

func (g *Gauge) ended(what ending) {
	if g == nil {
		return
	}
	g.inFlight.Add(-1)
	switch what {
	case answered, refused:
		g.answered.Add(1)
	case throttled:
		g.throttled.Add(1)
	case failed:
		g.failed.Add(1)
	}
}

func (g *Gauge) paid(amount rebased.Amount) {
	if g != nil {
		g.pico.Add(amount.Pico)
		g.tokens.Add(amount.Tokens)
	}
}

// limits are what the pace of the lane's model allows now: calls under way, calls a second (0 = any number) and the seconds until it sends again.
func (l *lane) limits(now time.Time) (most int, rate, hold float64) {
	l.traffic.mu.Lock()
	defer l.traffic.mu.Unlock()
	p := l.build.pace
	return min(int(p.window), l.build.cap), p.rate(now), max(0, p.hold.Sub(now).Seconds())
}
