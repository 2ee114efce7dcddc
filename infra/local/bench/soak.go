package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/workflows"
)

// Sizes of the soak.
const (
	soakRows     = 200_000
	soakSample   = 20_000
	soakDatasets = 20
)

// soak builds from a corpus of generated rows, first a tenth of them, then all, and compares the worker's memory.
func (m *measurement) soak(ctx context.Context) error {
	dir := filepath.Join(m.dir, "generated")
	if err := generate(dir); err != nil {
		return err
	}
	if err := m.command(ctx, new(workflows.ImportResult), "corpus", "import", "hub", dir, "--max-rows-per-config", "0"); err != nil {
		return err
	}
	if err := m.command(ctx, new(workflows.IndexResult), "index", "hub"); err != nil {
		return err
	}
	var peak float64
	for _, rows := range []int{soakSample, soakRows} {
		task := m.fresh(rows, inFlight)
		m.worker.kill() // the peak of each is its own
		if _, err := m.startWorker(ctx); err != nil {
			return err
		}
		f := figure{name: fmt.Sprintf("build of %s rows, no latency: worker's memory, peak", thousands(rows))}
		result, err := m.build(ctx, task, f, false)
		if err != nil {
			return err
		}
		last := &m.figures[len(m.figures)-1]
		last.unit, last.value = inBytes, last.worker.Peak
		if peak > 0 {
			const flat = 1.2
			last.target = flat * peak
		}
		peak = last.worker.Peak
		events, err := m.events(ctx, result)
		if err != nil {
			return err
		}
		m.add(figure{name: "  events in its history", unit: inCount, value: float64(events), target: 10_000})
		m.add(figure{name: "  events a 1,000 rows", unit: inCount, value: 1000 * float64(events) / float64(max(1, result.Retrieved))})
	}
	return nil
}

// events is the length of the history of a build's last run.
func (s *stack) events(ctx context.Context, b rebased.BuildResult) (int64, error) {
	temporal, err := client.DialContext(ctx, client.Options{
		HostPort: s.folder.Ports.Address(folder.Temporal), Namespace: folder.Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return 0, err
	}
	defer temporal.Close()
	run, err := temporal.DescribeWorkflowExecution(ctx, workflows.BuildID(b.Task, b.Build), "")
	if err != nil {
		return 0, err
	}
	return run.GetWorkflowExecutionInfo().GetHistoryLength(), nil
}

// generate writes datasets whose rows all differ.
func generate(dir string) error {
	for d := range soakDatasets {
		folder := filepath.Join(dir, fmt.Sprintf("soak--set%02d", d))
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return err
		}
		file, err := os.Create(filepath.Join(folder, "default.jsonl"))
		if err != nil {
			return err
		}
		w := bufio.NewWriter(file)
		for i := range soakRows / soakDatasets {
			n := d*soakRows/soakDatasets + i
			fmt.Fprintf(w, `{"question":"What stands in entry %d of the register of set %d, page %d?","context":"Entry %d names house %d in street %d, which was built in %d by family %d.","answer":"house %d"}`+"\n",
				n, d, i%977, n, n*7919%100_003, n*31%9973, 1500+n%500, n*13%49_999, n*7919%100_003)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}
