// Package stacktest runs a local stack for a test: real servers and a real worker, as processes that the test can kill and start again, on free
// ports and a data folder of the test's own. End-to-end tests are written on it.
package stacktest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/probe"
)

// Options say what runs; the zero value is the whole stack with a worker and the rule based teacher.
type Options struct {
	// Replay is a file of recorded answers for the teacher.
	Replay string
	// Latency is how long the teacher takes for an answer.
	Latency time.Duration
	// Apart runs each server as a process of its own, for KillPart and StartPart.
	Apart bool
	// Nexus lets workflows call Nexus endpoints. It is for stacks whose servers are not Apart.
	Nexus bool
	// NoWorker leaves the worker out, until StartWorker.
	NoWorker bool
	// Env are variables, as NAME=value, for the worker and the commands, over those of the stack.
	Env []string
}

// Stack is a local stack under test. Its methods are for the test's own goroutine.
type Stack struct {
	t        testing.TB
	options  Options
	programs Programs
	dir      string
	folder   *folder.Folder
	servers  *process // rebased-local up --no-worker
	parts    map[string]*process
	worker   *process
	second   *process
	ended    string // what workers wrote that were killed
}

// Start builds the programs, starts a stack and waits until it answers. The end of the test stops it.
func Start(t testing.TB, options Options) *Stack {
	t.Helper()
	s := &Stack{t: t, options: options, programs: Build(t), dir: t.TempDir(), parts: map[string]*process{}}
	t.Cleanup(s.KillAll)
	s.startServers("--port-base=0")
	f, err := folder.Open(s.dir, folder.Remembered)
	if err != nil {
		t.Fatal(err)
	}
	s.folder = f
	if !options.NoWorker {
		s.StartWorker()
	}
	return s
}

// Dir is the data folder.
func (s *Stack) Dir() string { return s.dir }

// Programs are the programs under test.
func (s *Stack) Programs() Programs { return s.programs }

// Folder is the data folder with its ports and credentials.
func (s *Stack) Folder() *folder.Folder { return s.folder }

// Env is the environment of the worker and the commands, in the form of os.Environ.
func (s *Stack) Env() []string {
	return append(s.folder.Environ(os.Environ()), s.options.Env...)
}

// SetEnv replaces Options.Env for the worker's next start and for all further commands.
func (s *Stack) SetEnv(env ...string) { s.options.Env = env }

// UseWorker replaces the program of the worker for its next start.
func (s *Stack) UseWorker(path string) { s.programs.Worker = path }

// StartWorker starts the worker and waits until it polls the task queue.
func (s *Stack) StartWorker() {
	s.t.Helper()
	cmd := exec.Command(s.programs.Worker)
	cmd.Env = s.Env()
	since := time.Now()
	s.worker = start(s.t, "rebased-worker", cmd)
	s.worker.wait("work", func() bool { return probe.Worker(s.t.Context(), s.folder, since) == nil })
}

// KillWorker ends the worker with SIGKILL, as a crash would. No worker is no error.
func (s *Stack) KillWorker() {
	s.t.Helper()
	s.ended += s.WorkerLog()
	s.worker.kill()
	s.worker = nil
}

// WorkerLog is all that the worker has written, whatever its output, and those that were killed before it.
func (s *Stack) WorkerLog() string {
	if s.worker == nil {
		return s.ended
	}
	return s.ended + s.worker.out.String()
}

// StopWorker tells the worker to stop, as a rollout does, and gives its exit status and what it wrote, once it has ended.
func (s *Stack) StopWorker() (status int, wrote string) {
	s.t.Helper()
	status, wrote = s.worker.stop(), s.worker.out.String()
	s.ended += wrote
	s.worker = nil
	return status, wrote
}

// StartSecondWorker starts a worker beside the first, without a health endpoint, and waits until it is ready.
func (s *Stack) StartSecondWorker() {
	s.t.Helper()
	cmd := exec.Command(s.programs.Worker)
	cmd.Env = append(s.Env(), "REBASED_HEALTH_ADDR=off")
	s.second = start(s.t, "second rebased-worker", cmd)
	s.second.wait("work", func() bool { return strings.Contains(s.second.out.String(), "worker is ready") })
}

// KillSecondWorker ends it with SIGKILL.
func (s *Stack) KillSecondWorker() {
	s.second.kill()
	s.second = nil
}

// KillAll ends the worker and all servers with SIGKILL.
func (s *Stack) KillAll() {
	s.t.Helper()
	s.KillWorker()
	s.KillSecondWorker()
	s.servers.kill()
	s.servers = nil
	for name := range s.parts {
		s.KillPart(name)
	}
}

// Restart starts the servers again on the same folder and ports after KillAll, and the worker unless the options leave it out.
func (s *Stack) Restart() {
	s.t.Helper()
	s.startServers()
	if !s.options.NoWorker {
		s.StartWorker()
	}
}

// startServers runs `rebased-local up` without its worker, which is a process that the test can kill alone.
func (s *Stack) startServers(flags ...string) {
	s.t.Helper()
	if s.options.Apart {
		for _, name := range []string{"temporal", "s3", "qdrant", "teacher"} {
			s.StartPart(name, flags...)
			flags = nil // the folder remembers the ports
		}
		return
	}
	args := append([]string{"up", "--no-worker", "--allow-faults", "--dir", s.dir}, flags...)
	if s.options.Nexus {
		args = append(args, "--nexus")
	}
	s.servers = start(s.t, "rebased-local", exec.Command(s.programs.Local, append(args, s.teacherFlags()...)...))
	s.servers.waitForLine("ready")
}

// StartPart starts one server of a stack whose servers are Apart, and waits until it answers: temporal, s3, qdrant or teacher.
func (s *Stack) StartPart(name string, flags ...string) {
	s.t.Helper()
	args := append([]string{name, "--dir", s.dir}, flags...)
	if name == "teacher" {
		args = append(append(args, "--allow-faults"), s.teacherFlags()...)
	}
	s.parts[name] = start(s.t, "rebased-local "+name, exec.Command(s.programs.Local, args...))
	s.parts[name].wait("answer", func() bool {
		f, err := folder.Open(s.dir, folder.Remembered)
		if err != nil {
			return false
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		return map[string]func(context.Context, *folder.Folder) error{
			"temporal": probe.Temporal, "s3": probe.S3, "qdrant": probe.Qdrant, "teacher": probe.Teacher,
		}[name](ctx, f) == nil
	})
}

// KillPart ends one server with SIGKILL.
func (s *Stack) KillPart(name string) {
	s.parts[name].kill()
	delete(s.parts, name)
}

func (s *Stack) teacherFlags() (args []string) {
	if s.options.Replay != "" {
		args = append(args, "--replay", s.options.Replay)
	}
	if s.options.Latency > 0 {
		args = append(args, "--latency", s.options.Latency.String())
	}
	return args
}

// Command is a command of rebased on the stack, to be started by the test.
func (s *Stack) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.programs.Rebased, args...)
	cmd.Env = s.Env()
	return cmd
}

// Run runs a command of rebased on the stack and gives what it wrote and its exit status.
func (s *Stack) Run(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd := s.Command(s.t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		s.t.Fatalf("run rebased %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
