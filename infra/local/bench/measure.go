package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

// The teacher of the throughput figure: so slow, and asked so much at once.
const (
	latency  = 200 * time.Millisecond
	inFlight = 256
	ideal    = float64(inFlight) / (float64(latency) / float64(time.Second)) // answers a second
)

// measurement is one run of everything on one stack.
type measurement struct {
	*stack
	in      input
	python  *python // nil: there is none to compare with
	tasks   int     // made so far
	figures []figure
}

// measure starts a stack in a folder and measures everything once, always in the same order.
func measure(ctx context.Context, p programs, dir string, what subject) ([]figure, error) {
	find := findInput
	if what == calls {
		find = callsInput
	}
	in, err := find(dir)
	if err != nil {
		return nil, err
	}
	m := &measurement{stack: &stack{programs: p, dir: dir}, in: in}
	if what == rows { // the longest build goes on in new runs
		m.flags = []string{"--history-events", strconv.Itoa(soakEvents)}
	}
	defer m.stop()
	switch what {
	case calls:
		err := m.each(ctx, m.start, m.corpus, func(context.Context) error { m.figures = nil; return nil }, m.calls)
		return m.figures, err
	case sources:
		err := m.retrieval(ctx)
		return m.figures, err
	case nights:
		m.in.real = true // the targets are ratios of one run
		err := m.each(ctx, m.nightly)
		return m.figures, err
	case rows:
		err := m.each(ctx, m.start, func(context.Context) error { m.figures = nil; return nil }, m.soak)
		return m.figures, err
	}
	if err := m.each(ctx, m.start, m.corpus, m.builds, m.throughput); err != nil {
		return nil, err
	}
	m.stop()
	return m.figures, m.demo(ctx)
}

