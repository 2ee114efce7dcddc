package bedrock_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/teacher/bedrock"
)

const session = "session-token-of-a-role"

// account signs with some secret access key.
func account(secret string) bedrock.Account {
	return bedrock.Account{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret, SessionToken: session}, nil
	})}
}

func open(t *testing.T, c bedrock.Config) *bedrock.Teacher {
	t.Helper()
	teacher, err := bedrock.New(c)
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
	return porttest.Reply{Status: 200, Body: `{"metrics": {"latencyMs": 551}, "output": {"message": {"role": "assistant",
		"content": [{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "to "}, {"text": "p"}]}},
		"stopReason": "` + stop + `", "usage": {` + usage + `}}`}
}

// exception is a refusal in the form of AWS's JSON protocols.
func exception(status int, name, said string) porttest.Reply {
	return porttest.Reply{
		Status: status, Body: `{"message": "` + said + `"}`,
		Header: map[string]string{"X-Amzn-Errortype": name + ":http://internal.amazon.com/coral/com.amazon.bedrock/"},
	}
}

func with(r porttest.Reply, name, value string) porttest.Reply {
	r.Header = map[string]string{"X-Amzn-Errortype": r.Header["X-Amzn-Errortype"], name: value}
	return r
}

const plain = `"inputTokens": 12, "outputTokens": 3, "totalTokens": 15`

// says is what Bedrock says in each case but what it has no words for: its replies carry no limits of rate. Retry-After is HTTP's.
func says() map[string]porttest.Reply {
	throttled := exception(429, "ThrottlingException", "Too many tokens, please wait before trying again.")
	return map[string]porttest.Reply{
		"success": message(plain, "end_turn"),
		"success, 8 tokens from the prompt cache": message(`"inputTokens": 4, "outputTokens": 3, "totalTokens": 15, "cacheReadInputTokens": 8, "cacheWriteInputTokens": 0`,
			"stop_sequence"),
		"cut at max_tokens":      message(plain, "max_tokens"),
		"answer refused":         message(plain, "guardrail_intervened"),
		"throttled for 7 s":      with(throttled, "Retry-After", "7"),
		"throttled until a date": with(throttled, "Retry-After", "Fri, 02 Jan 2026 03:05:35 GMT"),
		"overloaded":             exception(429, "ModelNotReadyException", "Model is not ready for inference. Try again."),
		"server fault":           exception(500, "InternalServerException", "The system encountered an unexpected error during processing. Try your request again."),
		"bad gateway":            {Status: 502, Body: "<html>"},
		"too slow":               exception(408, "ModelTimeoutException", "Model has timed out in processing the request. Try your request again."),
		"key wrong":              exception(403, "UnrecognizedClientException", "The security token included in the request is invalid."),
		"key not allowed":        exception(403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
		"quota spent":            exception(400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account."),
		"prompt too long":        exception(400, "ValidationException", "Input is too long for requested model."),
		"body too large":         exception(413, "RequestEntityTooLargeException", "Request body too large"),
		"prompt refused":         exception(400, "ValidationException", "The model returned the following errors: Output blocked by content filtering policy"),
		"bad request": exception(400, "ValidationException",
			"The model returned the following errors: temperature: range: 0..1"),
		"unknown model":             exception(404, "ResourceNotFoundException", "Could not resolve the foundation model from the provided model identifier."),
		"the key said back":         exception(400, "ValidationException", "unknown key %KEY"),
		"a page":                    {Status: 200, Body: "<html>Log in</html>"},
		"nothing":                   {Status: 200},
		"JSON of another kind":      {Status: 200, Body: `{"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}`},
		"JSON that breaks off":      {Status: 200, Body: `{"output": {"message": {"role": "assistant", "content": [{"te`},
		"an error without a reason": {Status: 422, Body: "no JSON at all"},
	}
}

func wire() porttest.Wire {
	return porttest.Wire{
		Open: func(t *testing.T, url, key string, now time.Time) llm.Teacher {
			t.Helper()
			return open(t, bedrock.Config{BaseURL: url, Account: account(key), Now: func() time.Time { return now }})
		},
		Says: says(), Unsaid: []string{"success, 599 of 600 requests left for 30 s"}, NoModel: true, KeySetting: "AWS_SECRET_ACCESS_KEY",
	}
}

func TestEverythingThatTheAPISays(t *testing.T) { porttest.TeacherWire(t, wire()) }

func TestEverythingThatTheAPISaysToAnAPIKey(t *testing.T) {
	w := wire()
	w.KeySetting = "AWS_BEARER_TOKEN_BEDROCK"
	w.Open = func(t *testing.T, url, key string, now time.Time) llm.Teacher {
		t.Helper()
		return open(t, bedrock.Config{BaseURL: url, APIKey: key, Now: func() time.Time { return now }})
	}
	porttest.TeacherWire(t, w)
}

func TestConformance(t *testing.T) {
	porttest.Teacher(t, func(t *testing.T) llm.Teacher {
		t.Helper()
		return open(t, bedrock.Config{Account: account("s"), BaseURL: serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			text, _ := json.Marshal("to " + string(body))
			fmt.Fprintf(w, `{"output": {"message": {"role": "assistant", "content": [{"text": %s}]}}, "stopReason": "end_turn", "usage": {%s}}`, text, plain)
		})})
	})
}

