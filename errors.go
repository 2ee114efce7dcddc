package rebased

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what an error means for the one who called, whatever vendor it came from.
type Kind string

// The kinds of error. Adapters choose one where the error happens; activities/errors.go alone translates them for Temporal.
const (
	Invalid      Kind = "invalid"      // the input is wrong; the same call fails again
	NotFound     Kind = "not_found"    // what is named does not exist
	Conflict     Kind = "conflict"     // somebody else was first; read again
	Throttled    Kind = "throttled"    // too many requests; wait for RetryAfter, or back off
	Unavailable  Kind = "unavailable"  // not reachable, timed out or failed on its own; try again
	Unauthorized Kind = "unauthorized" // the credentials are missing, wrong or not allowed to do this
	Exhausted    Kind = "exhausted"    // a quota or a budget is spent; a person must act
	Rejected     Kind = "rejected"     // understood and refused for its content; this row ends as a reject
)

// Error is an error with a kind. Op says what was being done, for instance "put corpora/hub/manifest.json".
type Error struct {
	Kind       Kind
	Op         string
	RetryAfter time.Duration // how long the other side asked to wait; 0 = it did not say
	Err        error
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Op + ": " + string(e.Kind)
	case e.Op == "":
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// E makes an error of a kind with a message in the manner of fmt.Errorf.
func E(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// KindOf finds the kind of an error through any number of wrappings; "" when it has none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// RetryAfterOf finds how long the other side asked to wait; 0 when it did not say.
func RetryAfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// maxQuote bounds what an error repeats of another's words, in bytes.
const maxQuote = 300

// Quote repeats what a server or a library said: on one line, kept short, without the key, which some servers say back.
func Quote(said, key string) string {
	if key != "" {
		said = strings.ReplaceAll(said, key, "***")
	}
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > maxQuote {
		said = strings.ToValidUTF8(said[:maxQuote], "") + "…"
	}
	return said
}
