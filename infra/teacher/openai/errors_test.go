package openai_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/openai"
)

// wantError checks the kind of an error, and what holds for all of them: one short line that does not show the key, on any level.
func wantError(t *testing.T, err error, kind rebased.Kind, says string) {
	t.Helper()
	if err == nil || rebased.KindOf(err) != kind {
		t.Errorf("error %v has kind %q, want %q", err, rebased.KindOf(err), kind)
		return
	}
	text := err.Error()
	if !strings.Contains(text, says) || strings.Contains(text, "\n") || len(text) > 500 {
		t.Errorf("the error should be one short line that says %q: %q", says, text)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if shown := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(shown, secret) || strings.Contains(shown, "sk-sec") {
			t.Errorf("the key stands in the error %s", shown)
		}
	}
}

func TestEveryErrorOfAServerHasItsKind(t *testing.T) {
	spent := `{"error": {"message": "You exceeded your quota.", "type": "insufficient_quota", "code": "insufficient_quota"}}`
	said := func(words string) string { return `{"error": {"message": "` + words + `", "code": null}}` }
	coded := func(code string) string { return `{"error": {"message": "no", "code": "` + code + `"}}` }
	for _, c := range []struct {
		name       string
		status     int
		retryAfter string
		body       string
		kind       rebased.Kind
		cause      error
		wait       time.Duration
		says       string
	}{
		{"throttled", 429, "7", said("slow down"), rebased.Throttled, nil, 7 * time.Second, "HTTP 429: slow down"},
		{"throttled without a time", 429, "", "{}", rebased.Throttled, nil, 0, "HTTP 429"},
		{"quota spent", 429, "7", spent, rebased.Exhausted, nil, 7 * time.Second, "exceeded your quota"},
		{"nothing paid", 402, "", said("top up"), rebased.Exhausted, nil, 0, "top up"},
		{"key refused", 401, "", said("no"), rebased.Unauthorized, nil, 0, "check OPENAI_API_KEY"},
		{"key not allowed", 403, "", "<html>", rebased.Unauthorized, nil, 0, "HTTP 403"},
		{"unknown model", 404, "", said("no model m"), rebased.NotFound, nil, 0, "no model m"},
		{"too slow", 408, "", "{}", rebased.Unavailable, nil, 0, "HTTP 408"},
		{"conflict", 409, "", "{}", rebased.Unavailable, nil, 0, "HTTP 409"},
		{"server fault", 500, "", "oops", rebased.Unavailable, nil, 0, "HTTP 500"},
		{"bad gateway", 502, "", "<html>", rebased.Unavailable, nil, 0, "HTTP 502"},
		{"overloaded", 503, "", "{}", rebased.Unavailable, nil, 0, "HTTP 503"},
		{"overloaded for a time", 503, "3", "{}", rebased.Throttled, nil, 3 * time.Second, "HTTP 503"},
		{"prompt too long", 400, "", coded("context_length_exceeded"), rebased.Rejected, llm.ErrTooLong, 0, "HTTP 400"},
		{"prompt too long in words", 400, "", said("This model's Maximum Context Length is 4096"), rebased.Rejected, llm.ErrTooLong, 0, "4096"},
		{"prompt too long in other words", 400, "", said("exceeds the context window"), rebased.Rejected, llm.ErrTooLong, 0, "window"},
		{"prompt too long for llama.cpp", 400, "", said("the request exceeds the available context size, try increasing it"), rebased.Rejected, llm.ErrTooLong, 0, "size"},
		{"prompt too long for TGI", 422, "", said("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"), rebased.Rejected, llm.ErrTooLong, 0, "4096"},
		{"body too long", 413, "", "<html>", rebased.Rejected, llm.ErrTooLong, 0, "HTTP 413"},
		{"prompt refused by Azure", 400, "", said("triggering Azure OpenAI's content management policy"), rebased.Rejected, llm.ErrRefused, 0, "policy"},
		{"prompt refused", 400, "", coded("content_filter"), rebased.Rejected, llm.ErrRefused, 0, "HTTP 400"},
		{"prompt against the policy", 400, "", coded("content_policy_violation"), rebased.Rejected, llm.ErrRefused, 0, "HTTP 400"},
		{"bad request", 400, "", said("temperature\\n  must be 1"), rebased.Invalid, nil, 0, "HTTP 400: temperature must be 1"},
		{"code that is a number", 400, "", `{"error": {"message": "no", "code": 400}}`, rebased.Invalid, nil, 0, "HTTP 400: no"},
		{"not understood", 422, "", "no JSON at all", rebased.Invalid, nil, 0, "HTTP 422"},
		{"long words", 400, "", said(strings.Repeat("é", 1000)), rebased.Invalid, nil, 0, "éé…"},
		{"key said back", 400, "", said("unknown header Bearer " + secret + "!"), rebased.Invalid, nil, 0, "Bearer ***!"},
		{"key said back at the cut", 500, "", said(strings.Repeat("x", 290) + secret), rebased.Unavailable, nil, 0, "xx***"},
		{"key said back on 401", 401, "", said("Incorrect API key: " + secret), rebased.Unauthorized, nil, 0, "check OPENAI_API_KEY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				w.Header().Set("Retry-After", c.retryAfter)
				reply(w, c.status, c.body)
			})
			_, err := ask(t, url)
			wantError(t, err, c.kind, c.says)
			if c.cause != nil && !errors.Is(err, c.cause) || c.cause == nil && (errors.Is(err, llm.ErrTooLong) || errors.Is(err, llm.ErrRefused)) {
				t.Errorf("error %v has not the cause %v", err, c.cause)
			}
			if wait := rebased.RetryAfterOf(err); wait != c.wait {
				t.Errorf("asked to wait %s, want %s", wait, c.wait)
			}
			if unbilled := c.status == 500 || c.status == 503 || c.status == 409; c.kind == rebased.Unavailable && errors.Is(err, llm.ErrNotBilled) != unbilled {
				t.Errorf("error %v: not billed is %v, want %v", err, !unbilled, unbilled)
			}
			if requests != 1 {
				t.Errorf("%d requests, want 1: retries are the caller's", requests)
			}
			_, err = open(t, openai.Config{BaseURL: url, APIKey: secret}).Models(t.Context())
			wantError(t, err, c.kind, c.says)
		})
	}
}

