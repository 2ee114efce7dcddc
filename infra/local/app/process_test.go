package app_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/local/app"
	"github.com/rebased/rebased/infra/local/folder"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
)

// role says which program this test binary is when a test starts it.
const role = "REBASED_LOCAL_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "rebased-local":
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(app.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
	case "rebased-worker":
		fmt.Println(standInWorker())
		os.Exit(1)
	case "rebased":
		fmt.Printf("at %s: %q\n", os.Getenv("TEMPORAL_ADDRESS"), os.Args[1:])
		if os.Args[1] == os.Getenv("REBASED_LOCAL_TEST_FAILS") {
			os.Exit(3)
		}
	}
}

// standInWorker is a worker as far as the stack can see: it is healthy and polls the task queue.
func standInWorker() error {
	fmt.Println("worker", os.Getpid(), os.Getenv("TEMPORAL_ADDRESS"))
	c, err := client.Dial(client.Options{HostPort: os.Getenv("TEMPORAL_ADDRESS"), Logger: quiet()})
	if err != nil {
		return err
	}
	w := worker.New(c, folder.TaskQueue, worker.Options{})
	w.RegisterWorkflow(hold)
	w.RegisterActivity(standInWorker)
	if err := w.Start(); err != nil {
		return err
	}
	return http.ListenAndServe(os.Getenv("REBASED_HEALTH_ADDR"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// quiet is a logger of Temporal's SDK that says nothing.
func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// programs is a folder with stand-ins of the other programs, for the PATH.
func programs(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"rebased", "rebased-worker"} {
		script := fmt.Sprintf("#!/bin/sh\nexport %s=%s\nexec %s \"$@\"\n", role, name, self)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// local is rebased-local as a process.
type local struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   lockedBuffer
	ended chan struct{}
}

// run starts rebased-local.
func run(t *testing.T, env []string, args ...string) *local {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &local{t: t, cmd: exec.Command(self, args...), ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), role+"=rebased-local"), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() { p.signal(syscall.SIGKILL); <-p.ended })
	return p
}

func (p *local) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// code waits for the end and gives the exit status.
func (p *local) code() int {
	p.t.Helper()
	await(p.t, "the end of rebased-local", func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	})
	return p.cmd.ProcessState.ExitCode()
}

// ready waits for the line that says so.
func (p *local) ready() *local {
	p.t.Helper()
	await(p.t, "ready", func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("rebased-local ended: %s", p.out.String())
		default:
		}
		return strings.Contains(p.out.String(), "\nready\n")
	})
	return p
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited two minutes for %s", what)
		}
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
