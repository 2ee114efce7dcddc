// Package command hands released versions to programs of the worker's own machine. It is off until the operator lists programs in the worker's
// environment; a task file names one of the list and can say nothing else to it. There is no shell. It stands behind publish.Publisher.
package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
)

// Bounds of a run.
const (
	grace   = 10 * time.Second // from SIGTERM to SIGKILL
	maxTail = 8 << 10          // bytes of output that are kept
	busy    = 75               // the exit status by which a program asks to be run again later: EX_TEMPFAIL of sysexits.h
)

var namePattern = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// Config says which programs may be run.
type Config struct {
	Commands string        // REBASED_HANDOFF_COMMANDS: name=/path, separated by commas; "" = none
	Grace    time.Duration // from SIGTERM to SIGKILL; 0 = ten seconds
}

// Publisher implements publish.Publisher.
type Publisher struct {
	programs map[string]string // absolute paths by name
	grace    time.Duration
}

var _ publish.Publisher = (*Publisher)(nil)

// New checks the list.
func New(c Config) (*Publisher, error) {
	p := &Publisher{programs: map[string]string{}, grace: c.Grace}
	if p.grace == 0 {
		p.grace = grace
	}
	for i, entry := range strings.Split(c.Commands, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, path, _ := strings.Cut(entry, "=")
		if !namePattern.MatchString(name) || !filepath.IsAbs(path) || p.programs[name] != "" {
			return nil, rebased.E(rebased.Invalid, "REBASED_HANDOFF_COMMANDS: number %d must be name=/path/to/program, each name once, of a-z, 0-9 and -, got %.80q", i+1, entry)
		}
		p.programs[name] = path
	}
	return p, nil
}

// Check implements publish.Publisher.
func (p *Publisher) Check(_ context.Context, to rebased.Handoff) error {
	_, err := p.program(to)
	return err
}

func (p *Publisher) program(to rebased.Handoff) (string, error) {
	if to.Command == nil {
		return "", rebased.E(rebased.Invalid, "the task names no command")
	}
	path, known := p.programs[to.Command.Name]
	if !known {
		return "", rebased.E(rebased.Invalid, "this worker has no command %q: an operator can add it to REBASED_HANDOFF_COMMANDS of every worker", to.Command.Name)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", rebased.E(rebased.Invalid, "command %s of this worker: %w", to.Command.Name, err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "", rebased.E(rebased.Invalid, "command %s of this worker: %s is not executable", to.Command.Name, path)
	}
	return path, nil
}

// Publish implements publish.Publisher: it runs the program with the message on standard input, and waits for its end. Exit status 0 is done, 75 asks for
// another run later, any other has failed; the end of what it printed is the result. It gets no variable of the worker, whose environment has secrets, no
// argument, and / as its folder. When its time is over or the hand-off is canceled, it and what it started in its process group get SIGTERM, then SIGKILL.
func (p *Publisher) Publish(ctx context.Context, to rebased.Handoff, m publish.Message) (publish.Receipt, error) {
	path, err := p.program(to)
	if err != nil {
		return publish.Receipt{}, err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return publish.Receipt{}, fmt.Errorf("encode the message: %w", err)
	}
	limit := to.Command.Limit()
	work, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	output := &tail{}
	cmd := exec.CommandContext(work, path) //nolint:gosec // a program of the operator's own list
	cmd.Env, cmd.Dir = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(body, '\n')), output, output
	cmd.WaitDelay = p.grace
	if err := group(cmd); err != nil {
		return publish.Receipt{}, err
	}
	if err := cmd.Start(); err != nil {
		return publish.Receipt{}, unstarted(to.Command.Name, err)
	}
	err = cmd.Wait()
	if work.Err() != nil {
		kill(cmd) // what is left of its group
	}
	said := output.bytes()
	receipt := publish.Receipt{Result: publish.ResultOf(said, 0)}
	switch exit, _ := errors.AsType[*exec.ExitError](err); {
	case ctx.Err() != nil:
		return publish.Receipt{}, ctx.Err()
	case work.Err() != nil:
		receipt.Failed = fmt.Sprintf("command %s did not end within %v and was killed", to.Command.Name, limit)
	case exit == nil: // done, with a status of 0: what it left running may still hold its output
	case exit.ExitCode() == busy:
		return publish.Receipt{}, rebased.E(rebased.Unavailable, "command %s asks to be run again (exit status %d): %s", to.Command.Name, busy, rebased.Quote(string(said), ""))
	default:
		receipt.Failed = fmt.Sprintf("command %s: %s", to.Command.Name, exit.ProcessState)
	}
	return receipt, nil
}

// unstarted is the error of a program that did not start: for good where the file is at fault.
func unstarted(name string, err error) error {
	kind := rebased.Unavailable
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || unusable(err) {
		kind = rebased.Invalid
	}
	return rebased.E(kind, "command %s of this worker: %w", name, err)
}

// tail keeps the end of what is written to it.
type tail struct {
	kept []byte
	cut  bool
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxTail; over > 0 {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	if t.cut {
		return append([]byte("… "), t.kept...)
	}
	return t.kept
}
