package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/rebased/rebased/infra/local/probe"
)

// Worker is the program that works on the task queue of the stack.
type Worker struct {
	// Path is the program.
	Path string
	// Dir and Environ are the working directory and the environment that it starts from; what points at other servers is replaced.
	Dir     string
	Environ []string
}

const (
	// stopLimit is how long a worker may take to stop before it is killed: somewhat longer than it takes by its own limits. What it leaves undone
	// another attempt does again.
	stopLimit = 30 * time.Second
	// A worker that dies is started again after a pause that doubles from minPause to maxPause; one that has run for steadyAfter begins anew.
	minPause, maxPause = time.Second, 30 * time.Second
	steadyAfter        = time.Minute
)

// withWorker calls use with a worker beside it that answers, and stops the worker afterwards.
func (c Config) withWorker(ctx context.Context, use func(context.Context) error) error {
	if c.Worker == nil {
		return use(ctx)
	}
	log, err := c.Folder.Log("worker")
	if err != nil {
		return err
	}
	defer log.Close()
	since := time.Now()
	ctx, stop := context.WithCancelCause(ctx)
	answers := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(c.keepWorker(ctx, log, answers))
	}()
	defer func() { stop(nil); <-stopped }()
	if err := c.await(ctx, "worker", func(ctx context.Context) error { return probe.Worker(ctx, c.Folder, since) }); err != nil {
		return err
	}
	close(answers)
	return use(ctx)
}

// keepWorker runs the worker, and runs it again when it ends, until ctx is done. One that ends before it answers has been refused something: that
// is an error, since it would end the same way again.
func (c Config) keepWorker(ctx context.Context, log *os.File, answers <-chan struct{}) error {
	// The kernel ends the child with the thread that started it (see dieWithParent), so the thread must live as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := minPause
	for {
		started := time.Now()
		err := c.workerCommand(ctx, log).Run()
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-answers:
		default:
			return fmt.Errorf("the worker ended at its start (%s), see %s", how(err), log.Name())
		}
		if time.Since(started) > steadyAfter {
			pause = minPause
		}
		c.Log.Warn("the worker ended and is started again", "how", how(err), "in", pause.String(), "log", log.Name())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, maxPause)
	}
}

func (c Config) workerCommand(ctx context.Context, log *os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Worker.Path)
	cmd.Dir = c.Worker.Dir
	cmd.Env = c.Folder.Environ(c.Worker.Environ)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	cmd.SysProcAttr = dieWithParent()
	return cmd
}

// how says how a program ended.
func how(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