func TestAWaitIsReadInEveryForm(t *testing.T) {
	in := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		ms, retryAfter string
		want           time.Duration
	}{
		{"", "", 0},
		{"", "7", 7 * time.Second},
		{"", "0.5", 500 * time.Millisecond},
		{"1500", "", 1500 * time.Millisecond},
		{"20", "1", 20 * time.Millisecond},
		{"soon", "1", time.Second},
		{"0", "1", time.Second},
		{"", in(90 * time.Second), 90*time.Second - 678*time.Millisecond},
		{"", in(-time.Hour), 0},
		{"", "0", 0},
		{"", "-5", 0},
		{"", "soon", 0},
		{"", "NaN", 0},
		{"", "1e300", 24 * time.Hour},
		{"Inf", "", 24 * time.Hour},
		{"", "Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After-Ms", c.ms)
			w.Header().Set("Retry-After", c.retryAfter)
			reply(w, 429, "{}")
		})
		_, err := ask(t, url)
		if got := rebased.RetryAfterOf(err); got != c.want {
			t.Errorf("Retry-After-Ms %q, Retry-After %q: got %s of %v, want %s", c.ms, c.retryAfter, got, err, c.want)
		}
	}
}

func TestAMissingKeySaysWhereItIsSetAndWhereItGoes(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, 401, "{}") })
	_, err := open(t, openai.Config{BaseURL: url}).Models(t.Context())
	wantError(t, err, rebased.Unauthorized, "set OPENAI_API_KEY")
	wantError(t, err, rebased.Unauthorized, "REBASED_TEACHER_ORIGINS")
	wantError(t, err, rebased.Unauthorized, url)
}

func TestServersThatGiveNoWholeAnswerAreUnavailable(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"cut at once": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut in the body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			reply(w, 200, `{"choices": [{"message": {"content": "x`)
			panic(http.ErrAbortHandler)
		},
		"cut in the body of an error": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			reply(w, 400, `{"error": {"code": "context_length_exceeded"`)
			panic(http.ErrAbortHandler)
		},
		"half an object":    func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"choices": [{"message": {"content": "x`) },
		"no choice":         func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"choices": []}`) },
		"error in a 200":    func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"error": {"message": "upstream"}}`) },
		"another object":    func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, `{"choices": 7}`) },
		"no JSON":           func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, "<html>") },
		"nothing":           func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, "") },
		"a page":            func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>Log in</html>") },
		"key in the header": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/"+secret) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t, serve(t, handler))
			wantError(t, err, rebased.Unavailable, "teacher")
			if errors.Is(err, llm.ErrNotBilled) {
				t.Errorf("%v: an answer may have been billed", err)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		s := httptest.NewServer(nil)
		s.Close()
		_, err := ask(t, s.URL)
		wantError(t, err, rebased.Unavailable, s.URL)
		if !errors.Is(err, llm.ErrNotBilled) {
			t.Errorf("%v: a server that was not reached bills nothing", err)
		}
	})
}

func TestAReplyWithoutEndIsNotReadToItsEnd(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for blanks := make([]byte, 1<<20); ; {
			if _, err := w.Write(blanks); err != nil {
				return
			}
		}
	})
	_, err := ask(t, url)
	wantError(t, err, rebased.Unavailable, "over 16777216 bytes")
}

func TestRedirectsAreRefusedSoThatPromptAndKeyGoNowhereElse(t *testing.T) {
	followed := false
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) { followed = true; echo(w, r) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/"+r.Header.Get("Authorization"), status)
		})
		_, err := ask(t, url)
		wantError(t, err, rebased.Unavailable, "redirects to "+strings.TrimPrefix(elsewhere, "http://"))
	}
	if followed {
		t.Error("a redirect was followed")
	}
}

func TestCancelEndsARequestThatHangs(t *testing.T) {
	arrived := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the client go only once the body is read
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := open(t, openai.Config{BaseURL: url, APIKey: secret}).Ask(ctx, llm.Request{Model: "m"})
	if !errors.Is(err, context.Canceled) || rebased.KindOf(err) != "" {
		t.Errorf("error is %v", err)
	}
}
