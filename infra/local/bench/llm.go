package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/teacher"
)

// What is measured of the calls alone.
const (
	fewRows   = 5_000
	manyRows  = 20_000
	limit     = 1_200 // requests a minute that the teacher takes
	limitRows = 1_800 // ninety seconds of it
	learning  = 30 * time.Second
)

// calls measures the calls to a teacher, from the stored answer to the limits of a provider.
func (m *measurement) calls(ctx context.Context) error {
	for _, part := range []func(context.Context) error{m.against, m.long, m.killed, m.limited} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fresh is a task of so many rows whose answers nobody has stored: its instruction is one that no other task has.
func (m *measurement) fresh(rows, inFlight int) rebased.Task {
	m.tasks++
	task := m.in.task
	task.Instruction = fmt.Sprintf("%s (%d)", task.Instruction, m.tasks)
	task.Retrieve.Rows, task.Retrieve.Mode = rows, rebased.ModePaper
	task.Transform.Teacher.Limits = rebased.Limits{InFlight: inFlight}
	return task
}

// asked is what a build did between its first request and its last answer.
type asked struct {
	result rebased.BuildResult
	stats  teacher.Stats
	worker spent
}

// rate is the share of a rate of answers a second, in per cent.
func (a asked) rate(ideal float64) float64 {
	took := time.Duration(a.stats.LastAnswer - a.stats.FirstRequest).Seconds()
	return 100 * float64(a.stats.Answered) / took / ideal
}

// perThousand is the worker's CPU time a thousand calls.
func (a asked) perThousand() float64 { return 1000 * a.worker.CPU / float64(a.stats.Answered) }

// ask builds a task under faults of the teacher, and tells what was spent between the first request and the last answer. late, when it is set, is
// called once learning is over.
func (m *measurement) ask(ctx context.Context, task rebased.Task, faults teacher.Faults, late func(teacher.Stats)) (a asked, err error) {
	if err := m.setTeacher(ctx, faults); err != nil {
		return a, err
	}
	file := filepath.Join(m.dir, "task.yaml")
	if err := writeTask(file, task); err != nil {
		return a, err
	}
	ended := make(chan error, 1)
	go func() { ended <- m.command(ctx, &a.result, "build", "-f", file) }()
	m.worker.forgetPeak()
	var before, after spent
	answered := -1
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case err := <-ended:
			tick.Stop()
			if err != nil {
				return a, err
			}
			if a.stats, err = m.teacherStats(ctx); err != nil {
				return a, err
			}
			a.worker = after.since(before)
			return a, nil
		case <-tick.C:
		}
		stats, err := m.teacherStats(ctx)
		if err != nil {
			return a, err
		}
		now := m.worker.spent()
		if stats.Requests == 0 {
			before = now
			continue
		}
		if stats.Answered > answered {
			answered, after = stats.Answered, now
		}
		if late != nil && time.Since(time.Unix(0, stats.FirstRequest)) > learning {
			late(stats)
			late = nil
		}
	}
}

// against compares with a plain client on the same prompts.
func (m *measurement) against(ctx context.Context) error {
	faults := teacher.Faults{LatencyMS: int(latency.Milliseconds())}
	a, err := m.ask(ctx, m.fresh(fewRows, inFlight), faults, nil)
	if err != nil {
		return err
	}
	task := m.in.task
	task.Instruction = fmt.Sprintf("%s (%d)", task.Instruction, m.tasks)
	prompts, err := m.prompts(ctx, task, a.result)
	if err != nil {
		return err
	}
	bytes := 0
	for _, p := range prompts {
		bytes += len(p)
	}
	if err := m.setTeacher(ctx, faults); err != nil {
		return err
	}
	cpu, err := m.askAll(ctx, prompts, inFlight)
	if err != nil {
		return err
	}
	stats, err := m.teacherStats(ctx)
	if err != nil {
		return err
	}
	plain := asked{stats: stats, worker: spent{CPU: cpu}}
	name := fmt.Sprintf("%s prompts of %d bytes, %s, %d in flight", thousands(len(prompts)), bytes/max(1, len(prompts)), latency, inFlight)
	m.add(figure{
		name: name + ": share of the ideal rate", unit: inPercent, value: a.rate(ideal), target: 0.95 * plain.rate(ideal), plain: plain.rate(ideal), worker: a.worker,
	})
	m.add(figure{name: "  a plain client, which stores nothing (CPU WORKER is its own)", unit: inPercent, value: plain.rate(ideal), worker: plain.worker})
	m.add(figure{
		name: "  CPU of the worker a 1,000 calls", unit: inSeconds, value: a.perThousand(), target: 2 * plain.perThousand(), plain: plain.perThousand(),
	})
	return nil
}

