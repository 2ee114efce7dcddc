package anthropic_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/teacher/anthropic"
)

func open(t *testing.T, c anthropic.Config) *anthropic.Teacher {
	t.Helper()
	teacher, err := anthropic.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return teacher
}

func serve(t *testing.T, handler http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// message is a reply with some usage and stop reason.
func message(usage, stop string) porttest.Reply {
	return porttest.Reply{Status: 200, Body: `{"type": "message", "role": "assistant", "model": "m-1", "content": [{"type": "text", "text": "to "}, {"type": "text", "text": "p"}],
		"stop_reason": "` + stop + `", "usage": {` + usage + `}}`}
}

func problem(status int, kind, said string) porttest.Reply {
	return porttest.Reply{Status: status, Body: `{"type": "error", "error": {"type": "` + kind + `", "message": "` + said + `"}, "request_id": "req_1"}`}
}

func with(r porttest.Reply, headers ...string) porttest.Reply {
	r.Header = map[string]string{}
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = headers[i+1]
	}
	return r
}

const plain = `"input_tokens": 12, "output_tokens": 3`

func TestEverythingThatTheAPISays(t *testing.T) {
	throttled := problem(429, "rate_limit_error", "slow down")
	porttest.TeacherWire(t, porttest.Wire{
		Open: func(t *testing.T, url, key string, now time.Time) llm.Teacher {
			t.Helper()
			return open(t, anthropic.Config{BaseURL: url, APIKey: key, Now: func() time.Time { return now }})
		},
		Says: map[string]porttest.Reply{
			"success": message(plain, "end_turn"),
			"success, 8 tokens from the prompt cache": message(`"input_tokens": 4, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 0, "output_tokens": 3`, "stop_sequence"),
			"success, 599 of 600 requests left for 30 s": with(message(plain, "end_turn"), "anthropic-ratelimit-requests-limit", "600",
				"anthropic-ratelimit-requests-remaining", "599", "anthropic-ratelimit-requests-reset", "2026-01-02T03:04:35Z"),
			"cut at max_tokens":         message(plain, "max_tokens"),
			"answer refused":            message(plain, "refusal"),
			"throttled for 7 s":         with(throttled, "retry-after", "7"),
			"throttled until a date":    with(throttled, "retry-after", "Fri, 02 Jan 2026 03:05:35 GMT"),
			"overloaded":                problem(529, "overloaded_error", "Overloaded"),
			"server fault":              problem(500, "api_error", "Internal server error"),
			"bad gateway":               {Status: 502, Body: "<html>"},
			"too slow":                  problem(504, "timeout_error", "timed out"),
			"key wrong":                 problem(401, "authentication_error", "invalid x-api-key"),
			"key not allowed":           problem(403, "permission_error", "not allowed"),
			"quota spent":               problem(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
			"prompt too long":           problem(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
			"body too large":            problem(413, "request_too_large", "Request exceeds the maximum size"),
			"prompt refused":            problem(400, "invalid_request_error", "Output blocked by content filtering policy"),
			"bad request":               problem(400, "invalid_request_error", "temperature: range: -1..1"),
			"unknown model":             problem(404, "not_found_error", "model: m"),
			"the key said back":         problem(400, "invalid_request_error", "unknown key %KEY"),
			"a page":                    with(porttest.Reply{Status: 200, Body: "<html>Log in</html>"}, "Content-Type", "text/html"),
			"nothing":                   {Status: 200},
			"JSON of another kind":      {Status: 200, Body: `{"type": "error", "error": {"message": "upstream"}}`},
			"JSON that breaks off":      {Status: 200, Body: `{"type": "message", "content": [{"type": "te`},
			"an error without a reason": {Status: 422, Body: "no JSON at all"},
		},
	})
}

func TestConformance(t *testing.T) {
	porttest.Teacher(t, func(t *testing.T) llm.Teacher {
		t.Helper()
		return open(t, anthropic.Config{BaseURL: serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			text, _ := json.Marshal(fmt.Sprint("to ", string(body)))
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"type": "message", "model": "m-1", "content": [{"type": "text", "text": %s}], "stop_reason": "end_turn", "usage": {%s}}`, text, plain)
		})})
	})
}

func TestWhatAllPromptsShareStandsBeforeTheMarkOfThePromptCache(t *testing.T) {
	var got map[string]any
	var path, key, version string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path, key, version = r.Method+" "+r.URL.Path, r.Header.Get("X-Api-Key"), r.Header.Get("Anthropic-Version")
		got = nil
		_ = json.NewDecoder(r.Body).Decode(&got)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, message(plain, "end_turn").Body)
	})
	teacher := open(t, anthropic.Config{BaseURL: url + "/", APIKey: "k"})
	text := func(s string) map[string]any { return map[string]any{"type": "text", "text": s} }
	marked := text("shared ")
	marked["cache_control"] = map[string]any{"type": "ephemeral"}
	for shared, content := range map[int][]any{0: {text("shared row")}, 7: {marked, text("row")}, 10: {text("shared row")}, 99: {text("shared row")}} {
		_, err := teacher.Ask(t.Context(), llm.Request{Model: "m", System: "be brief", Prompt: "shared row", Shared: shared, MaxTokens: 9, Temperature: 0.5})
		want := map[string]any{
			"model": "m", "max_tokens": 9.0, "temperature": 0.5, "system": []any{text("be brief")},
			"messages": []any{map[string]any{"role": "user", "content": content}},
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%d bytes shared: %v (-want +got):\n%s", shared, err, diff)
		}
	}
	if path != "POST /v1/messages" || key != "k" || version == "" {
		t.Errorf("%s with key %q and version %q", path, key, version)
	}
}

func TestModelsAreThoseThatTheServerLists(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "GET /v1/models" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data": [{"id": "b", "type": "model"}, {"id": "a", "type": "model"}], "has_more": false}`)
	})
	got, err := open(t, anthropic.Config{BaseURL: url}).Models(t.Context())
	if err != nil || strings.Join(got, " ") != "b a" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	for _, address := range []string{"localhost:80", "ftp://a", "https://", "https://u:p@a", "https://a?b=c"} {
		if _, err := anthropic.New(anthropic.Config{BaseURL: address}); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%s: %v", address, err)
		}
	}
}