func TestWhatAllPromptsShareStandsBeforeTheMarkOfThePromptCache(t *testing.T) {
	var got map[string]any
	var path string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path, got = r.Method+" "+r.RequestURI, nil
		_ = json.NewDecoder(r.Body).Decode(&got)
		_, _ = io.WriteString(w, message(plain, "end_turn").Body)
	})
	teacher := open(t, bedrock.Config{BaseURL: url + "/", Account: account("s")})
	const claude = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
	text := func(s string) map[string]any { return map[string]any{"text": s} }
	marked := []any{text("shared "), map[string]any{"cachePoint": map[string]any{"type": "default"}}, text("row")}
	for _, c := range []struct {
		model  string
		shared int
		want   []any
	}{
		{claude, 0, []any{text("shared row")}},
		{claude, 7, marked},
		{claude, 10, []any{text("shared row")}},
		{claude, 99, []any{text("shared row")}},
		{"amazon.nova-lite-v1:0", 7, marked},
		{"meta.llama3-8b-instruct-v1:0", 7, []any{text("shared row")}},
	} {
		_, err := teacher.Ask(t.Context(), llm.Request{
			Model: c.model, System: "be brief", Prompt: "shared row", Shared: c.shared, MaxTokens: 9, Temperature: 0.5,
		})
		want := map[string]any{
			"messages": []any{map[string]any{"role": "user", "content": c.want}}, "system": []any{text("be brief")},
			"inferenceConfig": map[string]any{"maxTokens": 9.0, "temperature": 0.5},
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s, %d bytes shared: %v (-want +got):\n%s", c.model, c.shared, err, diff)
		}
	}
	if path != "POST /model/meta.llama3-8b-instruct-v1%3A0/converse" {
		t.Error(path)
	}
}

func TestAModelThatRefusesTheMarkIsAskedWithoutItFromThenOn(t *testing.T) {
	for _, refusal := range []porttest.Reply{
		exception(403, "AccessDeniedException", "You invoked an unsupported model or your request did not allow prompt caching."),
		exception(400, "ValidationException", "Malformed input request: #/messages/0/content/1: extraneous key [cachePoint] is not permitted"),
	} {
		var sent []bool
		teacher := open(t, bedrock.Config{Account: account("s"), BaseURL: serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			marked := strings.Contains(string(body), "cachePoint")
			sent = append(sent, marked)
			if marked {
				w.Header().Set("X-Amzn-Errortype", refusal.Header["X-Amzn-Errortype"])
				w.WriteHeader(refusal.Status)
				_, _ = io.WriteString(w, refusal.Body)
				return
			}
			_, _ = io.WriteString(w, message(plain, "end_turn").Body)
		})})
		for range 2 {
			if _, err := teacher.Ask(t.Context(), llm.Request{Model: "anthropic.claude-v2", Prompt: "shared row", Shared: 7}); err != nil {
				t.Error(err)
			}
		}
		if fmt.Sprint(sent) != "[true false false]" {
			t.Errorf("requests with the mark: %v", sent)
		}
	}
}