// each does one thing after the other.
func (m *measurement) each(ctx context.Context, parts ...func(context.Context) error) error {
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// add takes a figure into the table. The targets are those of the real data.
func (m *measurement) add(f figure) {
	if !m.in.real {
		f.target = 0
	}
	m.figures = append(m.figures, f)
}

// start starts the stack.
func (m *measurement) start(ctx context.Context) error {
	servers, err := m.startServers(ctx)
	if err != nil {
		return err
	}
	worker, err := m.startWorker(ctx)
	if err != nil {
		return err
	}
	m.add(figure{name: "servers, start to ready", unit: inSeconds, value: servers.Seconds()})
	m.add(figure{name: "worker, start to polling", unit: inSeconds, value: worker.Seconds()})
	m.add(figure{name: "servers, idle memory", unit: inBytes, value: m.servers.spent().Now})
	m.add(figure{name: "worker, idle memory", unit: inBytes, value: m.worker.spent().Now})
	return nil
}

// during times what is done and adds what both processes spent on it.
func (m *measurement) during(f figure, do func() error) (figure, error) {
	m.worker.forgetPeak()
	m.servers.forgetPeak()
	workerBefore, serversBefore, began := m.worker.spent(), m.servers.spent(), time.Now()
	err := do()
	f.unit, f.value = inSeconds, time.Since(began).Seconds()
	f.worker, f.servers = m.worker.spent().since(workerBefore), m.servers.spent().since(serversBefore)
	return f, err
}

// corpus imports the datasets and indexes them.
func (m *measurement) corpus(ctx context.Context) error {
	var imported workflows.ImportResult
	first, err := m.during(figure{}, func() error {
		return m.command(ctx, &imported, "corpus", "import", "hub", m.in.corpus, "--max-rows-per-config", m.in.most())
	})
	if err != nil {
		return err
	}
	var indexed workflows.IndexResult
	second, err := m.during(figure{}, func() error { return m.command(ctx, &indexed, "index", "hub") })
	if err != nil {
		return err
	}
	first.name = fmt.Sprintf("import %s, %s rows", m.in.name, thousands(imported.Rows))
	second.name = fmt.Sprintf("index %s, %s cells", m.in.name, thousands(indexed.Cells))
	m.add(first)
	m.add(second)
	m.add(figure{
		name: "import and index", unit: inSeconds, value: first.value + second.value, target: 90,
		worker: first.worker.and(second.worker), servers: first.servers.and(second.servers),
	})
	return nil
}

// builds makes a version with a teacher that answers at once, makes it again, and makes one of rows ranked in the other mode.
func (m *measurement) builds(ctx context.Context) error {
	rows := thousands(m.in.task.Retrieve.Rows)
	task := m.in.task
	if _, err := m.build(ctx, task, figure{name: "build of " + rows + " rows, no latency", target: 30}, true); err != nil {
		return err
	}
	if _, err := m.build(ctx, task, figure{name: "the same again, unchanged"}, false); err != nil {
		return err
	}
	task.Retrieve.Mode = rebased.ModePaper
	_, err := m.build(ctx, task, figure{name: "build of " + rows + " rows, mode paper"}, true)
	return err
}

// build runs a build, and adds how long it and, when asked, its longest steps took.
func (m *measurement) build(ctx context.Context, task rebased.Task, f figure, steps bool) (result rebased.BuildResult, err error) {
	file := filepath.Join(m.dir, "task.yaml")
	if err := writeTask(file, task); err != nil {
		return result, err
	}
	f, err = m.during(f, func() error { return m.command(ctx, &result, "build", "-f", file) })
	if err != nil {
		return result, err
	}
	m.add(f)
	if !steps {
		return result, nil
	}
	took, err := m.steps(ctx, result)
	if err != nil {
		return result, err
	}
	m.add(figure{name: "  of it, retrieve", unit: inSeconds, value: took["Rank"].seconds(), target: 3})
	m.add(figure{name: "  of it, transform", unit: inSeconds, value: took["TransformShard"].seconds()})
	return result, nil
}

// throughput builds with a teacher that takes its time and compares the rate of answers with the ideal and with that of a plain client. Both
// rates are the teacher's own: from the first request that came in to the last answer that went out.
func (m *measurement) throughput(ctx context.Context) error {
	if err := m.setLatency(ctx, latency); err != nil {
		return err
	}
	task := m.in.task
	task.Transform.Teacher.MaxTokens-- // other parameters: no answer is stored yet
	task.Transform.Teacher.Limits.InFlight = inFlight
	name := fmt.Sprintf("build of %s rows, %s latency, %d in flight", thousands(task.Retrieve.Rows), latency, inFlight)
	result, err := m.build(ctx, task, figure{name: name}, true)
	if err != nil {
		return err
	}
	mine, err := m.share(ctx)
	if err != nil {
		return err
	}
	prompts, err := m.prompts(ctx, task, result)
	if err != nil {
		return err
	}
	if err := m.setLatency(ctx, latency); err != nil {
		return err
	}
	var cpu float64
	plain, err := m.during(figure{name: "  share of a plain client (CPU WORKER is its own)"}, func() (err error) {
		cpu, err = m.askAll(ctx, prompts, inFlight)
		return err
	})
	if err != nil {
		return err
	}
	plain.unit, plain.worker = inPercent, spent{CPU: cpu}
	if plain.value, err = m.share(ctx); err != nil {
		return err
	}
	m.add(figure{name: fmt.Sprintf("  share of the ideal %s answers/s", thousands(int(ideal))), unit: inPercent, value: mine, target: 80, plain: plain.value})
	m.add(plain)
	return nil
}

// share is the rate of answers that the teacher has seen, in per cent of the ideal one.
func (m *measurement) share(ctx context.Context) (float64, error) {
	stats, err := m.teacherStats(ctx)
	if err != nil {
		return 0, err
	}
	took := time.Duration(stats.LastAnswer - stats.FirstRequest).Seconds()
	return 100 * float64(stats.Answered) / took / ideal, nil
}

// demo runs what `make demo` runs, built already.
func (m *measurement) demo(ctx context.Context) error {
	log, err := os.Create(filepath.Join(m.dir, "demo.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, m.programs.path("rebased-local"), "demo", "--port-base=0", "--dir", filepath.Join(m.dir, "demo"))
	cmd.Stdout, cmd.Stderr = log, log
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	m.figures = append(m.figures, figure{name: "make demo, built already", unit: inSeconds, value: time.Since(began).Seconds(), target: 20})
	return nil
}
