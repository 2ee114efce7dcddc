package app

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
)

// standing is how a build that is watched stands. Its JSON form is what `builds watch --json --progress` prints.
type standing struct {
	Build   string        `json:"build"`
	Task    string        `json:"task"`
	State   rebased.State `json:"state"`
	Phase   string        `json:"phase"`
	Detail  string        `json:"detail,omitempty"`
	Seconds float64       `json:"seconds"` // since the start

	Asked       int                    `json:"asked"` // rows that a teacher was asked about, those of steps under way included
	ToAsk       int                    `json:"to_ask"`
	Retrieved   int                    `json:"retrieved"`
	Rows        int                    `json:"rows"` // good so far, of shards that are done
	Rejected    map[rebased.Reason]int `json:"rejected"`
	RowRate     float64                `json:"rows_per_second"` // over the last window
	CallRate    float64                `json:"calls_per_second"`
	SecondsLeft float64                `json:"seconds_left,omitempty"` // of asking, at this rate; 0 = not known

	Calls     rebased.Calls `json:"calls"` // those of steps under way included
	InFlight  int           `json:"in_flight"`
	Most      int           `json:"in_flight_most"`              // that the pace of the teacher allows
	Pace      float64       `json:"calls_per_second_most"`       // that it allows; 0 = no limit was met
	Throttled int           `json:"throttled"`                   // calls of steps under way
	Hold      float64       `json:"hold_seconds,omitempty"`      // nothing is sent for so long, as the provider asked
	Batches   int           `json:"batches"`                     // of the provider, that are waited for
	Tokens    rebased.Usage `json:"tokens"`                      // of the answers used
	Spent     rebased.Spend `json:"spent"`                       // by this build, steps under way included
	Cap       rebased.Spend `json:"budget"`                      // 0 = none
	Forecast  float64       `json:"cost_usd_forecast,omitempty"` // when all is asked, at what a row has cost so far
	Workers   []string      `json:"workers"`
	Again     []again       `json:"again"` // steps that failed and are tried again

	measured bool // the rates are of a whole window
}

// again is a step that failed and is tried again.
type again struct {
	Step    string  `json:"step"`
	Attempt int     `json:"attempt"`
	Why     string  `json:"why"`
	Seconds float64 `json:"in_seconds,omitempty"` // 0 = it runs
}

// window is the time that rates are of.
const window = 30 * time.Second

// meter makes the standings of one build, which go up with time.
type meter struct {
	samples []sample // of the last window, and the one before it
}

type sample struct {
	at          time.Time
	rows, calls int
}

// read makes of what a build and its steps say how it stands.
func (m *meter) read(now time.Time, b cluster.Build, p rebased.Progress, steps cluster.Steps) standing {
	s := standing{
		Build: b.Build, Task: b.Task, State: p.State, Phase: p.Phase, Detail: p.Detail, Seconds: b.Seconds,
		Asked: p.Asked, ToAsk: p.ToAsk, Retrieved: p.Retrieved, Rows: p.Rows, Rejected: p.Rejected, Calls: p.Calls,
		Batches: p.Batches, Tokens: p.Tokens, Spent: p.Spent, Cap: p.Cap, Workers: steps.Workers,
	}
	if s.State == "" {
		s.State = b.State
	}
	if b.Ended == nil {
		s.Seconds = max(0, now.Sub(b.Started).Round(time.Second).Seconds())
	}
	if s.Rejected == nil {
		s.Rejected = map[rebased.Reason]int{}
	}
	if s.Phase == "transform" {
		flow := steps.Flow
		s.Asked = min(s.Asked+steps.Rows, max(s.Asked, s.ToAsk))
		s.Calls.Made += flow.Answered
		s.Calls.Failed += flow.Failed + flow.Throttled
		s.Spent.USD += flow.Spent.USD()
		s.Spent.Tokens += flow.Spent.Tokens
		s.InFlight, s.Most, s.Pace, s.Throttled, s.Hold = flow.InFlight, flow.Most, flow.Rate, flow.Throttled, flow.Hold
	}
	for _, a := range steps.Again {
		left := 0.0
		if !a.Next.IsZero() {
			left = max(0, math.Round(a.Next.Sub(now).Seconds()))
		}
		s.Again = append(s.Again, again{a.Step, a.Attempt, a.Why, left})
	}
	m.rates(now, &s)
	return s
}

