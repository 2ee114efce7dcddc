package openai_test

import (
	"testing"
	"time"

	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/teacher/openai"
)

func TestEverythingThatTheAPISays(t *testing.T) {
	completion := func(more, finish, message string) porttest.Reply {
		return porttest.Reply{Status: 200, Body: `{"object": "chat.completion", "model": "m-1", "choices": [{"index": 0, "finish_reason": "` + finish +
			`", "message": {"role": "assistant", ` + message + `}}], "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15` + more + `}}`}
	}
	problem := func(status int, code, said string) porttest.Reply {
		return porttest.Reply{Status: status, Body: `{"error": {"message": "` + said + `", "type": "error", "param": null, "code": "` + code + `"}}`}
	}
	with := func(r porttest.Reply, headers map[string]string) porttest.Reply {
		r.Header = headers
		return r
	}
	const said = `"content": "to p"`
	throttled := problem(429, "rate_limit_exceeded", "slow down")
	porttest.TeacherWire(t, porttest.Wire{
		Open: func(t *testing.T, url, key string, now time.Time) llm.Teacher {
			t.Helper()
			teacher, err := openai.New(openai.Config{BaseURL: url, APIKey: key, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			return teacher
		},
		Says: map[string]porttest.Reply{
			"success": completion("", "stop", said),
			"success, 8 tokens from the prompt cache": completion(`, "prompt_tokens_details": {"cached_tokens": 8}`, "stop", said),
			"success, 599 of 600 requests left for 30 s": with(completion("", "stop", said), map[string]string{
				"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "599", "x-ratelimit-reset-requests": "30s",
			}),
			"cut at max_tokens":         completion("", "length", said),
			"answer refused":            completion("", "content_filter", said),
			"throttled for 7 s":         with(throttled, map[string]string{"retry-after": "7"}),
			"throttled until a date":    with(throttled, map[string]string{"retry-after": "Fri, 02 Jan 2026 03:05:35 GMT"}),
			"overloaded":                throttled,
			"server fault":              problem(500, "", "The server had an error"),
			"bad gateway":               {Status: 502, Body: "<html>"},
			"too slow":                  {Status: 504},
			"key wrong":                 problem(401, "invalid_api_key", "Incorrect API key provided: %KEY"),
			"key not allowed":           problem(403, "", "not allowed"),
			"quota spent":               problem(429, "insufficient_quota", "You exceeded your current quota"),
			"prompt too long":           problem(400, "context_length_exceeded", "This model's maximum context length is 4096 tokens"),
			"body too large":            {Status: 413, Body: "<html>"},
			"prompt refused":            problem(400, "content_policy_violation", "no"),
			"bad request":               problem(400, "invalid_value", "temperature must be 1"),
			"unknown model":             problem(404, "model_not_found", "no model m"),
			"the key said back":         problem(400, "", "unknown header Bearer %KEY"),
			"a page":                    with(porttest.Reply{Status: 200, Body: "<html>Log in</html>"}, map[string]string{"Content-Type": "text/html"}),
			"nothing":                   {Status: 200},
			"JSON of another kind":      {Status: 200, Body: `{"error": {"message": "upstream"}}`},
			"JSON that breaks off":      {Status: 200, Body: `{"choices": [{"message": {"content": "x`},
			"an error without a reason": {Status: 422, Body: "no JSON at all"},
		},
	})
}
