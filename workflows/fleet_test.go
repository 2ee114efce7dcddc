package workflows_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/workflows"
)

// fleet is the builds of a world that run side by side, each in a test environment of its own, and what their nights see of each other.
type fleet struct {
	mu     sync.Mutex
	builds map[string]*flight
	hidden map[string]bool // builds that lists do not tell yet
	paused []string        // notes of schedules that were paused
	before func()          // runs before a build is superseded
}

// flight is one build.
type flight struct {
	env    *testsuite.TestWorkflowEnvironment
	began  chan struct{} // its first step has; before, nobody can be asked
	done   chan struct{}
	once   sync.Once
	result rebased.BuildResult
	err    error
}

var _ activities.Builds = (*fleet)(nil)

// launch starts a build in the background.
func (w *world) launch(t *testing.T, id string, in workflows.BuildInput, intercept ...interceptor.WorkerInterceptor) *flight {
	t.Helper()
	f := &flight{env: w.environment(t), began: make(chan struct{}), done: make(chan struct{})}
	f.env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute, Interceptors: intercept})
	f.env.SetWorkflowRunTimeout(0) // else the clock runs on to its end while nothing happens
	f.env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) { f.once.Do(func() { close(f.began) }) })
	w.fleet.mu.Lock()
	if w.fleet.builds == nil {
		w.fleet.builds = map[string]*flight{}
	}
	w.fleet.builds[id] = f
	w.fleet.mu.Unlock()
	f.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.BuildID(in.Task, id)})
	go func() {
		defer close(f.done)
		f.env.ExecuteWorkflow(workflows.BuildDatasetName, in)
		if f.err = f.env.GetWorkflowError(); f.err == nil {
			f.err = f.env.GetWorkflowResult(&f.result)
		}
	}()
	return f
}

// night launches a build as the schedule of task numbers does.
func (w *world) night(t *testing.T, id, yaml string) *flight {
	t.Helper()
	in := w.build(t, yaml)
	in.Unattended = true
	return w.launch(t, activities.NightPrefix+id, in)
}

// landed waits for a build's end.
func (f *flight) landed(t *testing.T) rebased.BuildResult {
	t.Helper()
	<-f.done
	if f.err != nil {
		t.Fatal(f.err)
	}
	return f.result
}

// within runs do inside the build's loop; false when the build has ended.
func (f *flight) within(do func()) bool {
	select {
	case <-f.began:
	case <-f.done:
		return false
	}
	ran := make(chan struct{})
	f.env.RegisterDelayedCallback(func() { defer close(ran); do() }, 0)
	select {
	case <-ran:
		return true
	case <-f.done:
		return false
	}
}

// look is how the build stands.
func (f *flight) look() (p rebased.Progress, open bool) {
	open = f.within(func() {
		if value, err := f.env.QueryWorkflow(workflows.QueryProgress); err == nil {
			_ = value.Get(&p)
		}
	})
	return p, open
}

// waits waits until the build waits for a person.
func (f *flight) waits(t *testing.T, state rebased.State) rebased.Progress {
	t.Helper()
	for {
		p, open := f.look()
		switch {
		case !open:
			t.Fatalf("the build has ended: %+v, %v", f.result, f.err)
		case p.State == state:
			return p
		}
		runtime.Gosched()
	}
}

// answer is what came of an update.
type answer struct {
	progress rebased.Progress
	refused  error
}

// update sends an update and waits for its answer; false when the build has ended.
func (f *flight) update(name string, arg any) (a answer, open bool) {
	answered := make(chan answer, 1)
	f.within(func() {
		f.env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { answered <- answer{refused: err} },
			OnComplete: func(out any, _ error) {
				p, _ := out.(rebased.Progress)
				answered <- answer{progress: p}
			},
		}, arg)
	})
	select {
	case a := <-answered:
		return a, true
	case <-f.done:
	}
	select {
	case a := <-answered:
		return a, true
	default:
		return answer{}, false
	}
}

// collector collects the answers of updates.
type collector struct{ into *[]answer }

func (c collector) Accept()          {}
func (c collector) Reject(err error) { *c.into = append(*c.into, answer{refused: err}) }
func (c collector) Complete(out any, err error) {
	p, _ := out.(rebased.Progress)
	*c.into = append(*c.into, answer{progress: p, refused: err})
}

func (f *fleet) find(build string) (*flight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found := f.builds[build]; found != nil {
		return found, nil
	}
	return nil, rebased.E(rebased.NotFound, "no build %s", build)
}

// Open implements activities.Builds.
func (f *fleet) Open(context.Context, string) (open []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, b := range f.builds {
		select {
		case <-b.done:
		default:
			if !f.hidden[id] {
				open = append(open, id)
			}
		}
	}
	slices.Sort(open)
	return open, nil
}

// State implements activities.Builds.
func (f *fleet) State(_ context.Context, _, build string) (rebased.State, error) {
	b, err := f.find(build)
	if err != nil {
		return "", err
	}
	p, open := b.look()
	switch {
	case open && p.State != "":
		return p.State, nil
	case open:
		return rebased.StateRunning, nil
	}
	if b.err != nil {
		return rebased.StateFailed, nil //nolint:nilerr // the build's error is its state
	}
	return b.result.State, nil
}

// Supersede implements activities.Builds.
func (f *fleet) Supersede(_ context.Context, _, build string, by activities.Supersede) (rebased.Progress, error) {
	b, err := f.find(build)
	if err != nil {
		return rebased.Progress{}, err
	}
	if f.before != nil {
		f.before()
	}
	a, open := b.update(workflows.UpdateSupersede, by)
	switch {
	case !open:
		return a.progress, rebased.E(rebased.NotFound, "%s has ended", build)
	case a.refused != nil:
		return a.progress, rebased.E(rebased.Invalid, "%w", a.refused)
	}
	return a.progress, nil
}

// PauseSchedule implements activities.Builds.
func (f *fleet) PauseSchedule(_ context.Context, task, note string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = append(f.paused, task+": "+strings.TrimSpace(note))
	return nil
}
