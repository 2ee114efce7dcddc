package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// Builds is what a night asks of the builds of its task, and tells them.
type Builds interface {
	// Open lists the builds of a task that have not ended. One that has just begun may be missing.
	Open(ctx context.Context, task string) ([]string, error)
	// State is where a build stands now. NotFound: there is none, or it has ended so long ago that it is forgotten.
	State(ctx context.Context, task, build string) (rebased.State, error)
	// Supersede asks a build to end in favour of another and gives how it stands then: superseded, with nothing of it under way any more, or as it
	// was. The same call again has the same effect. NotFound: it has ended. Invalid: it does not know the question.
	Supersede(ctx context.Context, task, build string, by Supersede) (rebased.Progress, error)
	// PauseSchedule stops the schedule of a task from starting builds. NotFound: there is none.
	PauseSchedule(ctx context.Context, task, note string) error
}

// UpdateSupersede is the update by which a build is asked to end in favour of another: Supersede -> rebased.Progress.
const UpdateSupersede = "supersede"

// Supersede says who takes a waiting build's place.
type Supersede struct {
	By      string `json:"by"`       // the build
	TaskKey string `json:"task_key"` // the task file that it was started with
	// Endpoint is whom it asks in batches: those that are under way there are left to it. "" = it takes none over.
	Endpoint string `json:"endpoint,omitempty"`
}

// NightPrefix begins the names of builds that a schedule starts; Temporal appends the time.
const NightPrefix = "nightly-"

// Nights keeps the builds that a schedule starts from asking the same beside each other, and from waiting behind a person.
//
// Of the nights of a task one goes on at a time. Which one stands in the bucket and is switched by compare-and-swap, and whether it still runs is
// asked of that build itself: so two that start in one moment do not both pay. Builds that a person starts do not enter there. They are found in
// Temporal's list, which may lag by a second or so.
type Nights struct {
	Objects rebased.Objects
	Builds  Builds
	Batches *llm.Batches
}

// night is what stands at rebased.NightKey.
type night struct {
	Task  string    `json:"task"`
	Build string    `json:"build"` // the night that goes on
	Since time.Time `json:"since"`
	Open  []string  `json:"open,omitempty"` // nights before it that waited for a person when it began
}

// EnterResult says what a night finds of its task.
type EnterResult struct {
	Runs    string   `json:"runs,omitempty"`    // the build that still runs; "" = none, and this one has the night
	Waiting []Waiter `json:"waiting,omitempty"` // builds that wait for a person
}

// Waiter is a build that waits for a person.
type Waiter struct {
	Build string        `json:"build"`
	State rebased.State `json:"state"`
}

// Enter has a build take the night of its task unless another build of the task still runs.
func (a *Nights) Enter(ctx context.Context, in BuildRef) (EnterResult, error) {
	work, _, stop := heartbeat(ctx)
	defer stop()
	out, err := a.enter(work, in)
	return out, translate(ctx, err)
}

func (a *Nights) enter(ctx context.Context, in BuildRef) (out EnterResult, err error) {
	const rounds = 16
	for range rounds {
		out, err = a.tryEnter(ctx, in)
		if rebased.KindOf(err) != rebased.Conflict {
			break
		}
	}
	if err != nil || out.Runs != "" {
		return out, err
	}
	open, err := a.Builds.Open(ctx, in.Task)
	if err != nil {
		return out, err
	}
	for _, build := range open {
		known := func(w Waiter) bool { return w.Build == build }
		if build == in.Build || slices.ContainsFunc(out.Waiting, known) {
			continue
		}
		state, err := a.state(ctx, in.Task, build)
		switch {
		case err != nil:
			return out, err
		case state.Waits():
			out.Waiting = append(out.Waiting, Waiter{build, state})
		case state.Final():
		case strings.HasPrefix(build, NightPrefix): // it was not found before: it has yet to enter, or never does
			planned, err := a.planned(ctx, in.Task, build)
			if err != nil {
				return out, err
			}
			if planned {
				return EnterResult{Runs: build}, nil
			}
		default:
			return EnterResult{Runs: build}, nil
		}
	}
	return out, nil
}

// planned tells whether a build has made its plan, which a night does after it has entered. One that has and does not stand in the record is of an older
// program, or the record was removed.
func (a *Nights) planned(ctx context.Context, task, build string) (bool, error) {
	key := rebased.BuildKey(task, build, "task.yaml")
	_, _, err := a.Objects.Get(ctx, key)
	switch {
	case err == nil:
		return true, nil
	case rebased.KindOf(err) == rebased.NotFound:
		return false, nil
	}
	return false, fmt.Errorf("read %s: %w", key, err)
}