// long is the rate over many round trips.
func (m *measurement) long(ctx context.Context) error {
	a, err := m.ask(ctx, m.fresh(manyRows, inFlight), teacher.Faults{LatencyMS: int(latency.Milliseconds())}, nil)
	if err != nil {
		return err
	}
	m.add(figure{
		name: thousands(a.stats.Answered) + " prompts: share of the ideal rate", unit: inPercent, value: a.rate(ideal), target: 90, worker: a.worker,
	})
	return nil
}

// killed kills the worker at half of 2,000 calls with 32 in flight and counts what is paid for again.
func (m *measurement) killed(ctx context.Context) error {
	const rows, inFlight = 2_000, 32
	if err := m.setTeacher(ctx, teacher.Faults{LatencyMS: int(latency.Milliseconds())}); err != nil {
		return err
	}
	file := filepath.Join(m.dir, "task.yaml")
	if err := writeTask(file, m.fresh(rows, inFlight)); err != nil {
		return err
	}
	var result rebased.BuildResult
	ended := make(chan error, 1)
	go func() { ended <- m.command(ctx, &result, "build", "-f", file) }()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		<-tick.C
		stats, err := m.teacherStats(ctx)
		if err != nil {
			return err
		}
		if stats.Answered >= rows/2 {
			tick.Stop()
			break
		}
	}
	m.worker.kill()
	if _, err := m.startWorker(ctx); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return err
	}
	stats, err := m.teacherStats(ctx)
	if err != nil {
		return err
	}
	m.add(figure{
		name: fmt.Sprintf("%s calls, %d in flight, worker killed at half: paid again", thousands(stats.Distinct), inFlight),
		unit: inCount, value: float64(stats.Repeated), target: inFlight,
	})
	return nil
}

// limited is how much of a provider's limit is used, and how many calls it throttles once the limit is known.
func (m *measurement) limited(ctx context.Context) error {
	for _, way := range []struct {
		name    string
		rpm     int
		headers bool
	}{{"capped in the task", limit, false}, {"said in the provider's headers", 0, true}, {"found by what is throttled", 0, false}} {
		task := m.fresh(limitRows, 64)
		task.Transform.Teacher.Limits = rebased.Limits{RPM: way.rpm}
		faults := teacher.Faults{LatencyMS: int(latency.Milliseconds()), Limits: teacher.Limits{RPM: limit, Headers: way.headers}}
		var learned teacher.Stats
		a, err := m.ask(ctx, task, faults, func(s teacher.Stats) { learned = s })
		if err != nil {
			return err
		}
		name := fmt.Sprintf("limit of %s requests a minute, %s", thousands(limit), way.name)
		const minute = 60
		m.add(figure{name: name + ": used", unit: inPercent, value: a.rate(float64(limit) / minute), target: 95})
		late := 100 * float64(a.stats.Limited-learned.Limited) / float64(max(1, a.stats.Requests-learned.Requests))
		m.add(figure{name: "  throttled after 30 s", unit: inShare, value: late, target: 2})
	}
	return nil
}

// setTeacher sets what the teacher does from now on, and begins its count anew.
func (s *stack) setTeacher(ctx context.Context, f teacher.Faults) error {
	if err := s.askTeacher(ctx, http.MethodPost, "/faults", f, nil); err != nil {
		return err
	}
	return s.askTeacher(ctx, http.MethodPost, "/stats/reset", nil, nil)
}
