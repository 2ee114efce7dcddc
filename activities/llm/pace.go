package llm

import (
	"math"
	"time"
)

// Constants of the adaptation.
const (
	firstWindow   = 4      // calls under way at the start, when no cap is given
	maxWindow     = 10_000 //
	decrease      = 0.7    // of the window, at a throttle
	goodputSpan   = 60     // seconds over which answers are counted
	bestSeconds   = 4      // of the last bestOf
	bestOf        = 8
	enoughAnswers = 30              // to tell a rate
	paceStart     = 0.97            // of the rate that went through, after a throttle
	foundSpan     = 2 * time.Second // of calls before what went through says anything
	growthFirst   = 3 * time.Second
	growthMost    = 60 * time.Second
	growthCalls   = 160              // after which twice the rate is tried, at least: some fifty before a steady limit is met again
	steadyCalls   = 20               // between two throttles of one limit: a storm lets fewer through
	bestHalf      = 30 * time.Second // the best rate that was found loses half of its say in
	sameRate      = 0.15             // two estimates of a rate that differ by less are of one limit
	longHold      = 5 * time.Second
	forgetAfter   = 10 * time.Minute // without a call, what was learned is forgotten
	lowRemaining  = 0.1              // of a limit: from here on its headers set the rate
	minRate       = 0.2              // calls a second, so that it goes on being tried
)

// pace adapts the calls to one model of one endpoint, over all builds of a process.
//
// The number under way doubles each round trip until the first throttle, then grows by one a round trip and falls to 0.7 at a throttle, as TCP's
// congestion window does (RFC 5681). That alone swings widely around a limit of requests a minute, so at a throttle the rate that went through in
// the last seconds becomes a limit too: from 0.97 of it the rate rises along a cubic (the idea of RFC 9438), slowly near the limit that was
// found, faster the longer nothing is throttled. When two estimates agree the limit is a steady one and the curve is stretched.
type pace struct {
	window   float64
	starting bool // no throttle yet: doubling
	inFlight int
	lastCut  time.Time // throttles of calls sent before it say nothing new
	lastCall time.Time

	hold time.Time // nothing is sent before

	answered [goodputSpan + 1]int // in each second, a ring
	second   int64                // the one that is being counted
	since    time.Time            // first call

	found        float64 // calls a second that went through at the last throttle; 0 = no limit known
	foundAt      time.Time
	growth       time.Duration // after which twice found is tried
	best         float64       // the highest rate that was found lately
	foundAnswers int           // how many answers there were then
	headers      float64       // calls a second that the provider's headers say; 0 = enough is left
	bucket       bucket

	answers, failures int // so far
}

func newPace() *pace { return &pace{window: firstWindow, starting: true, growth: growthFirst} }

// expect opens the window as wide as the task's cap says, unless the provider has throttled lately.
func (p *pace) expect(calls int) {
	if p.starting {
		p.window = max(p.window, float64(calls))
	}
}

func (p *pace) forget(now time.Time) {
	if p.inFlight == 0 && !p.lastCall.IsZero() && now.Sub(p.lastCall) > forgetAfter {
		*p = *newPace()
	}
}

// rate is how many calls a second may be sent; 0 = as many as the window lets.
func (p *pace) rate(now time.Time) float64 {
	rate := 0.0
	if p.found > 0 {
		x := now.Sub(p.foundAt).Seconds() / p.growth.Seconds()
		if rate = p.found * (paceStart + x*x*x); x > 4 { // sixty-fourfold: the limit is gone
			p.found, rate = 0, 0
		}
	}
	if p.headers > 0 && (rate == 0 || p.headers < rate) {
		rate = p.headers
	}
	return rate
}

// ready tells when a call may be sent: now or before, if at once; ok is false when it must wait for another one to end.
func (p *pace) ready(now time.Time) (at time.Time, ok bool) {
	if now.Before(p.hold) {
		return p.hold, true
	}
	if float64(p.inFlight) >= math.Floor(p.window) {
		return now, false
	}
	rate := p.rate(now)
	p.bucket.set(now, rate, max(1, rate/20))
	return p.bucket.ready(now, 1), true
}

func (p *pace) sent(now time.Time) {
	p.inFlight++
	p.lastCall = now
	if p.since.IsZero() {
		p.since = now
	}
	p.bucket.take(now, 1)
}

