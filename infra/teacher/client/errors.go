package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// Refusal is an answer of a server that is no answer to the question.
type Refusal struct {
	Op       string // what was being done
	Kind     rebased.Kind
	Cause    error // llm.ErrTooLong, llm.ErrRefused, or nil
	Said     string
	Response *http.Response
	Now      time.Time
}

// Error makes an error of a refusal. A failure of the server itself is marked as not billed.
func (r Refusal) Error() error {
	cause := r.Cause
	if cause == nil && r.Kind == rebased.Unavailable && notBilled(r.Response.StatusCode) {
		cause = llm.ErrNotBilled
	}
	return &rebased.Error{
		Kind: r.Kind, Op: r.Op, RetryAfter: retryAfter(r.Response.Header, r.Now), Err: &statusError{status: r.Response.StatusCode, said: r.Said, cause: cause},
	}
}

// StatusOverloaded is what Anthropic answers when it has too much to do.
const StatusOverloaded = 529

// notBilled tells a failure of the server itself, after which nothing is billed, from those of what stands before it (502, 504) or of the way
// (408), after which an answer may have been made.
func notBilled(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusConflict, StatusOverloaded:
		return true
	}
	return false
}

type statusError struct {
	status int
	said   string
	cause  error
}

func (e *statusError) Error() string {
	text := "HTTP " + strconv.Itoa(e.status)
	if e.said != "" {
		text += ": " + e.said
	}
	return text
}

func (e *statusError) Unwrap() error { return e.cause }

// HTTPStatus is what the server answered, for metrics.
func (e *statusError) HTTPStatus() int { return e.status }

// Broken makes an error of a request that got no whole answer. One that never reached the server is marked as not billed; when ctx has ended, the
// error is its own.
func Broken(ctx context.Context, op string, err error, key string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said := &transportError{said: rebased.Quote(err.Error(), key)}
	if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
		said.cause = llm.ErrNotBilled
	}
	return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: said}
}

// transportError is an error of the way to the server, in its own words without secrets.
type transportError struct {
	said  string
	cause error
}

func (e *transportError) Error() string { return e.said }

func (e *transportError) Unwrap() error { return e.cause }

// maxRetryAfter bounds a wait that a server asks for: after a day it is asked again in any case.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads how long the server asks to wait: milliseconds (retry-after-ms), seconds or an HTTP date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return AtMostADay(ms * float64(time.Millisecond))
	}
	return rebased.ParseRetryAfter(h.Get("Retry-After"), now, maxRetryAfter)
}

// AtMostADay is a wait that a server asks for, in nanoseconds, within bounds.
func AtMostADay(nanoseconds float64) time.Duration {
	return time.Duration(min(nanoseconds, float64(maxRetryAfter)))
}
