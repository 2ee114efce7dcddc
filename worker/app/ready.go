package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/rebased/rebased"
)

// Times of the readiness.
const (
	readyFor    = 10 * time.Second // that what was found out is told again
	readyWithin = 3 * time.Second  // that each answer may take
	pollWithin  = 3 * time.Minute  // a poll is answered within a minute or so, with or without a step
)

// check is one thing without which a worker cannot work.
type check struct {
	name string
	ask  func(ctx context.Context) error
}

// readiness tells whether the worker polls and its servers answer. A teacher is none of them: one that is down has its steps tried again later, and is
// each task's own. The answer is kept for some seconds, so that however often it is asked for costs nothing.
type readiness struct {
	polling atomic.Bool
	checks  []check
	now     func() time.Time

	mu    sync.Mutex
	found []string // a line each
	good  bool
	at    time.Time
}

// readiness asks Temporal for what it can, the bucket for an object that is not there, and Qdrant for its collections.
func (p *ports) readiness(temporal client.Client) *readiness {
	since := time.Now()
	return &readiness{now: time.Now, checks: []check{
		{"temporal", func(ctx context.Context) error {
			_, err := temporal.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
			return err
		}},
		{"task queue", func(context.Context) error {
			if p.contact.silence(since) > pollWithin {
				return rebased.E(rebased.Unavailable, "no poll was answered for %s", pollWithin)
			}
			return nil
		}},
		{"bucket", func(ctx context.Context) error {
			_, _, err := p.objects.Get(ctx, "probes/ready")
			if rebased.KindOf(err) == rebased.NotFound {
				return nil
			}
			return err
		}},
		{"qdrant", p.index.Ping},
	}}
}

// polls says whether the worker takes steps.
func (r *readiness) polls(yes bool) { r.polling.Store(yes) }

// ServeHTTP implements http.Handler: 200 or 503, with a line for each check.
func (r *readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if !r.polling.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "worker does not poll: it starts or stops")
		return
	}
	lines, good := r.look(context.WithoutCancel(request.Context()))
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

// look asks all at once, unless that was done lately. Who comes meanwhile waits for the same answer.
func (r *readiness) look(ctx context.Context) (lines []string, good bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found != nil && r.now().Sub(r.at) < readyFor {
		return r.found, r.good
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	errs := make([]error, len(r.checks))
	var asked sync.WaitGroup
	for i, c := range r.checks {
		asked.Go(func() { errs[i] = c.ask(ctx) })
	}
	asked.Wait()
	r.found, r.good, r.at = nil, true, r.now()
	for i, c := range r.checks {
		line := c.name + " ok"
		if errs[i] != nil {
			line, r.good = c.name+" does not answer", false
			if kind := rebased.KindOf(errs[i]); kind != "" {
				line += ": " + string(kind)
			}
		}
		r.found = append(r.found, line)
	}
	return r.found, r.good
}
