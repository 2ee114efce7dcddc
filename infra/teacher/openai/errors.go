package openai

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// kindOf turns what the SDK or the server said into an error kind.
func (t *Teacher) kindOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	op := "ask the teacher at " + t.endpoint
	var api *sdk.Error
	if !errors.As(err, &api) {
		return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: errors.New(t.quote(err.Error()))}
	}
	kind, cause := classify(api)
	if kind == rebased.Unauthorized {
		return rebased.E(kind, "the teacher at %s refused the key (HTTP %d): %s", t.endpoint, api.StatusCode, t.keyAdvice())
	}
	return &rebased.Error{
		Kind: kind, Op: op, RetryAfter: retryAfter(api.Response, t.now()),
		Err: &statusError{status: api.StatusCode, said: t.quote(api.Message), cause: cause},
	}
}

// maxQuote bounds what an error repeats of another's words, in bytes.
const maxQuote = 300

// quote repeats what a server or a library said: on one line, kept short, without the key, which some servers say back.
func (t *Teacher) quote(said string) string {
	if t.key != "" {
		said = strings.ReplaceAll(said, t.key, "***")
	}
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > maxQuote {
		said = strings.ToValidUTF8(said[:maxQuote], "") + "…"
	}
	return said
}

func (t *Teacher) keyAdvice() string {
	if t.key == "" {
		return "set OPENAI_API_KEY where the worker runs (it goes to OPENAI_BASE_URL and the origins in REBASED_TEACHER_ORIGINS)"
	}
	return "check OPENAI_API_KEY where the worker runs"
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

func classify(e *sdk.Error) (rebased.Kind, error) {
	code, said := e.Code, strings.ToLower(e.Message)
	switch status := e.StatusCode; {
	case code == "insufficient_quota" || status == http.StatusPaymentRequired:
		return rebased.Exhausted, nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && e.Response.Header.Get("Retry-After") != "":
		return rebased.Throttled, nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return rebased.Unauthorized, nil
	case status == http.StatusNotFound:
		return rebased.NotFound, nil
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status >= 500:
		return rebased.Unavailable, nil
	case code == "context_length_exceeded", strings.Contains(said, "maximum context length"), strings.Contains(said, "context window"):
		return rebased.Rejected, llm.ErrTooLong
	case code == "content_policy_violation", code == "content_filter":
		return rebased.Rejected, llm.ErrRefused
	}
	return rebased.Invalid, nil
}

// maxRetryAfter bounds a wait that a server asks for: after a day it is asked again in any case.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads how long the server asks to wait: milliseconds (retry-after-ms), seconds or an HTTP date.
func retryAfter(r *http.Response, now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	if ms, err := strconv.ParseFloat(r.Header.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return atMostADay(ms * float64(time.Millisecond))
	}
	value := r.Header.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		return atMostADay(seconds * float64(time.Second))
	}
	if date, err := http.ParseTime(value); err == nil && date.After(now) {
		return atMostADay(float64(date.Sub(now)))
	}
	return 0
}

func atMostADay(nanoseconds float64) time.Duration {
	return time.Duration(min(nanoseconds, float64(maxRetryAfter)))
}
