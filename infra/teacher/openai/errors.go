package openai

import (
	"context"
	"errors"
	"net/http"
	"strings"

	sdk "github.com/openai/openai-go/v3"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// kindOf turns what the SDK or the server said into an error kind.
func (t *Teacher) kindOf(ctx context.Context, err error) error {
	op := "ask the teacher at " + t.endpoint
	var api *sdk.Error
	if ctx.Err() != nil || !errors.As(err, &api) {
		return client.Broken(ctx, op, err, t.key)
	}
	kind, cause := classify(api)
	if kind == rebased.Unauthorized {
		return rebased.E(kind, "the teacher at %s refused the key (HTTP %d): %s", t.endpoint, api.StatusCode, t.keyAdvice())
	}
	return client.Refusal{Op: op, Kind: kind, Cause: cause, Said: rebased.Quote(api.Message, t.key), Response: api.Response, Now: t.now()}.Error()
}

func (t *Teacher) keyAdvice() string {
	if t.key == "" {
		return "set OPENAI_API_KEY where the worker runs (it goes to OPENAI_BASE_URL and the origins in REBASED_TEACHER_ORIGINS)"
	}
	return "check OPENAI_API_KEY where the worker runs"
}

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
