package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"go.temporal.io/api/workflowservice/v1"
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
	soakEvents   = 500 // of a history, after which a build continues as new
)

// soak builds from a corpus of generated rows, first a tenth of them, then all, and compares the worker's memory.
func (m *measurement) soak(ctx context.Context) error {
	m.in.real = true // the targets are for these rows
	dir := filepath.Join(m.dir, "generated")
	if err := generate(dir, soakDatasets, soakRows, ""); err != nil {
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
		runs, most, sum, err := m.history(ctx, result)
		if err != nil {
			return err
		}
		m.add(figure{name: "  runs that it took, each continuing as new", unit: inCount, value: float64(runs)})
		m.add(figure{name: "  events in the longest history of them", unit: inCount, value: float64(most), target: 10_000})
		m.add(figure{name: "  events a 1,000 rows, of all", unit: inCount, value: 1000 * float64(sum) / float64(max(1, result.Retrieved)), target: 100})
	}
	return nil
}

// history tells how many runs a build took, and the events of the longest history and of all.
func (s *stack) history(ctx context.Context, b rebased.BuildResult) (runs int, most, sum int64, err error) {
	temporal, err := client.DialContext(ctx, client.Options{
		HostPort: s.folder.Ports.Address(folder.Temporal), Namespace: folder.Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return 0, 0, 0, err
	}
	defer temporal.Close()
	list, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("WorkflowId = %q", workflows.BuildID(b.Task, b.Build)),
	})
	if err != nil {
		return 0, 0, 0, err
	}
	for _, run := range list.GetExecutions() {
		runs++
		most, sum = max(most, run.GetHistoryLength()), sum+run.GetHistoryLength()
	}
	return runs, most, sum, nil
}

// generate writes so many datasets of so many rows in all, which all differ. filler makes their contexts longer.
func generate(dir string, datasets, rows int, filler string) error {
	for d := range datasets {
		folder := filepath.Join(dir, fmt.Sprintf("soak--set%02d", d))
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return err
		}
		file, err := os.Create(filepath.Join(folder, "default.jsonl"))
		if err != nil {
			return err
		}
		w := bufio.NewWriter(file)
		for i := range rows / datasets {
			n := d*rows/datasets + i
			fmt.Fprintf(w, `{"question":"What stands in entry %d of the register of set %d, page %d?","context":"Entry %d names house %d in street %d, which was built in %d by family %d.%s","answer":"house %d"}`+"\n",
				n, d, i%977, n, n*7919%100_003, n*31%9973, 1500+n%500, n*13%49_999, filler, n*7919%100_003)
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