// rates adds what takes two looks to tell.
func (m *meter) rates(now time.Time, s *standing) {
	last := sample{now, s.Asked, s.Calls.Made}
	if n := len(m.samples); n > 0 { // a shard that ends leaves a moment in which it is in neither count
		last.rows, last.calls = max(last.rows, m.samples[n-1].rows), max(last.calls, m.samples[n-1].calls)
	}
	m.samples = append(m.samples, last)
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= window {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	if passed := now.Sub(first.at).Seconds(); passed >= 1 && !s.State.Waits() && s.Phase == "transform" {
		s.RowRate = float64(last.rows-first.rows) / passed
		s.CallRate = float64(last.calls-first.calls) / passed
	}
	s.Asked, s.Calls.Made, s.measured = last.rows, last.calls, now.Sub(first.at) >= window
	if left := s.ToAsk - s.Asked; left > 0 && s.RowRate > 0 && s.Batches == 0 {
		s.SecondsLeft = math.Round(float64(left) / s.RowRate)
	}
	if s.Spent.USD > 0 && s.Asked > 0 && s.ToAsk > s.Asked {
		s.Forecast = s.Spent.USD / float64(s.Asked) * float64(s.ToAsk)
	}
}

func (s standing) name() string { return s.Task + "/" + s.Build }

// part is how much is asked, 0 to 1.
func (s standing) part() float64 {
	if s.ToAsk == 0 {
		return 0
	}
	return min(1, float64(s.Asked)/float64(s.ToAsk))
}

// left says how long the asking takes yet, "" when that is not known.
func (s standing) left() string {
	if s.SecondsLeft == 0 {
		return ""
	}
	return short(time.Duration(s.SecondsLeft * float64(time.Second)))
}

// short is a duration in two units: 2m05s, 3h20m, 4d02h.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = d.Round(time.Second); {
	case d >= day:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// step is the standing as one line of progress.
func (s standing) step() console.Step {
	step := console.Step{Phase: s.Phase}
	var facts []string
	add := func(when bool, format string, args ...any) {
		if when {
			facts = append(facts, fmt.Sprintf(format, args...))
		}
	}
	if s.Phase == "transform" {
		step.Done, step.Total, step.Unit = s.Asked, s.ToAsk, "rows asked about"
	}
	add(s.Detail != "" && !s.State.Waits(), "%s", s.Detail) // of one that waits the result says it
	add(s.Retrieved > 0, "%s good", console.Thousands(s.Rows))
	add(sum(s.Rejected) > 0, "%s rejected", console.Thousands(sum(s.Rejected)))
	add(s.RowRate > 0, "%.1f rows/s", s.RowRate)
	add(s.CallRate > 0, "%.1f calls/s", s.CallRate)
	add(s.InFlight > 0, "%s calls in flight", console.Thousands(s.InFlight))
	add(s.Throttled > 0, "throttled %s times", console.Thousands(s.Throttled))
	add(s.Batches > 0, "%d batches under way at the provider", s.Batches)
	add(s.Spent.USD > 0 || s.Cap.USD > 0, "%s", s.money())
	add(s.Cap.Tokens > 0, "%s of %s tokens", console.Thousands(int(s.Spent.Tokens)), console.Thousands(int(s.Cap.Tokens)))
	add(s.left() != "", "about %s left", s.left())
	for _, a := range s.Again[:min(1, len(s.Again))] {
		add(true, "%s", a)
	}
	step.Detail = strings.Join(facts, ", ")
	return step
}

// money is what is spent, of a budget if there is one.
func (s standing) money() string {
	if s.Cap.USD > 0 {
		return fmt.Sprintf("%.4f of %.4f USD", s.Spent.USD, s.Cap.USD)
	}
	return fmt.Sprintf("%.4f USD", s.Spent.USD)
}

func (a again) String() string {
	when := "under way"
	if a.Seconds > 0 {
		when = "in " + short(time.Duration(a.Seconds*float64(time.Second)))
	}
	times := "once"
	if a.Attempt > 2 {
		times = fmt.Sprintf("%d times", a.Attempt-1)
	}
	return fmt.Sprintf("%s failed %s and is tried again, %s: %s", a.Step, times, when, a.Why)
}
