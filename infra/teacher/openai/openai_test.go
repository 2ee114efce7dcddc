package openai_test

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
	"github.com/rebased/rebased/infra/teacher/openai"
)

const secret = "sk-secret-0123456789"

var now = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func serve(t *testing.T, handler http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func open(t *testing.T, c openai.Config) *openai.Teacher {
	t.Helper()
	c.Now = func() time.Time { return now }
	teacher, err := openai.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return teacher
}

// ask asks a server for one answer.
func ask(t *testing.T, url string) (llm.Answer, error) {
	t.Helper()
	return open(t, openai.Config{BaseURL: url, APIKey: secret}).Ask(t.Context(), llm.Request{Model: "m", System: "s", Prompt: "p", MaxTokens: 9})
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// echo answers with the prompt.
func echo(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	text, _ := json.Marshal("to " + in.Messages[1].Content)
	reply(w, 200, fmt.Sprintf(`{"model": "m-0613", "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": %s}}],
		"usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}}`, text))
}

func TestConformance(t *testing.T) {
	porttest.Teacher(t, func(t *testing.T) llm.Teacher { return open(t, openai.Config{BaseURL: serve(t, echo)}) })
}

func TestARequestSaysAllThatChangesTheAnswerAndNothingElse(t *testing.T) {
	var got map[string]any
	var path, authorization string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path, authorization = r.Method+" "+r.URL.Path, r.Header.Get("Authorization")
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		reply(w, 200, `{"choices": [{"message": {"content": "x"}}]}`)
	})
	teacher := open(t, openai.Config{BaseURL: url + "/v1/", APIKey: secret})
	_, err := teacher.Ask(t.Context(), llm.Request{Model: "m", System: "be <brief>", Prompt: "2 & 2?", Temperature: 0, MaxTokens: 9, Sample: 2, Ask: 1})
	want := map[string]any{
		"model": "m", "temperature": 0.0, "max_tokens": 9.0,
		"messages": []any{map[string]any{"role": "system", "content": "be <brief>"}, map[string]any{"role": "user", "content": "2 & 2?"}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if path != "POST /v1/chat/completions" || authorization != "Bearer "+secret {
		t.Errorf("%s with the authorization %q", path, authorization)
	}
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOpenAIItselfIsAskedInItsOwnWords(t *testing.T) {
	var body string
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent, _ := io.ReadAll(r.Body)
		body = r.URL.String() + " " + string(sent)
		w := httptest.NewRecorder()
		reply(w, 200, `{"choices": [{"message": {"content": "x"}}]}`)
		return w.Result(), nil
	})}
	teacher := open(t, openai.Config{HTTP: client})
	if _, err := teacher.Ask(t.Context(), llm.Request{Model: "m", MaxTokens: 9}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(body, "https://api.openai.com/v1/chat/completions ") || !strings.Contains(body, `"max_completion_tokens":9`) || strings.Contains(body, `"max_tokens"`) {
		t.Errorf("sent %s", body)
	}
}

func TestAnAnswerSaysTextModelTokensAndTime(t *testing.T) {
	got, err := ask(t, serve(t, echo))
	want := llm.Answer{
		Text: "to p", Model: "m-0613", Finish: llm.FinishStop, Usage: rebased.Usage{InputTokens: 12, OutputTokens: 3}, At: now.UnixMilli(),
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestAnAnswerSaysWhatThePromptCacheServedAndHowMuchTheProviderTakes(t *testing.T) {
	headers := map[string]string{}
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		reply(w, 200, `{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}}`)
	})
	for _, c := range []struct {
		limit, remaining, reset string
		want                    llm.Window
	}{
		{"600", "599", "100ms", llm.Window{Limit: 600, Remaining: 599, Reset: 100 * time.Millisecond}},
		{"600", "0", "6m0s", llm.Window{Limit: 600, Reset: 6 * time.Minute}},
		{"600", "1", "1.5", llm.Window{Limit: 600, Remaining: 1, Reset: 1500 * time.Millisecond}},
		{"600", "", "1s", llm.Window{}},
		{"", "5", "1s", llm.Window{}},
		{"many", "5", "soon", llm.Window{}},
	} {
		for _, of := range []string{"requests", "tokens"} {
			headers["x-ratelimit-limit-"+of], headers["x-ratelimit-remaining-"+of], headers["x-ratelimit-reset-"+of] = c.limit, c.remaining, c.reset
		}
		got, err := ask(t, url)
		if want := (llm.RateLimit{Requests: c.want, Tokens: c.want}); err != nil || got.Rate != want || got.Cached != (llm.Cached{Read: 8}) {
			t.Errorf("%+v: got %+v, %v", c, got, err)
		}
	}
}

func TestAnAnswerSaysWhyItEnded(t *testing.T) {
	for choice, want := range map[string]llm.Finish{
		`"finish_reason": "stop", "message": {"content": "x"}`:                            llm.FinishStop,
		`"finish_reason": "eos_token", "message": {"content": "x"}`:                       llm.FinishStop,
		`"finish_reason": null, "message": {"content": null}`:                             llm.FinishStop,
		`"finish_reason": "length", "message": {"content": "x"}`:                          llm.FinishLength,
		`"finish_reason": "content_filter", "message": {"content": ""}`:                   llm.FinishRefused,
		`"finish_reason": "stop", "message": {"content": null, "refusal": "I will not."}`: llm.FinishRefused,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"choices": [{`+choice+`}]}`) })
		if got, err := ask(t, url); err != nil || got.Finish != want {
			t.Errorf("%s: got %q, %v; want %q", choice, got.Finish, err, want)
		}
	}
}

func TestModelsAreThoseThatTheServerLists(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "GET /v1/models" || r.Header.Get("Authorization") != "Bearer "+secret {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		reply(w, 200, `{"object": "list", "data": [{"id": "b", "object": "model"}, {"id": "a", "object": "model"}]}`)
	})
	got, err := open(t, openai.Config{BaseURL: url + "/v1", APIKey: secret}).Models(t.Context())
	if diff := cmp.Diff([]string{"b", "a"}, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestATeacherWithoutAKeySendsNoneWhateverTheEnvironmentHolds(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", secret)
	t.Setenv("OPENAI_BASE_URL", "http://127.0.0.1:1")
	var sent http.Header
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header
		reply(w, 200, `{"choices": [{"message": {"content": "x"}}]}`)
	})
	if _, err := open(t, openai.Config{BaseURL: url}).Ask(t.Context(), llm.Request{Model: "m"}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprint(sent), secret) || sent.Get("Authorization") != "" {
		t.Errorf("sent %v", sent)
	}
}

func TestTheEndpointIsTheAddressWithoutASlashAtItsEnd(t *testing.T) {
	for address, want := range map[string]string{
		"": "https://api.openai.com/v1", "http://127.0.0.1:8000/v1/": "http://127.0.0.1:8000/v1", "https://host": "https://host",
	} {
		if got := open(t, openai.Config{BaseURL: address}).Endpoint(); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}

func TestAnAddressThatCannotBeUsedIsRefusedAndNotRepeated(t *testing.T) {
	for _, address := range []string{
		"localhost:8000", "ftp://host/v1", "http://", "/v1", "http://[::1", "https://user:" + secret + "@host/v1", "https://host/v1?key=" + secret,
		"https://host/v1#" + secret,
	} {
		_, err := openai.New(openai.Config{BaseURL: address})
		if rebased.KindOf(err) != rebased.Invalid || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: got %v", address, err)
		}
	}
}
