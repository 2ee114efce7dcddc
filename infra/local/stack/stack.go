// Package stack runs parts of a local stack in this process and, when asked to, one worker as a child process: it takes their locks and ports,
// starts them, waits until each answers, and stops them in order. The commands of rebased-local are thin callers of it.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/probe"
	"golang.org/x/sync/errgroup"
)

// startLimit is how long a part may take until it answers.
const startLimit = time.Minute

// Config says what runs.
type Config struct {
	// Folder is the data folder.
	Folder *folder.Folder
	// Parts are the servers to run here.
	Parts []Part
	// Teacher is how the demo teacher answers.
	Teacher TeacherConfig
	// HistoryEvents is the length of a history at which Temporal suggests to continue as new; 0 = its default.
	HistoryEvents int
	// Nexus lets workflows call Nexus endpoints, by way of Temporal's HTTP API, which any program of the machine then reaches.
	Nexus bool
	// Worker is the worker to run beside them; nil for none.
	Worker *Worker
	// Log takes what a person should know of a running stack.
	Log *slog.Logger
}

// TeacherConfig is how the demo teacher answers.
type TeacherConfig struct {
	// Replay is a file of recorded answers; "" for the rule based ones.
	Replay string
	// Latency is how long each answer takes.
	Latency time.Duration
	// AllowFaults lets whoever has the key make it fail on purpose, for tests.
	AllowFaults bool
}

// Run starts the parts, then the worker, calls use once all of them answer, and stops them when it returns. The context of use ends with ctx or when
// a part fails, whose error is then the one returned; when ctx is done before use is called, its error is. What is refused before anything starts
// (a port in use, a folder whose parts run elsewhere) is an error of kind Invalid.
func Run(ctx context.Context, c Config, use func(ctx context.Context) error) error {
	release, err := c.claim()
	defer release()
	if err != nil {
		return err
	}
	running, fail := context.WithCancel(ctx)
	defer fail()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // the parts outlive ctx by the worker's last words
	defer stop()
	var servers errgroup.Group
	err = c.start(serving, &servers, fail)
	if err == nil {
		err = c.answer(running)
	}
	if err == nil {
		err = c.withWorker(running, use)
	}
	stop()
	if failed := servers.Wait(); failed != nil {
		return failed
	}
	return err
}

// claim takes the locks of the parts, makes sure of their ports and remembers these. What it gives back releases the locks.
func (c Config) claim() (release func(), err error) {
	var locks []io.Closer
	release = func() {
		for _, lock := range locks {
			_ = lock.Close() // nothing was written that a close could lose
		}
	}
	for _, part := range c.Parts {
		lock, err := c.Folder.Lock(string(part))
		if err != nil {
			return release, err
		}
		locks = append(locks, lock)
	}
	for _, part := range c.Parts {
		if err := c.Folder.Ports.Check(part.Services()...); err != nil {
			return release, err
		}
	}
	if c.Worker != nil {
		if err := c.Folder.Ports.Check(folder.Worker); err != nil {
			return release, err
		}
	}
	return release, c.Folder.RememberPorts()
}

// start sets the parts going; the end of one before ctx is done is its failure.
func (c Config) start(ctx context.Context, servers *errgroup.Group, fail func()) error {
	for _, part := range c.Parts {
		log, err := c.Folder.Log(string(part))
		if err != nil {
			return err
		}
		server, err := c.open(part, log)
		if err != nil {
			return errors.Join(err, log.Close())
		}
		servers.Go(func() error {
			defer fail()
			defer log.Close()
			err := server.Serve(ctx)
			if err == nil && ctx.Err() == nil {
				err = fmt.Errorf("%s stopped by itself: see %s", part, log.Name())
			}
			return err
		})
	}
	return nil
}

// answer waits until every part answers.
func (c Config) answer(ctx context.Context) error {
	for _, part := range c.Parts {
		probed := func(ctx context.Context) error { return part.probe()(ctx, c.Folder) }
		if err := c.await(ctx, string(part), probed); err != nil {
			return err
		}
	}
	return nil
}

// await waits until a probe succeeds, for startLimit at most.
func (c Config) await(ctx context.Context, part string, probed func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err := probe.Until(limited, probed)
	if stopped := context.Cause(ctx); stopped != nil {
		return stopped
	}
	if err != nil {
		return fmt.Errorf("%s does not answer, see %s: %w", part, c.Folder.Path("logs", part+".log"), err)
	}
	return nil
}