// tryEnter is one round of compare-and-swap. Conflict: another night was faster.
func (a *Nights) tryEnter(ctx context.Context, in BuildRef) (out EnterResult, err error) {
	key := rebased.NightKey(in.Task)
	var now night
	body, etag, err := a.Objects.Get(ctx, key)
	absent := rebased.KindOf(err) == rebased.NotFound
	switch {
	case absent:
	case err != nil:
		return out, fmt.Errorf("read %s: %w", key, err)
	default:
		if err := json.Unmarshal(body, &now); err != nil {
			return out, rebased.E(rebased.Invalid, "%s: %w: remove it", key, err)
		}
	}
	next := night{Task: in.Task, Build: in.Build, Since: time.Now().UTC()}
	for _, build := range append(now.Open, now.Build) {
		if build == "" || build == in.Build {
			continue
		}
		state, err := a.state(ctx, in.Task, build)
		switch {
		case err != nil:
			return out, err
		case state.Waits():
			next.Open, out.Waiting = append(next.Open, build), append(out.Waiting, Waiter{build, state})
		case !state.Final():
			return EnterResult{Runs: build}, nil
		}
	}
	if now.Build == in.Build { // a retry
		return out, nil
	}
	if body, err = json.Marshal(next); err != nil {
		return out, err
	}
	if absent {
		_, err = a.Objects.PutIfAbsent(ctx, key, body)
	} else {
		_, err = a.Objects.PutIfMatch(ctx, key, etag, body)
	}
	return out, err
}

// state is where a build stands; one that nobody knows any more has failed.
func (a *Nights) state(ctx context.Context, task, build string) (rebased.State, error) {
	state, err := a.Builds.State(ctx, task, build)
	if rebased.KindOf(err) == rebased.NotFound {
		return rebased.StateFailed, nil
	}
	return state, err
}

// TakeOverInput names the builds that a night takes the place of.
type TakeOverInput struct {
	BuildRef
	As Supersede `json:"as"` // how this one presents itself
	Of []string  `json:"of"`
}

// TakeOverResult says what became of them.
type TakeOverResult struct {
	Superseded []string `json:"superseded,omitempty"`
	Ended      []string `json:"ended,omitempty"` // a person was faster: released, rejected or canceled
	Left       []string `json:"left,omitempty"`  // wait on: a person's own build of another task file, or one that did not answer
	Runs       string   `json:"runs,omitempty"`  // goes on, since a person has just let it
	Batches    int      `json:"batches,omitempty"`
	// Since is when deadlines for the approval of versions of theirs began to run, by version.
	Since map[string]time.Time `json:"since,omitempty"`
}

// answerWithin is how long a waiting build has to end. Its steps that are under way hear of it with their heartbeats.
const answerWithin = 2 * time.Minute

// TakeOver ends builds that wait for a person in favour of this one. What they paid for is stored, and their batches under way become this build's.
func (a *Nights) TakeOver(ctx context.Context, in TakeOverInput) (TakeOverResult, error) {
	work, progress, stop := heartbeat(ctx)
	defer stop()
	var out TakeOverResult
	for i, build := range in.Of {
		if err := a.takeOver(work, in, build, &out); err != nil {
			return out, translate(ctx, fmt.Errorf("take over from build %s: %w", build, err))
		}
		progress(i + 1)
	}
	return out, nil
}

func (a *Nights) takeOver(ctx context.Context, in TakeOverInput, build string, out *TakeOverResult) error {
	wait, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	log := activity.GetLogger(ctx)
	p, err := a.Builds.Supersede(wait, in.Task, build, in.As)
	switch kind := rebased.KindOf(err); {
	case kind == rebased.NotFound:
		out.Ended = append(out.Ended, build)
	case ctx.Err() != nil:
		return ctx.Err()
	case kind == rebased.Invalid || wait.Err() != nil:
		log.Warn("a waiting build was not superseded", "build", build, "error", err)
		out.Left = append(out.Left, build)
		return nil
	case err != nil:
		return err
	case p.State == rebased.StateSuperseded:
		log.Info("superseded a build", "build", build)
		out.Superseded = append(out.Superseded, build)
		out.waited(p)
	case p.State.Waits():
		out.Left = append(out.Left, build)
		return nil
	case p.State == rebased.StateRunning && p.Asks():
		out.Runs = build
		return nil
	default:
		out.Ended = append(out.Ended, build)
		return nil
	}
	if in.As.Endpoint == "" {
		return nil
	}
	// Also of one that has ended: an attempt before this one may have superseded it.
	n, err := a.Batches.Adopt(ctx, buildName(BuildRef{Task: in.Task, Build: build}), buildName(in.BuildRef))
	out.Batches += n
	return err
}

// waited keeps since when a version has waited for the longest.
func (r *TakeOverResult) waited(p rebased.Progress) {
	if p.Since.IsZero() {
		return
	}
	if r.Since == nil {
		r.Since = map[string]time.Time{}
	}
	if earlier, known := r.Since[p.Version]; !known || p.Since.Before(earlier) {
		r.Since[p.Version] = p.Since
	}
}

// PauseScheduleInput says why a schedule is to start nothing more.
type PauseScheduleInput struct {
	Task string `json:"task"`
	Note string `json:"note"`
}

// PauseSchedule pauses the schedule of a task. One that was deleted is no error.
func (a *Nights) PauseSchedule(ctx context.Context, in PauseScheduleInput) error {
	err := a.Builds.PauseSchedule(ctx, in.Task, in.Note)
	if rebased.KindOf(err) == rebased.NotFound {
		return nil
	}
	return translate(ctx, err)
}
