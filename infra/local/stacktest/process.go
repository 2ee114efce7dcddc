package stacktest

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a process may take to answer on a slow machine; a healthy one needs a second.
const patience = 2 * time.Minute

// process is a program that runs in the background.
type process struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	out   output
	ended chan struct{}
}

func start(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended shows in what it wrote
	}()
	return p
}

// kill sends SIGKILL and waits for the end. A process that was never started, or has ended, is no error.
func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop sends SIGTERM, waits for the end and gives the exit status, -1 when the process was ended by a signal.
func (p *process) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stop %s: %v", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s did not stop within %s; it wrote:\n%s", p.name, patience, p.out.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// waitForLine waits until the process has written a line.
func (p *process) waitForLine(line string) {
	p.t.Helper()
	p.wait("write the line "+line, func() bool { return strings.Contains("\n"+p.out.String(), "\n"+line+"\n") })
}

// wait waits until something is done, and fails the test when the process ends before.
func (p *process) wait(what string, done func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-p.ended:
			p.t.Fatalf("%s ended and did not %s; it wrote:\n%s", p.name, what, p.out.String())
		case <-limit:
			p.t.Fatalf("%s did not %s within %s; it wrote:\n%s", p.name, what, patience, p.out.String())
		}
	}
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
