package llm

import "time"

// bucket is a token bucket whose rate changes while it runs. The zero value lets everything through.
type bucket struct {
	rate  float64 // tokens a second; 0 = no limit
	burst float64 // the most that it holds
	level float64 // may be below zero: a debt
	at    time.Time
}

// set changes the rate; what has come in by now stays.
func (b *bucket) set(now time.Time, rate, burst float64) {
	b.fill(now)
	if b.rate == 0 {
		b.level = burst
	}
	b.rate, b.burst = rate, burst
	b.level = min(b.level, burst)
}

func (b *bucket) fill(now time.Time) {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.level = min(b.burst, b.level+passed*b.rate)
	}
	b.at = now
}

// ready tells when one call may pass: now or before, when there is nothing to wait for. A call may pass while the level is positive, however
// much it takes, so that one that takes more than the burst is not kept for ever.
func (b *bucket) ready(now time.Time, need float64) time.Time {
	if b.rate <= 0 {
		return now
	}
	b.fill(now)
	need = min(need, b.burst)
	if b.level >= need {
		return now
	}
	return now.Add(time.Duration((need - b.level) / b.rate * float64(time.Second)))
}

// take lets n tokens go; a negative number gives some back.
func (b *bucket) take(now time.Time, n float64) {
	if b.rate > 0 {
		b.fill(now)
		b.level = min(b.burst, b.level-n)
	}
}
