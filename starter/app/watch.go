package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
)

// errQuit ends a watching that the user has left by its key.
var errQuit = errors.New("quit")

// Bounds of a watching of several builds.
const (
	watchedAtOnce = 8   // that are asked side by side
	mostWatched   = 200 // of the youngest that run or wait
	listEvery     = 5 * time.Second
)

// watching is how builds are watched.
type watching struct {
	plain, progress bool
}

func (a *app) buildsWatchCommand() *cobra.Command {
	var w watching
	cmd := &cobra.Command{
		Use:   "watch [BUILD]",
		Short: "Show how builds stand until they end, and their results",
		Long: `Show how a build stands until it ends or waits for a person, and its result: phase, rows, reasons of rejects, rates, calls in flight, cost,
time left. BUILD left out shows all builds that run or wait, or the one that does; where none does, the result of the youngest.

On a terminal it has the screen to itself: q quits with status 0, Ctrl-C with status 4, and the builds go on. Elsewhere, and with --plain, it prints
lines. With --json it prints the results alone; with --progress too how they stand, one object a line, on standard output.`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if w.progress && !a.console.JSON {
				return misuse(cmd, errors.New("--progress is for --json"))
			}
			temporal, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer temporal.Close()
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				bucket = nil // only addresses need it
			}
			if len(args) == 0 {
				open, err := openBuilds(cmd.Context(), temporal)
				if err != nil {
					return err
				}
				if len(open) > 1 {
					return a.watchAll(cmd.Context(), temporal, open, w)
				}
				if len(open) == 1 {
					return a.watchOne(cmd.Context(), temporal, bucket, open[0], w)
				}
			}
			b, err := temporal.Find(cmd.Context(), anyBuild(args))
			if err != nil {
				return err
			}
			return a.watchOne(cmd.Context(), temporal, bucket, b, w)
		},
	}
	cmd.Flags().BoolVar(&w.plain, "plain", false, "print lines on a terminal too")
	cmd.Flags().BoolVar(&w.progress, "progress", false, "with --json: print how the builds stand too, one object a line")
	return cmd
}

// openBuilds are the builds that have not ended, the youngest first.
func openBuilds(ctx context.Context, temporal *cluster.Cluster) ([]cluster.Build, error) {
	return temporal.Builds(ctx, "", mostWatched, func(b cluster.Build) bool { return !b.State.Final() })
}

// watchOne shows one build until it ends or waits.
func (a *app) watchOne(ctx context.Context, temporal *cluster.Cluster, bucket store, b cluster.Build, w watching) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v := a.view(w, cancel, func(s []standing, notice string, width, _ int) []console.Line { return frame(s[0], notice, width) })
	defer v.close()
	m := &meter{}
	return a.follow(ctx, temporal, bucket, b, follower{
		show: func(p rebased.Progress) {
			v.show([]standing{m.read(a.console.Now(), b, p, temporal.Steps(ctx, b.ID()))})
		},
		note: v.note, close: v.close,
	})
}

// watchAll shows builds until none of them runs any more: each has ended or waits. Those that start meanwhile are taken in.
func (a *app) watchAll(ctx context.Context, temporal *cluster.Cluster, builds []cluster.Build, w watching) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v := a.view(w, cancel, table)
	defer v.close()
	all := &herd{temporal: temporal, now: a.console.Now, builds: builds, meters: map[string]*meter{}, last: map[string]standing{}}
	for err := error(nil); ; {
		if all.listed.Before(a.console.Now().Add(-listEvery)) {
			if err = all.list(ctx); err != nil && ctx.Err() == nil {
				v.note(err.Error())
			}
		}
		stand := all.look(ctx)
		if ctx.Err() != nil {
			break
		}
		v.show(stand)
		if err == nil && !all.running() {
			break
		}
		if rebased.Sleep(ctx, temporal.Tick()) != nil {
			break
		}
	}
	v.close()
	return a.watched(ctx, all.builds)
}

// watched prints how the builds stand that were watched and ends the command: with the status of the worst.
func (a *app) watched(ctx context.Context, builds []cluster.Build) error {
	if ctx.Err() != nil {
		a.console.Notef("the builds go on without you: rebased builds watch follows them again")
	}
	if err := listBuilds(a.console, builds); err != nil {
		return failed{err}
	}
	if ctx.Err() != nil {
		return left(ctx)
	}
	worst := exitDone
	order := []int{exitDone, exitWaits, exitCanceled, exitFailed}
	for _, b := range builds {
		if status := statusOfState(b.State); slices.Index(order, status) > slices.Index(order, worst) {
			worst = status
		}
	}
	if worst != exitDone {
		return &ended{worst}
	}
	return nil
}

// left is how a command ends whose user stopped watching: by the key for that it is done, by Ctrl-C it was canceled.
func left(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errQuit) {
		return nil
	}
	return &ended{exitCanceled}
}

// herd is what is known of builds that are watched together.
type herd struct {
	temporal *cluster.Cluster
	now      func() time.Time
	builds   []cluster.Build // in the order in which they are shown
	listed   time.Time

	mu     sync.Mutex
	meters map[string]*meter
	last   map[string]standing
}

// list takes in builds that have started since, and looks how those ended that run no more.
func (h *herd) list(ctx context.Context) error {
	open, err := openBuilds(ctx, h.temporal)
	if err != nil {
		return err
	}
	h.listed = h.now()
	for i, b := range h.builds {
		if b.State.Final() {
			continue
		}
		at := slices.IndexFunc(open, func(o cluster.Build) bool { return o.ID() == b.ID() })
		if at >= 0 {
			h.builds[i] = open[at]
		} else if b, err = h.temporal.Describe(ctx, b.Task, b.Build); err == nil {
			h.builds[i] = b
		} else {
			return err
		}
	}
	for _, b := range slices.Backward(open) {
		if !slices.ContainsFunc(h.builds, func(known cluster.Build) bool { return known.ID() == b.ID() }) {
			h.builds = slices.Insert(h.builds, 0, b)
		}
	}
	return nil
}

