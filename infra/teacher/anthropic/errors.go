package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	sdk "github.com/anthropics/anthropic-sdk-go"

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
	said := messageOf(api.RawJSON())
	kind, cause := classify(api.StatusCode, api.Response.Header, said)
	if kind == rebased.Unauthorized {
		return rebased.E(kind, "the teacher at %s refused the key (HTTP %d): %s", t.endpoint, api.StatusCode, t.keyAdvice())
	}
	return client.Refusal{Op: op, Kind: kind, Cause: cause, Said: rebased.Quote(said, t.key), Response: api.Response, Now: t.now()}.Error()
}

func (t *Teacher) keyAdvice() string {
	if t.key == "" {
		return "set ANTHROPIC_API_KEY where the worker runs (it goes to ANTHROPIC_BASE_URL and the origins in REBASED_TEACHER_ORIGINS)"
	}
	return "check ANTHROPIC_API_KEY where the worker runs"
}

// messageOf reads {"type": "error", "error": {"type", "message"}}.
func messageOf(body string) string {
	var in struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(body), &in) != nil || in.Error.Message == "" {
		return ""
	}
	return in.Error.Message
}

func classify(status int, header http.Header, message string) (rebased.Kind, error) {
	said := strings.ToLower(message)
	switch {
	case status == http.StatusPaymentRequired, strings.Contains(said, "credit balance is too low"):
		return rebased.Exhausted, nil
	case status == http.StatusTooManyRequests, status == client.StatusOverloaded, status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
		return rebased.Throttled, nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return rebased.Unauthorized, nil
	case status == http.StatusNotFound:
		return rebased.NotFound, nil
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status >= http.StatusInternalServerError:
		return rebased.Unavailable, nil
	case status == http.StatusRequestEntityTooLarge, strings.Contains(said, "prompt is too long"), strings.Contains(said, "exceed context limit"):
		return rebased.Rejected, llm.ErrTooLong
	case strings.Contains(said, "content filtering policy"):
		return rebased.Rejected, llm.ErrRefused
	}
	return rebased.Invalid, nil
}
