// Command data measures what is found and removed of rows: repeats, near-duplicates and leaks, planted and real, and what finding them costs.
//
// The sets are what a teacher answered for real tasks ($REBASED_TEST_DATA/outputs); without them that table is left out. Beside MinHash stand
// rensa and datasketch, in the virtual environment .venv, which is made where there is a Python; without one their lines are left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(bench()) }

// bench measures and gives the exit status: 1 when something failed or a target was missed.
func bench() int {
	million := flag.Bool("million", false, "deduplicate a million rows and say what it took: what the program starts a process of its own for")
	only := flag.String("only", "", "measure one part alone: sets, minhash, memory or leaks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parts := []func(context.Context) error{sets, minhash, memory, leaks}
	switch i := slices.Index([]string{"sets", "minhash", "memory", "leaks"}, *only); {
	case *million:
		parts = []func(context.Context) error{oneMillion}
	case i >= 0:
		parts = parts[i : i+1]
	}
	if !*million {
		body, _ := os.ReadFile("/proc/loadavg")
		fmt.Printf("%s, %s %s/%s, %d cores, load average %s\n", time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
			strings.Join(strings.Fields(string(body) + " unknown")[:1], " "))
	}
	var missed []error
	for _, part := range parts {
		if err := part(ctx); err != nil {
			missed = append(missed, err)
		}
	}
	if err := errors.Join(missed...); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// processorTime is what this process has used, user and system, in seconds.
func processorTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / float64(time.Second)
}

// taking gives the seconds of processor that f takes.
func taking(f func() error) (float64, error) {
	runtime.GC()
	before := processorTime()
	err := f()
	return processorTime() - before, err
}