// ended takes in what came of a call.
func (p *pace) ended(now, start time.Time, what ending, asked time.Duration) {
	limited := float64(p.inFlight) >= p.window/2
	p.inFlight--
	switch what {
	case answered, refused:
		p.count(now, 1)
		p.answers++
		if !limited { // the window was no limit, so this says nothing about a wider one
			return
		}
		if p.starting {
			p.window++
		} else {
			p.window += 1 / p.window
		}
		p.window = min(p.window, maxWindow)
	case throttled:
		p.throttled(now, start, asked)
	case failed:
		p.failures++
	}
}

func (p *pace) throttled(now, start time.Time, asked time.Duration) {
	through := p.goodput(now)
	if asked >= longHold || through == 0 {
		p.hold = latest(p.hold, now.Add(min(asked, longWait)))
	}
	if !start.After(p.lastCut) {
		return
	}
	p.lastCut, p.starting = now, false
	p.window = max(1, p.window*decrease)
	if now.Sub(p.since) < foundSpan || through == 0 {
		return // too little is known of what goes through
	}
	rate := max(minRate, through)
	p.best = max(rate, p.best*math.Exp2(-now.Sub(p.foundAt).Seconds()/bestHalf.Seconds()))
	least := growthFirst
	if rate > p.best/2 { // no storm but the rate of before: many calls are let through before the limit is tried again
		least = max(least, time.Duration(growthCalls/rate*float64(time.Second)))
	}
	if p.found > 0 && math.Abs(rate-p.found) < sameRate*p.found && p.answers-p.foundAnswers > steadyCalls {
		p.growth = min(2*p.growth, growthMost)
	} else {
		p.growth = least
	}
	p.growth = max(p.growth, least)
	p.found, p.foundAt, p.foundAnswers = rate, now, p.answers
}

// count enters n answers in the present second.
func (p *pace) count(now time.Time, n int) {
	second := now.Unix()
	for ; p.second < second; p.second++ {
		if second-p.second > int64(len(p.answered)) {
			p.answered = [goodputSpan + 1]int{}
			p.second = second
			break
		}
		p.answered[(p.second+1)%int64(len(p.answered))] = 0
	}
	p.answered[second%int64(len(p.answered))] += n
}

// goodput is how many answers a second came in. Of the last seconds the best few count: a limit lets no more through for long, and the pace's own
// swings make the others less. Where those hold too few answers to tell, all of the last seconds that hold enough count.
func (p *pace) goodput(now time.Time) float64 {
	p.count(now, 0)
	if now.Sub(p.since) < (bestSeconds+1)*time.Second { // too early to leave the present second out
		return float64(p.sum(p.second, bestSeconds+1)) / max(1, now.Sub(p.since).Seconds())
	}
	best := 0
	for end := p.second - 1; end > p.second-bestOf; end-- {
		best = max(best, p.sum(end, bestSeconds))
	}
	if best >= enoughAnswers {
		return float64(best) / bestSeconds
	}
	known := min(int64(now.Sub(p.since).Seconds()), goodputSpan)
	span, sum := int64(bestSeconds), p.sum(p.second-1, bestSeconds)
	for sum < enoughAnswers && span < known {
		span++
		sum = p.sum(p.second-1, span)
	}
	return float64(sum) / float64(span)
}

// sum is how many answers came in in so many seconds up to the end of one.
func (p *pace) sum(end, seconds int64) (sum int) {
	for s := end; s > end-seconds; s-- {
		sum += p.answered[s%int64(len(p.answered))]
	}
	return sum
}

// said takes in a provider's headers. Their limits are of a minute (OpenAI's and Anthropic's documentation of rate limits). They count once little
// is left; until then the provider lets bursts through.
func (p *pace) said(r RateLimit, tokensPerCall float64) {
	const minute = 60
	p.headers = 0
	if w := r.Requests; w.Limit > 0 && float64(w.Remaining) < max(lowRemaining*float64(w.Limit), float64(p.inFlight)) {
		p.headers = float64(w.Limit) / minute
	}
	if w := r.Tokens; w.Limit > 0 && tokensPerCall > 0 &&
		float64(w.Remaining) < max(lowRemaining*float64(w.Limit), float64(p.inFlight)*tokensPerCall) {
		if rate := float64(w.Limit) / minute / tokensPerCall; p.headers == 0 || rate < p.headers {
			p.headers = rate
		}
	}
}

// ending is what came of a call, as far as the pace is concerned.
type ending int

const (
	answered  ending = iota
	refused          // for what it asks
	throttled        // 429, or overloaded
	failed           // 5xx, cut, timeout
)

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
