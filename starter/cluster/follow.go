package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
	"github.com/rebased/rebased/workflows"
)

// lost is how long Temporal may be away before a follower gives up.
const lost = 5 * time.Minute

// Watch says what to follow and whom to tell.
type Watch[P any] struct {
	ID       string               // of the workflow
	Progress func(P) (stop bool)  // each answer of the workflow; true stops following
	Silent   func(message string) // nobody answers, said once in a while of silence
}

// Follow watches a workflow until it ends: with its result, with a *Failure, or with false when Progress said stop. It goes through
// restarts of workers and of Temporal. A context that is done ends the watching, never the workflow.
func Follow[P, R any](ctx context.Context, c *Cluster, w Watch[P]) (R, bool, error) {
	var result, none R // result belongs to the one who waits for the end
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	finished := make(chan error, 1)
	go func() { finished <- c.await(ctx, w.ID, &result) }()
	ticker := time.NewTicker(c.tick)
	defer ticker.Stop()
	heard, told := time.Now(), false
	for {
		select {
		case err := <-finished:
			return result, true, err
		case <-ticker.C:
		}
		progress, err := Query[P](ctx, c, w.ID)
		switch {
		case err == nil:
			heard, told = time.Now(), false
			if w.Progress(progress) {
				return none, false, nil
			}
		case unread(err):
			return none, false, err
		case time.Since(heard) > c.silence && !told && ctx.Err() == nil:
			told = true
			if why := c.failing(ctx, w.ID, ""); why != "" {
				w.Silent("workers fail at it: " + why + ": still waiting")
				continue
			}
			w.Silent(fmt.Sprintf("no answer for %s: are Temporal and a worker on task queue %q up? still waiting", c.silence, workflows.TaskQueue))
		}
	}
}

// unread tells an answer that is encrypted with a key which is not there from one that did not come.
func unread(err error) bool {
	_, sealed := errors.AsType[*payload.Unopened](err)
	return sealed
}

// await waits for the end of a workflow.
func (c *Cluster) await(ctx context.Context, id string, result any) error {
	var away time.Time // since when Temporal does not answer
	for {
		err := c.temporal.GetWorkflow(ctx, id, "").Get(ctx, result)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err = c.ended(id, err); rebased.KindOf(err) != rebased.Unavailable {
			return err
		}
		if away.IsZero() {
			away = time.Now()
		}
		if time.Since(away) > lost {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.tick):
		}
	}
}

// Query asks a workflow how far it is. A worker must be there to answer.
func Query[P any](ctx context.Context, c *Cluster, id string) (progress P, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryWait)
	defer cancel()
	value, err := c.temporal.QueryWorkflow(ctx, id, "", workflows.QueryProgress)
	if err != nil {
		if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
			return progress, rebased.E(rebased.NotFound, "%s does not exist", id)
		}
		_, unasked := errors.AsType[*serviceerror.DeadlineExceeded](err) // Temporal's own patience
		if unasked || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return progress, rebased.E(rebased.Unavailable, "ask %s: no worker answered: rebased doctor says whether there is one", id)
		}
		return progress, c.translate("ask "+id, err)
	}
	if err := value.Get(&progress); err != nil {
		return progress, fmt.Errorf("read the progress of %s: %w", id, err)
	}
	return progress, nil
}

// Result is the result of a workflow that has ended; a *Failure when it did not end well.
func Result[R any](ctx context.Context, c *Cluster, id string) (result R, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	if err := c.temporal.GetWorkflow(ctx, id, "").Get(ctx, &result); err != nil {
		return result, c.ended(id, err)
	}
	return result, nil
}
