package llm

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebased/rebased"
)

// Share is one shard's part of what its build may do at once. The shards of a build that run in one process use their shares together, so that
// none is idle while a shard ends or begins.
type Share struct {
	InFlight int `json:"in_flight"` // calls under way
	// Capped says that InFlight is part of the task's own cap: then calls start at it. Else their number adapts from a few upwards.
	Capped bool    `json:"capped,omitempty"`
	RPM    float64 `json:"rpm,omitempty"` // requests a minute; 0 = no cap
	TPM    float64 `json:"tpm,omitempty"` // tokens a minute; 0 = no cap
	// Last says that nobody takes the share over when the shard is done. The build's other shards in this process go on with it then.
	Last bool `json:"last,omitempty"`
}

// Traffic lets the calls of one process through: within the shares of each build, and at the pace that each model of each endpoint can take.
type Traffic struct {
	// Alive tells whether this process may send: not while it cannot be heard of, since another may have its work by then. nil = always.
	Alive func() bool

	mu     sync.Mutex
	paces  map[string]*pace
	builds map[string]*build
	order  []*build // those that have shards here, the last served at the end
	timer  *time.Timer
}

// NewTraffic makes an open road.
func NewTraffic() *Traffic {
	return &Traffic{paces: map[string]*pace{}, builds: map[string]*build{}}
}

// Line is how calls to one model of one endpoint fare in this process.
type Line struct {
	Model    string
	InFlight int     // sent and not answered
	Waiting  int     // to be sent
	Window   float64 // the most that may be under way
	Rate     float64 // calls a second that may be sent; 0 = no limit is known
}