// look asks those that have not ended how they stand. One that does not answer stands as it did.
func (h *herd) look(ctx context.Context) []standing {
	var asking errgroup.Group
	asking.SetLimit(watchedAtOnce)
	for _, b := range h.builds {
		asking.Go(func() error {
			h.one(ctx, b)
			return nil
		})
	}
	_ = asking.Wait()
	out := make([]standing, len(h.builds))
	for i, b := range h.builds {
		out[i] = h.last[b.ID()]
	}
	return out
}

func (h *herd) one(ctx context.Context, b cluster.Build) {
	var p rebased.Progress
	var steps cluster.Steps
	var err error
	if !b.State.Final() {
		if p, err = cluster.Query[rebased.Progress](ctx, h.temporal, b.ID()); err == nil {
			steps = h.temporal.Steps(ctx, b.ID())
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.meters[b.ID()]
	if m == nil {
		m = &meter{}
		h.meters[b.ID()] = m
	}
	s, known := h.last[b.ID()]
	switch {
	case !known && (err != nil || b.State.Final()):
		s = standing{Build: b.Build, Task: b.Task, Seconds: b.Seconds}
		fallthrough
	case err != nil || b.State.Final():
		s.State, s.RowRate, s.CallRate, s.InFlight, s.SecondsLeft = b.State, 0, 0, 0, 0
	default:
		s = m.read(h.now(), b, p, steps)
	}
	h.last[b.ID()] = s
}

// running tells whether a build neither has ended nor waits, as the list says.
func (h *herd) running() bool {
	return slices.ContainsFunc(h.builds, func(b cluster.Build) bool { return !b.State.Final() && !b.State.Waits() })
}

// view is where standings are shown.
type view interface {
	show(s []standing)
	note(text string) // something on the side
	close()           // what is written next stands on a line of its own; closing again does nothing
}

// view makes the view that fits: objects, a screen of its own or lines. draw makes the frames of a screen; cancel is called when its user leaves it.
func (a *app) view(w watching, cancel context.CancelCauseFunc, draw func(s []standing, notice string, width, height int) []console.Line) view {
	lines := &lineView{console: a.console, progress: map[string]console.Progress{}}
	switch {
	case w.progress:
		return &objectView{lineView: lines, told: map[string]standing{}, at: map[string]time.Time{}}
	case w.plain || a.console.JSON:
		return lines
	}
	screen := a.console.Screen(a.stdin, a.getenv)
	if screen == nil {
		return lines
	}
	v := &screenView{screen: screen, draw: draw, stop: make(chan struct{}), done: make(chan struct{})}
	go v.run(cancel)
	return v
}

// lineView shows standings as lines.
type lineView struct {
	console  *console.Console
	progress map[string]console.Progress // by build
}

func (v *lineView) show(builds []standing) {
	for _, s := range builds {
		if s.Phase == "" {
			continue
		}
		lines := v.progress[s.name()]
		if lines == nil {
			lines = v.console.Lines()
			v.progress[s.name()] = lines
			if len(builds) == 1 {
				v.console.Notef("build %s", s.name())
			}
		}
		step := s.step()
		if len(builds) > 1 {
			step.Phase = s.name() + " " + standsAt(s)
		}
		lines.Show(step)
	}
}

func (v *lineView) note(text string) { v.console.Notef("%s", text) }
func (v *lineView) close()           {}

// objectView shows standings as JSON, when state or phase changes and now and then between.
type objectView struct {
	*lineView
	told map[string]standing
	at   map[string]time.Time
}

func (v *objectView) show(builds []standing) {
	for _, s := range builds {
		old, now := v.told[s.name()], v.console.Now()
		if s.Phase == "" || old.Phase == s.Phase && old.State == s.State && now.Sub(v.at[s.name()]) < console.LinesEvery {
			continue
		}
		v.told[s.name()], v.at[s.name()] = s, now
		_ = v.console.Result(s, nil) // where nobody reads any more the result tells it
	}
}

// screenView shows standings on a screen, which it draws at its own pace: what is asked may take seconds to answer.
type screenView struct {
	screen *console.Screen
	draw   func(s []standing, notice string, width, height int) []console.Line

	mu     sync.Mutex
	builds []standing
	notice string

	stop, done chan struct{}
	closed     sync.Once
}

// drawEvery bounds how long a change of the terminal's size, or of what is shown, is not seen.
const drawEvery = 200 * time.Millisecond

func (v *screenView) run(cancel context.CancelCauseFunc) {
	defer close(v.done)
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	for {
		v.frame()
		select {
		case <-v.stop:
			return
		case <-ticker.C:
		case key := <-v.screen.Keys():
			cancel(map[rune]error{console.KeyQuit: errQuit, console.KeyInterrupt: context.Canceled}[key])
		}
	}
}

func (v *screenView) frame() {
	v.mu.Lock()
	defer v.mu.Unlock()
	width, height := v.screen.Size()
	if len(v.builds) == 0 {
		v.screen.Draw([]console.Line{{{Text: cmp.Or(v.notice, "looking…"), Style: console.Dim}}})
		return
	}
	v.screen.Draw(v.draw(v.builds, v.notice, width, height))
}

func (v *screenView) show(builds []standing) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.builds, v.notice = builds, ""
}

func (v *screenView) note(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notice = text
}

func (v *screenView) close() {
	v.closed.Do(func() {
		close(v.stop)
		<-v.done
		v.screen.Close()
	})
}
