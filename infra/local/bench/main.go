// Command bench measures the three programs as a user runs them: processes on loopback, a data folder of its own, a real corpus. It prints one
// table of figures, each beside its target or beside the plain alternative. What one package does in isolation (texts a second of the encoder,
// rows a second of Parquet) is measured by `go test -bench` in that package.
//
// With -llm and -soak it is about generated rows; with -retrieval about import, index and search alone, with -nightly about the index.
//
// REBASED_BIN names the folder of the built programs, REBASED_TEST_DATA the folder of real datasets (hub/) and tasks (tasks/squad.json).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	runs := flag.Int("runs", 3, "how often everything is measured, each time on a new stack; the table shows medians")
	llm := flag.Bool("llm", false, "measure the calls to a teacher instead: rates, stored answers, limits, a kill")
	retrieval := flag.Bool("retrieval", false, "measure import, index and search instead, beside pyarrow, faiss and numpy")
	nightly := flag.Bool("nightly", false, "measure what an index costs alone: a full one and one of each night")
	soak := flag.Bool("soak", false, "build 200,000 generated rows instead, and watch the worker's memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *runs, choose(*llm, *soak, *retrieval, *nightly)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// subject is what is measured.
type subject int

const (
	everything subject = iota
	calls
	rows
	sources
	nights
)

func choose(llm, soak, retrieval, nightly bool) subject {
	switch {
	case llm:
		return calls
	case soak:
		return rows
	case retrieval:
		return sources
	case nightly:
		return nights
	}
	return everything
}

// bench measures and prints. The folder of a run that failed is left, for its logs.
func bench(ctx context.Context, runs int, what subject) error {
	programs, err := findPrograms()
	if err != nil {
		return err
	}
	if runs < 1 {
		return errors.New("-runs must be at least 1")
	}
	var all [][]figure
	before := load()
	for n := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d, load average %s\n", n+1, runs, load())
		dir, err := os.MkdirTemp("", "rebased-bench-")
		if err != nil {
			return err
		}
		figures, err := measure(ctx, programs, dir, what)
		if err != nil {
			return fmt.Errorf("%w (logs are in %s)", err, dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		all = append(all, figures)
	}
	if what != everything {
		return printAll(before, all, nil)
	}
	sizes, err := programs.sizes()
	if err != nil {
		return err
	}
	return printAll(before, all, sizes)
}

func printAll(before string, all [][]figure, sizes []figure) error {
	fmt.Printf("%s, %s %s/%s, %d cores, load average %s before and %s after, medians of %d runs\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), before, load(), len(all))
	return printTable(os.Stdout, append(medians(all), sizes...))
}

// load is how many processes wanted a core in the last 1, 5 and 15 minutes: what else ran on the machine shows in every figure.
func load() string {
	body, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(body))[:3], " ")
}