// Lines tells of all models that this process has called.
func (t *Traffic) Lines() []Line {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	lines := make([]Line, 0, len(t.paces))
	for name, p := range t.paces {
		l := Line{Model: name[strings.LastIndexByte(name, ' ')+1:], InFlight: p.inFlight, Window: p.window, Rate: p.rate(now)}
		for _, b := range t.order {
			if b.pace != p {
				continue
			}
			for _, lane := range b.lanes {
				l.Waiting += len(lane.waiting)
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// aliveEvery is how often a process that cannot be heard of looks again.
const aliveEvery = time.Second

// build is what the shards of one build in this process share.
type build struct {
	name             string
	pace             *pace
	cap              int // of calls under way: the sum of the shards' shares
	rpm, tpm         float64
	requests, tokens bucket
	inFlight         int // sent and not answered
	unstored         int // answered and not stored
	perCall          float64
	lanes            []*lane // in the order of joining
}

type waiter struct {
	ready chan struct{}
	cost  float64 // tokens, when a cap of tokens holds
}

// lane is one shard's way into the traffic.
//
// A shard that another will follow is served before those that came later: so the shards of a build end one after the other, and while one ends and
// its follower begins the others use its slots. Of shards that nobody follows the one with the most rows left is served first: so they end
// together, and the build's end has no tail.
type lane struct {
	traffic *Traffic
	build   *build
	share   Share
	waiting []*waiter
	left    atomic.Int64 // rows that have no outcome
}

// join takes a shard of so many rows in. name tells builds apart, line the models of endpoints.
func (t *Traffic) join(name, line string, share Share, rows int) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.paces[line]
	if p == nil {
		p = newPace()
		t.paces[line] = p
	}
	b := t.builds[name]
	if b == nil {
		b = &build{name: name, pace: p}
		t.builds[name] = b
		t.order = append(t.order, b)
	}
	l := &lane{traffic: t, build: b, share: share}
	l.left.Store(int64(rows))
	b.lanes = append(b.lanes, l)
	l.add(1)
	p.forget(time.Now())
	if share.Capped {
		capped := 0
		for _, other := range t.order {
			if other.pace == p {
				capped += other.cap
			}
		}
		p.expect(capped)
	}
	t.pump()
	return l
}

// add puts the lane's share into the build's, or takes it out. The caller holds mu.
func (l *lane) add(sign int) {
	b, now := l.build, time.Now()
	b.cap += sign * max(1, l.share.InFlight)
	b.rpm += float64(sign) * l.share.RPM
	b.tpm += float64(sign) * l.share.TPM
	const minute = 60
	b.requests.set(now, rateOf(b.rpm/minute), max(1, b.rpm/minute/10))
	b.tokens.set(now, rateOf(b.tpm/minute), max(1, b.tpm/minute))
}

// rateOf takes what is left of shares that were added and taken out again for none.
func rateOf(rate float64) float64 {
	const dust = 1e-9
	if rate < dust {
		return 0
	}
	return rate
}

// leave takes the shard out; done tells that it will not come back.
func (l *lane) leave(done bool) {
	t := l.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	if !done || !l.share.Last {
		l.add(-1)
	}
	l.build.lanes = slices.DeleteFunc(l.build.lanes, func(other *lane) bool { return other == l })
	if len(l.build.lanes) == 0 {
		delete(t.builds, l.build.name)
		t.order = slices.DeleteFunc(t.order, func(b *build) bool { return b == l.build })
	}
	t.pump()
}

// enter waits until a call may be sent. cost is what it may use in tokens; one that is sent again goes before the others.
func (l *lane) enter(ctx context.Context, cost float64, again bool) error {
	t := l.traffic
	w := &waiter{ready: make(chan struct{}), cost: cost}
	t.mu.Lock()
	if again {
		l.waiting = slices.Insert(l.waiting, 0, w)
	} else {
		l.waiting = append(l.waiting, w)
	}
	t.pump()
	t.mu.Unlock()
	select {
	case <-w.ready:
		if ctx.Err() == nil {
			return nil
		}
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := slices.Index(l.waiting, w); at >= 0 {
		l.waiting = slices.Delete(l.waiting, at, at+1)
		t.pump()
	} else { // it was let through at the same moment
		l.build.inFlight--
		l.build.pace.inFlight--
		t.pump()
	}
	return context.Cause(ctx)
}

// exit takes in what came of a call that was let through at start, and used tokens where estimated were taken for it. An answer counts as under
// way until stored is called.
func (l *lane) exit(start time.Time, what ending, rate RateLimit, asked time.Duration, taken, used float64) {
	t, b, now := l.traffic, l.build, time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b.inFlight--
	if what == answered {
		b.unstored++
		if b.perCall == 0 {
			b.perCall = used
		}
		const memory = 0.05
		b.perCall += memory * (used - b.perCall)
	}
	b.tokens.take(now, used-taken)
	b.pace.ended(now, start, what, asked)
	if rate != (RateLimit{}) {
		b.pace.said(rate, b.perCall)
	}
	t.pump()
}

// stored takes in that an answer is durable.
func (l *lane) stored() {
	l.traffic.mu.Lock()
	defer l.traffic.mu.Unlock()
	l.build.unstored--
	l.traffic.pump()
}

// estimate is what a call is taken to use before it is known: what the last ones used, or the bound.
func (l *lane) estimate(bound rebased.Usage) float64 {
	l.traffic.mu.Lock()
	defer l.traffic.mu.Unlock()
	if l.build.perCall > 0 {
		return l.build.perCall
	}
	return float64(bound.InputTokens + bound.OutputTokens)
}

// health is how a model fares.
type health struct {
	answers, failures int // so far
	inFlight          int // now
}

func (l *lane) health() health {
	l.traffic.mu.Lock()
	defer l.traffic.mu.Unlock()
	p := l.build.pace
	return health{answers: p.answers, failures: p.failures, inFlight: p.inFlight}
}

// pump lets through whatever may pass now, one call of each build in turn, and sets the timer for the next. The caller holds mu.
func (t *Traffic) pump() {
	now := time.Now()
	var wake time.Time
	later := func(at time.Time) {
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	}
	if t.Alive != nil && !t.Alive() {
		if slices.ContainsFunc(t.order, func(b *build) bool { return b.next() >= 0 }) {
			t.wakeAt(now, now.Add(aliveEvery))
		}
		return
	}
	for next := t.pass(now, later); next >= 0; next = t.pass(now, later) {
		b := t.order[next]
		t.order = append(slices.Delete(t.order, next, next+1), b)
	}
	if !wake.IsZero() {
		t.wakeAt(now, wake)
	}
}

// next is the lane whose call is the next, -1 when none waits.
func (b *build) next() int {
	best, most := -1, int64(-1)
	for i, l := range b.lanes {
		switch left := l.left.Load(); {
		case len(l.waiting) == 0:
		case !l.share.Last:
			return i
		case left > most:
			best, most = i, left
		}
	}
	return best
}

// ready tells when the build's next call may be sent; ok is false when none waits or it must wait for another to end.
func (b *build) ready(now time.Time) (at time.Time, ok bool) {
	if b.inFlight >= b.cap || b.unstored >= max(1, b.cap/2) {
		return now, false
	}
	next := b.next()
	if next < 0 {
		return now, false
	}
	if at, ok = b.pace.ready(now); !ok {
		return now, false
	}
	return latest(latest(at, b.requests.ready(now, 1)), b.tokens.ready(now, b.lanes[next].waiting[0].cost)), true
}

// pass lets the next call through.
func (b *build) pass(now time.Time) {
	l := b.lanes[b.next()]
	w := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	b.inFlight++
	b.requests.take(now, 1)
	b.tokens.take(now, w.cost)
	b.pace.sent(now)
	close(w.ready)
}

// pass lets one call of the first build that may send one through, and gives the build's place; -1 when there is none. later is told when one
// could be sent.
func (t *Traffic) pass(now time.Time, later func(time.Time)) int {
	for i, b := range t.order {
		switch at, ok := b.ready(now); {
		case !ok:
		case at.After(now):
			later(at)
		default:
			b.pass(now)
			return i
		}
	}
	return -1
}

func (t *Traffic) wakeAt(now, at time.Time) {
	if t.timer == nil {
		t.timer = time.AfterFunc(at.Sub(now), func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.pump()
		})
		return
	}
	t.timer.Reset(at.Sub(now))
}
