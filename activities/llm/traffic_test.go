package llm_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// provider is a server with limits, in simulated time.
type provider struct {
	latency    time.Duration
	rpm        float64 // 0 = no limit; a bucket of one second's worth
	concurrent int     // 0 = no limit
	headers    bool

	mu                   sync.Mutex
	level                float64
	filled, start        time.Time
	inFlight, most       int
	answered, throttled  int
	lateSent, lateThrown int // after the first 30 s
	last                 time.Time
}

func (p *provider) Endpoint() string { return "http://provider/v1" }

func (p *provider) admit() (ok bool, rate llm.RateLimit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.start.IsZero() {
		p.start, p.filled, p.level = now, now, max(1, p.rpm/60)
	}
	p.level = min(max(1, p.rpm/60), p.level+now.Sub(p.filled).Seconds()*p.rpm/60)
	p.filled = now
	late := now.Sub(p.start) > 30*time.Second
	if late {
		p.lateSent++
	}
	if p.headers {
		rate.Requests = llm.Window{Limit: int64(p.rpm), Remaining: int64(max(0, p.level-1)), Reset: time.Second}
	}
	if p.rpm > 0 && p.level < 1 || p.concurrent > 0 && p.inFlight >= p.concurrent {
		p.throttled++
		if late {
			p.lateThrown++
		}
		return false, rate
	}
	p.level--
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	return true, rate
}

func (p *provider) ask(_ int, r llm.Request) (llm.Answer, error) {
	ok, rate := p.admit()
	if !ok {
		time.Sleep(10 * time.Millisecond)
		return llm.Answer{}, &rebased.Error{Kind: rebased.Throttled, RetryAfter: time.Second}
	}
	time.Sleep(p.latency)
	p.mu.Lock()
	p.inFlight--
	p.answered++
	p.last = time.Now()
	p.mu.Unlock()
	return llm.Answer{Text: r.Prompt, Rate: rate, Usage: rebased.Usage{InputTokens: 80, OutputTokens: 20}}, nil
}

// perMinute is the rate of answers from the first request to the last answer.
func (p *provider) perMinute() float64 { return float64(p.answered) / p.last.Sub(p.start).Minutes() }

