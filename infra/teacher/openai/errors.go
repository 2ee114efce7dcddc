package openai

import (
	"context"
	"errors"
	"net"
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
		said := error(&transportError{said: t.quote(err.Error())})
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			said = &transportError{said: t.quote(err.Error()), cause: llm.ErrNotBilled}
		}
		return &rebased.Error{Kind: rebased.Unavailable, Op: op, Err: said}
	}
	kind, cause := classify(api)
	if cause == nil && notBilled(api.StatusCode) {
		cause = llm.ErrNotBilled
	}
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

// notBilled tells a failure of the server itself, after which nothing is billed, from those of what stands before it (502, 504) or of the way
// (408), after which an answer may have been made.
func notBilled(status int) bool {
	return status == http.StatusInternalServerError || status == http.StatusServiceUnavailable || status == http.StatusConflict
}

// transportError is an error of the way to the server, in its own words without secrets.
type transportError struct {
	said  string
	cause error
}

func (e *transportError) Error() string { return e.said }

func (e *transportError) Unwrap() error { return e.cause }

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
	case status == http.StatusRequestEntityTooLarge, tooLong(code, said):
		return rebased.Rejected, llm.ErrTooLong
	case code == "content_policy_violation", code == "content_filter", strings.Contains(said, "content management policy"):
		return rebased.Rejected, llm.ErrRefused
	}
	return rebased.Invalid, nil
}

// tooLong knows how servers say that a prompt does not fit: OpenAI and vLLM (maximum context length), OpenAI's newer models (context window),
// llama.cpp (available context size), TGI (`inputs` tokens + `max_new_tokens`), and others.
func tooLong(code, said string) bool {
	if code == "context_length_exceeded" || code == "exceed_context_size_error" {
		return true
	}
	for _, words := range []string{
		"maximum context length", "context window", "context size", "max_new_tokens` must be <=", "inputs` must have less than", "prompt is too long",
		"input is too long",
	} {
		if strings.Contains(said, words) {
			return true
		}
	}
	return false
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
