package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// refused marks an error as one that came before anything was spent. Cancellation stays what it is.
func refused(err error) error {
	if err == nil || temporal.IsCanceledError(err) {
		return err
	}
	return temporal.NewNonRetryableApplicationError(messageOf(err), activities.Refused, nil)
}

// plain takes Temporal's wrapping off an activity's error, so that the message is the one line that the step wrote, and its type the kind.
func plain(err error) error {
	if err == nil || temporal.IsCanceledError(err) {
		return err
	}
	return temporal.NewNonRetryableApplicationError(messageOf(err), string(kindOf(err)), nil)
}

func messageOf(err error) string {
	var application *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &application):
		return application.Message()
	case errors.As(err, &timeout):
		return "the step did not answer in time: look at the worker's log"
	}
	return err.Error()
}

// kindOf reads the kind that activities/errors.go put into the type.
func kindOf(err error) rebased.Kind {
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return rebased.Kind(application.Type())
	}
	return ""
}