// against runs n prompts against a provider, in the shards and with the share given, side by side as a build's.
func against(t *testing.T, p *provider, shards, n int, share llm.Share) {
	t.Helper()
	b := newBench(mem.NewObjects(), p.ask)
	b.Jitter = nil
	b.Traffic = llm.NewTraffic()
	b.params.Build, b.params.Share = "build", share
	b.params.Share.Last = true // no others follow
	synctest.Test(t, func(t *testing.T) {
		all := numbers(n)
		var group sync.WaitGroup
		for s := range shards {
			group.Go(func() {
				if _, _, err := b.run(t.Context(), all[s*n/shards:(s+1)*n/shards]...); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
	if p.answered != n {
		t.Errorf("%d of %d are answered", p.answered, n)
	}
}

func TestACapOfCallsUnderWayHoldsOverAllShardsAndIsUsed(t *testing.T) {
	p := &provider{latency: 200 * time.Millisecond}
	against(t, p, 8, 4000, llm.Share{InFlight: 8, Capped: true})
	if p.most != 64 {
		t.Errorf("at most %d were under way, want 64", p.most)
	}
	if used := p.perMinute() / (64 / 0.2 * 60); used < 0.96 {
		t.Errorf("%.3f of the ideal rate", used)
	}
}

// A build of many shards changes from one to the next all the time; each change takes the workflow a moment.
func TestNoSlotIsIdleWhileShardsEndAndBegin(t *testing.T) {
	p := &provider{latency: 200 * time.Millisecond}
	b := newBench(mem.NewObjects(), p.ask)
	b.Traffic = llm.NewTraffic()
	const lanes, shards, rows = 8, 24, 20_000
	synctest.Test(t, func(t *testing.T) {
		all, next := numbers(rows), atomic.Int32{}
		var group sync.WaitGroup
		for range lanes {
			group.Go(func() {
				for s := int(next.Add(1)) - 1; s < shards; s = int(next.Add(1)) - 1 {
					time.Sleep(300 * time.Millisecond)
					mine := *b
					mine.params.Build, mine.params.Share = "build", llm.Share{InFlight: 32, Capped: true, Last: s+lanes >= shards}
					if _, _, err := mine.run(t.Context(), all[s*rows/shards:(s+1)*rows/shards]...); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
	})
	if used := p.perMinute() / (256 / 0.2 * 60); used < 0.96 || p.most > 256 {
		t.Errorf("%.3f of the ideal rate, %d at most under way", used, p.most)
	}
}

func TestWithoutACapTheCallsUnderWayDouble(t *testing.T) {
	p := &provider{latency: 200 * time.Millisecond}
	against(t, p, 8, 4000, llm.Share{InFlight: 32})
	if p.most < 250 || p.most > 256 {
		t.Errorf("at most %d were under way, want nearly 256", p.most)
	}
	if used := p.perMinute() / (256 / 0.2 * 60); used < 0.7 { // six round trips of 21 are spent on finding out
		t.Errorf("%.3f of the ideal rate", used)
	}
}

func TestACapOfRequestsAMinuteHoldsAndIsUsed(t *testing.T) {
	for _, rpm := range []float64{60, 600, 3000} {
		p := &provider{latency: 700 * time.Millisecond, rpm: rpm}
		against(t, p, 8, int(2*rpm), llm.Share{InFlight: 8, Capped: true, RPM: rpm / 8})
		if p.throttled > 0 {
			t.Errorf("%v a minute: %d were throttled", rpm, p.throttled)
		}
		if used := p.perMinute() / rpm; used < 0.95 || used > 1.05 {
			t.Errorf("%v a minute: %.3f of the limit is used", rpm, used)
		}
	}
}

func TestACapOfTokensAMinuteHoldsAndIsUsed(t *testing.T) {
	p := &provider{latency: 200 * time.Millisecond}
	const tpm = 60_000 // 600 calls of 100 tokens
	against(t, p, 4, 3000, llm.Share{InFlight: 8, Capped: true, TPM: tpm / 4})
	if used := p.perMinute() * 100 / tpm; used < 0.95 || used > 1.25 { // the bucket holds a minute's worth at first
		t.Errorf("%.3f of the limit is used", used)
	}
}

// A provider's limit is found by its headers, or by what it throttles.
func TestALimitOfTheProviderIsFoundAndUsed(t *testing.T) {
	for name, limits := range map[string][]float64{"headers": {60, 600, 3000}, "alone": {60, 120, 300, 600, 3000}} {
		for _, rpm := range limits {
			p := &provider{latency: 200 * time.Millisecond, rpm: rpm, headers: name == "headers"}
			against(t, p, 8, int(4*rpm), llm.Share{InFlight: 32})
			used, thrown := p.perMinute()/rpm, float64(p.lateThrown)/float64(p.lateSent)
			t.Logf("%s, %v a minute: %.3f of the limit used, %.3f throttled after 30 s, %d in all", name, rpm, used, thrown, p.throttled)
			if used < 0.93 || thrown > 0.02 || math.IsNaN(thrown) {
				t.Errorf("%s, %v a minute: %.3f of the limit used, %.3f throttled after 30 s", name, rpm, used, thrown)
			}
		}
	}
}

func TestALimitOfCallsUnderWayIsFoundAndUsed(t *testing.T) {
	p := &provider{latency: 200 * time.Millisecond, concurrent: 40}
	against(t, p, 8, 20_000, llm.Share{InFlight: 32})
	used, thrown := p.perMinute()/(40/0.2*60), float64(p.lateThrown)/float64(p.lateSent)
	t.Logf("%.3f of the limit used, %.3f throttled after 30 s", used, thrown)
	if used < 0.85 || thrown > 0.02 {
		t.Errorf("%.3f of the limit used, %.3f throttled after 30 s", used, thrown)
	}
}

func TestAProcessThatCannotBeHeardOfSendsNothing(t *testing.T) {
	b := newBench(mem.NewObjects(), echo)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b.Traffic = llm.NewTraffic()
		b.Traffic.Alive = func() bool { return time.Since(start) >= time.Minute }
		if _, _, err := b.run(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if waited := b.teacher.at[0].Sub(start); waited < time.Minute || waited > time.Minute+2*time.Second {
			t.Errorf("the first request went out after %s", waited)
		}
	})
}

func TestBuildsShareWhatAModelTakes(t *testing.T) {
	p := &provider{latency: 200 * time.Millisecond, concurrent: 20}
	b := newBench(mem.NewObjects(), p.ask)
	b.Jitter, b.Traffic = nil, llm.NewTraffic()
	b.params.Share = llm.Share{InFlight: 64}
	ended := map[string]time.Duration{}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var group sync.WaitGroup
		for _, name := range []string{"one", "two"} {
			group.Go(func() {
				mine := *b
				mine.params.Build = name
				mine.params.System = name
				if _, _, err := mine.run(t.Context(), numbers(3000)...); err != nil {
					t.Error(err)
				}
				mu.Lock()
				ended[name] = time.Since(start)
				mu.Unlock()
			})
		}
		group.Wait()
	})
	if ratio := ended["one"].Seconds() / ended["two"].Seconds(); ratio < 0.9 || ratio > 1.1 {
		t.Errorf("they ended after %v", ended)
	}
}

// A storm of throttles that ends must not slow down the calls after it for long.
func TestAStormOfThrottlesIsForgottenSoon(t *testing.T) {
	for _, storm := range []time.Duration{500 * time.Millisecond, 4 * time.Second, 20 * time.Second} {
		p := &provider{latency: 60 * time.Millisecond}
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // which calls are throttled
		stormy := func(n int, r llm.Request) (llm.Answer, error) {
			p.mu.Lock()
			throttle := random.Float64() < 0.6 && (p.start.IsZero() || time.Since(p.start) < storm)
			if p.start.IsZero() {
				p.start = time.Now()
			}
			p.mu.Unlock()
			time.Sleep(p.latency)
			if throttle {
				return llm.Answer{}, &rebased.Error{Kind: rebased.Throttled, RetryAfter: time.Second}
			}
			p.mu.Lock()
			p.answered++
			p.last = time.Now()
			p.mu.Unlock()
			return llm.Answer{Text: r.Prompt}, nil
		}
		b := newBench(mem.NewObjects(), stormy)
		b.Jitter = nil
		b.params.Share.InFlight = 16
		synctest.Test(t, func(t *testing.T) {
			if _, _, err := b.run(t.Context(), numbers(4000)...); err != nil {
				t.Error(err)
			}
		})
		took, alone := p.last.Sub(p.start), 4000/16*60*time.Millisecond
		t.Logf("a storm of %s: %s, undisturbed %s", storm, took, alone)
		if took > alone+storm+20*time.Second {
			t.Errorf("a storm of %s: %s, undisturbed %s", storm, took, alone)
		}
	}
}
