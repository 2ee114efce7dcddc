package app

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
)

// Exit statuses.
const (
	exitDone     = 0
	exitFailed   = 1
	exitRefused  = 2 // before anything was spent: wrong use, a bad task file, nothing to connect to
	exitWaits    = 3 // the build waits for a person
	exitCanceled = 4 // the build was canceled, or the waiting for it by Ctrl-C
)

// ended is the error of a command that has said all there is to say: only the status is left.
type ended struct{ status int }

// Error implements error.
func (e *ended) Error() string { return "ended" }

// failed marks an error as one that came after something was started or written.
type failed struct{ error }

// Unwrap gives the cause.
func (f failed) Unwrap() error { return f.error }

// misuse is the error of a command line that says no sense; it points at the help.
func misuse(cmd *cobra.Command, err error) error {
	return rebased.E(rebased.Invalid, "%w: see %s --help", err, cmd.CommandPath())
}

// finish says an error in one line and gives the exit status.
func (a *app) finish(ctx context.Context, err error) int {
	var done *ended
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &done):
		return done.status
	case ctx.Err() != nil && !isFailed(err):
		a.console.Notef("rebased: interrupted")
		return exitCanceled
	}
	a.console.Notef("rebased: %v", err)
	return statusOf(err)
}

func isFailed(err error) bool {
	var after failed
	var doubt *cluster.Doubt
	return errors.As(err, &after) || errors.As(err, &doubt)
}

// statusOf tells errors that came before anything was spent, which have a kind, from those that came after.
func statusOf(err error) int {
	var workflow *cluster.Failure
	switch {
	case errors.As(err, &workflow) && workflow.Refused:
		return exitRefused
	case errors.As(err, &workflow) && workflow.State == rebased.StateCanceled:
		return exitCanceled
	case !isFailed(err) && rebased.KindOf(err) != "":
		return exitRefused
	}
	return exitFailed
}

// statusOfState is the exit status of a command that followed a build to a state.
func statusOfState(s rebased.State) int {
	switch {
	case s == rebased.StateReleased, s == rebased.StateUnchanged, s == rebased.StateSuperseded, s == rebased.StateSkipped:
		return exitDone
	case s.Waits():
		return exitWaits
	case s == rebased.StateCanceled:
		return exitCanceled
	}
	return exitFailed
}
