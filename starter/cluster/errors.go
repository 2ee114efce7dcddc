package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// unreachable is the error of a Temporal that does not answer.
func (c *Cluster) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if _, denied := errors.AsType[*serviceerror.PermissionDenied](err); denied {
		return c.translate("connect", err)
	}
	cause := oneLine(err.Error())
	if _, dialing, ok := strings.Cut(cause, "Error while dialing: "); ok { // what stands before it are names of layers
		cause = strings.TrimSuffix(dialing, `"`)
	}
	if strings.Contains(cause, context.DeadlineExceeded.Error()) {
		cause = "no answer within " + dialWait.String()
	}
	return rebased.E(rebased.Unavailable, "cannot reach Temporal at %s (%s): start it, or set TEMPORAL_ADDRESS", c.address, cause)
}

// translate gives an error of Temporal its kind and makes it one line; op says what was being done.
func (c *Cluster) translate(op string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if unread(err) {
		return fmt.Errorf("%s: %w", op, err)
	}
	if _, missing := errors.AsType[*serviceerror.NamespaceNotFound](err); missing {
		return rebased.E(rebased.NotFound, "%s: Temporal at %s has no namespace %q: create it, or set TEMPORAL_NAMESPACE", op, c.address, c.namespace)
	}
	text := oneLine(err.Error())
	if strings.Contains(text, "no mapping defined for search attribute") {
		return rebased.E(rebased.Invalid, "%s: %s: add RebasedTask and RebasedState to the namespace as search attributes of type Keyword", op, text)
	}
	return &rebased.Error{Kind: kindOf(err), Op: op, Err: errors.New(text)}
}

func kindOf(err error) rebased.Kind {
	var (
		notFound  *serviceerror.NotFound
		argument  *serviceerror.InvalidArgument
		exists    *serviceerror.AlreadyExists
		started   *serviceerror.WorkflowExecutionAlreadyStarted
		denied    *serviceerror.PermissionDenied
		exhausted *serviceerror.ResourceExhausted
	)
	switch {
	case errors.As(err, &notFound):
		return rebased.NotFound
	case errors.As(err, &argument):
		return rebased.Invalid
	case errors.As(err, &exists), errors.As(err, &started):
		return rebased.Conflict
	case errors.Is(err, temporal.ErrScheduleAlreadyRunning):
		return rebased.Conflict
	case errors.As(err, &denied):
		return rebased.Unauthorized
	case errors.As(err, &exhausted):
		return rebased.Throttled
	}
	return rebased.Unavailable
}

// Failure is how a workflow ended when it did not end well.
type Failure struct { //nolint:errname // it is an end first, and an error to who wanted another
	State   rebased.State // failed or canceled
	Refused bool          // before anything was spent
	Message string        // one line
}

// Error implements error.
func (f *Failure) Error() string { return f.Message }

// ended reads what waiting for the end of a workflow gave: how the workflow ended, as a *Failure, or what kept us from knowing.
func (c *Cluster) ended(id string, err error) error {
	var (
		application *temporal.ApplicationError
		canceled    *temporal.CanceledError
		terminated  *temporal.TerminatedError
		timeout     *temporal.TimeoutError
		execution   *temporal.WorkflowExecutionError
	)
	switch {
	case !errors.As(err, &execution):
		return c.translate("follow "+id, err)
	case errors.As(err, &application) && application.Type() == activities.Refused:
		return &Failure{State: rebased.StateFailed, Refused: true, Message: oneLine(application.Message())}
	case errors.As(err, &application):
		return &Failure{State: rebased.StateFailed, Message: oneLine(application.Message())}
	case errors.As(err, &canceled):
		return &Failure{State: rebased.StateCanceled, Message: "canceled"}
	case errors.As(err, &terminated):
		return &Failure{State: rebased.StateFailed, Message: "terminated from outside: Temporal's history of " + id + " says why"}
	case errors.As(err, &timeout):
		return &Failure{State: rebased.StateFailed, Message: "ran longer than Temporal allowed it to"}
	}
	return &Failure{State: rebased.StateFailed, Message: oneLine(execution.Unwrap().Error())}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
