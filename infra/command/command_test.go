//go:build unix

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
	"github.com/rebased/rebased/infra/porttest"
)

// program writes a shell script and gives a publisher that may run it as "train".
func program(t *testing.T, script string) (*Publisher, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "train")
	write(t, path, script)
	p, err := New(Config{Commands: "train=" + path, Grace: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return p, path
}

// write replaces a script by a new file: one that is open for writing cannot be run.
func write(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func to(seconds rebased.Seconds) rebased.Handoff {
	return rebased.Handoff{Command: &rebased.CommandSpec{Name: "train", Timeout: seconds}}
}

var released = publish.Message{Task: "squad", Version: "0123456789ab", IdempotencyKey: "handoff/squad/0123456789ab"}

func TestPublisherKeepsItsPromises(t *testing.T) {
	porttest.Publisher(t, func(t *testing.T) porttest.Receiver {
		dir := t.TempDir()
		take := "f=$(mktemp " + dir + "/m-XXXXXX) && cat > $f"
		p, path := program(t, take)
		return porttest.Receiver{
			Publisher: p, To: to(0),
			Received: func() (all [][]byte) {
				files, _ := filepath.Glob(dir + "/m-*")
				for _, file := range files {
					body, err := os.ReadFile(file)
					if err != nil {
						t.Error(err)
					}
					all = append(all, body)
				}
				return all
			},
			Busy: func() { write(t, path, "exit 75") },
			Refuses: func() {
				if err := os.Chmod(path, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Hangs: func() <-chan struct{} {
				write(t, path, take+"\necho taken > "+fifo(t, dir)+"\nsleep 1000")
				return reads(t, dir+"/fifo")
			},
			Says: func(said string) {
				file := filepath.Join(dir, "said")
				if err := os.WriteFile(file, []byte(said), 0o600); err != nil {
					t.Fatal(err)
				}
				write(t, path, "cat "+file)
			},
		}
	})
}

func fifo(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// reads gives a channel that is closed once somebody has written to a FIFO.
func reads(t *testing.T, path string) <-chan struct{} {
	written := make(chan struct{})
	go func() {
		defer close(written)
		if _, err := os.ReadFile(path); err != nil {
			t.Error(err)
		}
	}()
	return written
}

func TestAProgramGetsTheMessageAndNothingOfTheWorker(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "hush")
	p, _ := program(t, `read -r line; echo "{\"args\": $#, \"pwd\": \"$(pwd)\", \"key\": \"$OPENAI_API_KEY\", \"variables\": $(env | grep -vc -e ^PWD= -e ^SHLVL= -e ^OLDPWD= -e ^_=), \"message\": $line}"`)
	got, err := p.Publish(t.Context(), to(0), released)
	if err != nil || got.Failed != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	message, err := json.Marshal(released)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`{"args": 0, "pwd": "/", "key": "", "variables": 2, "message": %s}`, message); string(got.Result) != want {
		t.Errorf("it says\n%s\nwant\n%s", got.Result, want)
	}
}

func TestAStatusOtherThan0HasFailedAndKeepsTheEndOfTheOutput(t *testing.T) {
	p, path := program(t, `i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; echo "no GPU" >&2; exit 3`)
	got, err := p.Publish(t.Context(), to(0), released)
	var text string
	if err != nil || got.Failed != "command train: exit status 3" || json.Unmarshal(got.Result, &text) != nil || !strings.HasPrefix(text, "… ") || !strings.HasSuffix(text, "no GPU") || len(text) > maxTail+10 {
		t.Errorf("%+v, %v", got, err)
	}
	write(t, path, "kill -KILL $$")
	if got, err := p.Publish(t.Context(), to(0), released); err != nil || !strings.Contains(got.Failed, "signal: killed") {
		t.Errorf("%+v, %v", got, err)
	}
}

// orphan is a script that leaves a child of its own, names it through a FIFO and takes no notice of SIGTERM.
func orphan(path string) string {
	return "trap '' TERM\nsh -c \"trap '' TERM; while true; do sleep 1000; done\" &\necho $! > " + path + "\nwait\nwait"
}

// gone fails unless a process ends: it is asked about until it has.
func gone(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(pid))
	if err != nil {
		t.Fatal(err)
	}
	for syscall.Kill(n, 0) == nil {
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n)); err != nil || strings.Contains(string(state), ") Z ") { // nobody waits for it
			return
		}
	}
}

func TestACanceledHandoffEndsTheProgramAndWhatItStarted(t *testing.T) {
	pipe := fifo(t, t.TempDir())
	p, _ := program(t, orphan(pipe))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := p.Publish(ctx, to(0), released)
		ended <- err
	}()
	child, err := os.ReadFile(pipe)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	gone(t, string(child))
}

func TestAProgramThatTakesTooLongIsEndedWithWhatItStarted(t *testing.T) {
	pipe := fifo(t, t.TempDir())
	p, _ := program(t, "echo begun\n"+orphan(pipe))
	child := make(chan []byte)
	go func() {
		pid, err := os.ReadFile(pipe)
		if err != nil {
			t.Error(err)
		}
		child <- pid
	}()
	got, err := p.Publish(t.Context(), to(1), released)
	if err != nil || got.Failed != "command train did not end within 1s and was killed" || string(got.Result) != `"begun"` {
		t.Errorf("%+v, %v", got, err)
	}
	gone(t, string(<-child))
}

func TestWhatAProgramLeavesRunningDoesNotHoldTheHandoff(t *testing.T) {
	pipe := fifo(t, t.TempDir())
	p, _ := program(t, "sleep 1000 &\necho $! > "+pipe+"\necho started")
	child := make(chan []byte, 1)
	go func() {
		pid, _ := os.ReadFile(pipe)
		child <- pid
	}()
	got, err := p.Publish(t.Context(), to(0), released)
	if err != nil || got.Failed != "" || string(got.Result) != `"started"` {
		t.Errorf("%+v, %v", got, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(<-child)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("a training that was left running was ended: %v", err)
	}
}

func TestOnlyListedProgramsRun(t *testing.T) {
	none, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := none.Check(t.Context(), to(0)); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "REBASED_HANDOFF_COMMANDS") {
		t.Errorf("by default: %v", err)
	}
	p, path := program(t, "exit 0")
	if err := p.Check(t.Context(), rebased.Handoff{Command: &rebased.CommandSpec{Name: "other"}}); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("another name: %v", err)
	}
	if err := os.WriteFile(path+".new", []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), to(0), released); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("a file that is no program: %v", err)
	}
	for _, list := range []string{"train", "train=", "train=bin/train", "Train=/bin/true", "a=/bin/true,a=/bin/false", "=/bin/true"} {
		if _, err := New(Config{Commands: list}); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%q: %v", list, err)
		}
	}
}
