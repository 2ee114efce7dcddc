package porttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// Wire is a provider's side of its protocol, for one adapter.
type Wire struct {
	// Open makes the adapter's teacher over a server at a URL. now is what it takes for the present.
	Open func(t *testing.T, url, key string, now time.Time) llm.Teacher
	// Says is what the provider's server says in each case of wireCases.
	Says map[string]Reply
	// Unsaid names the cases that the protocol has no words for.
	Unsaid []string
	// NoModel says that replies do not name the model: the answer's is then the request's.
	NoModel bool
	// KeySetting is in the name of the setting that holds the key; "" = API_KEY.
	KeySetting string
}

// Reply is a server's reply. The body may hold %KEY, which becomes the caller's key.
type Reply struct {
	Status int
	Header map[string]string
	Body   string
}

// wireCase is what must come of a reply.
type wireCase struct {
	answer  llm.Answer // of a reply that is one; At is the present
	kind    rebased.Kind
	cause   error // ErrTooLong, ErrRefused or ErrNotBilled
	wait    time.Duration
	mention string // the error says so; keySetting stands for Wire.KeySetting
}

const keySetting = "API_KEY"

var wireNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// wireCases are the promises of llm.Teacher about what a provider may say. The replies of the successes say: text "to p", model "m-1", 12 tokens of
// input, 3 of output.
func wireCases() map[string]wireCase {
	answer := func(change func(*llm.Answer)) llm.Answer {
		a := llm.Answer{Text: "to p", Model: "m-1", Finish: llm.FinishStop, Usage: rebased.Usage{InputTokens: 12, OutputTokens: 3}, At: wireNow.UnixMilli()}
		change(&a)
		return a
	}
	const limit, remaining, reset = 600, 599, 30 * time.Second
	return map[string]wireCase{
		"success": {answer: answer(func(*llm.Answer) {})},
		"success, 8 tokens from the prompt cache": {answer: answer(func(a *llm.Answer) { a.Cached.Read = 8 })},
		"success, 599 of 600 requests left for 30 s": {answer: answer(func(a *llm.Answer) {
			a.Rate.Requests = llm.Window{Limit: limit, Remaining: remaining, Reset: reset}
		})},
		"cut at max_tokens":         {answer: answer(func(a *llm.Answer) { a.Finish = llm.FinishLength })},
		"answer refused":            {answer: answer(func(a *llm.Answer) { a.Finish = llm.FinishRefused })},
		"throttled for 7 s":         {kind: rebased.Throttled, wait: 7 * time.Second},
		"throttled until a date":    {kind: rebased.Throttled, wait: 90 * time.Second}, // 90 s after the present: Fri, 02 Jan 2026 03:05:35 GMT
		"overloaded":                {kind: rebased.Throttled},
		"server fault":              {kind: rebased.Unavailable, cause: llm.ErrNotBilled},
		"bad gateway":               {kind: rebased.Unavailable},
		"too slow":                  {kind: rebased.Unavailable},
		"key wrong":                 {kind: rebased.Unauthorized, mention: keySetting},
		"key not allowed":           {kind: rebased.Unauthorized, mention: keySetting},
		"quota spent":               {kind: rebased.Exhausted},
		"prompt too long":           {kind: rebased.Rejected, cause: llm.ErrTooLong},
		"body too large":            {kind: rebased.Rejected, cause: llm.ErrTooLong},
		"prompt refused":            {kind: rebased.Rejected, cause: llm.ErrRefused},
		"bad request":               {kind: rebased.Invalid, mention: "temperature"},
		"unknown model":             {kind: rebased.NotFound},
		"the key said back":         {kind: rebased.Invalid, mention: "***"},
		"a page":                    {kind: rebased.Unavailable},
		"nothing":                   {kind: rebased.Unavailable},
		"JSON of another kind":      {kind: rebased.Unavailable},
		"JSON that breaks off":      {kind: rebased.Unavailable},
		"an error without a reason": {kind: rebased.Invalid},
	}
}

// TeacherWire holds the promises of llm.Teacher about everything that a provider may say, over an adapter and the replies of its protocol.
func TeacherWire(t *testing.T, w Wire) {
	for name, c := range wireCases() {
		t.Run(name, func(t *testing.T) {
			reply, known := w.Says[name]
			if known == slices.Contains(w.Unsaid, name) {
				t.Fatal("the protocol's reply is missing, or one is there that the protocol has no words for")
			}
			if !known {
				t.Skip("the protocol has no words for this")
			}
			w.check(t, reply, w.adapt(c))
		})
	}
	if extra := len(w.Says) + len(w.Unsaid) - len(wireCases()); extra != 0 {
		t.Errorf("%d replies have no case", extra)
	}
	t.Run("cut in mid-body", func(t *testing.T) { w.broken(t, func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, false) })
	t.Run("nobody there", func(t *testing.T) { w.broken(t, nil, true) })
	t.Run("a redirect", func(t *testing.T) {
		w.broken(t, func(out http.ResponseWriter) {
			out.Header().Set("Location", "http://elsewhere.invalid/"+wireKey)
			out.WriteHeader(http.StatusTemporaryRedirect)
		}, false)
	})
	t.Run("canceled while it hangs", w.hangs)
}

const (
	wireKey  = "sk-secret-0123456789"
	wireKey2 = "sk-sec" // what a cut would leave of it
)

var wireRequest = llm.Request{Model: "m", System: "s", Prompt: "p", MaxTokens: 9}

// adapt puts into a case what the protocol names otherwise, or not at all.
func (w Wire) adapt(c wireCase) wireCase {
	if w.NoModel && c.kind == "" {
		c.answer.Model = wireRequest.Model
	}
	if w.KeySetting != "" && c.mention == keySetting {
		c.mention = w.KeySetting
	}
	return c
}

func (w Wire) check(t *testing.T, reply Reply, c wireCase) {
	t.Helper()
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		requests++
		notStreaming(t, r)
		out.Header().Set("Content-Type", "application/json")
		for name, value := range reply.Header {
			out.Header().Set(name, value)
		}
		out.WriteHeader(reply.Status)
		_, _ = io.WriteString(out, strings.ReplaceAll(reply.Body, "%KEY", wireKey))
	}))
	defer server.Close()
	got, err := w.Open(t, server.URL, wireKey, wireNow).Ask(t.Context(), wireRequest)
	if requests != 1 {
		t.Errorf("%d requests, want 1: retries are the caller's", requests)
	}
	if c.kind == "" {
		if err != nil || got != c.answer {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, c.answer)
		}
		return
	}
	wantWireError(t, err, c.kind, c.mention)
	for _, cause := range []error{llm.ErrTooLong, llm.ErrRefused, llm.ErrNotBilled} {
		if errors.Is(err, cause) != (c.cause == cause) { //nolint:errorlint // the case's own value
			t.Errorf("error %v: is %q: %v", err, cause, errors.Is(err, cause))
		}
	}
	if wait := rebased.RetryAfterOf(err); wait != c.wait {
		t.Errorf("asked to wait %s, want %s", wait, c.wait)
	}
}

func notStreaming(t *testing.T, r *http.Request) {
	t.Helper()
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in["stream"] == true {
		t.Errorf("the request asks for a stream, or is no JSON: %v, %v", in, err)
	}
}

// broken wants a request that gets no answer to be Unavailable; one that never reached the server bills nothing.
func (w Wire) broken(t *testing.T, handle func(http.ResponseWriter), unreached bool) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		if handle != nil {
			handle(out)
		}
	}))
	if unreached {
		server.Close()
	} else {
		defer server.Close()
	}
	_, err := w.Open(t, server.URL, wireKey, wireNow).Ask(t.Context(), wireRequest)
	wantWireError(t, err, rebased.Unavailable, "")
	if errors.Is(err, llm.ErrNotBilled) != unreached {
		t.Errorf("%v: not billed: %v", err, !unreached)
	}
}

func (w Wire) hangs(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the client go only once the body is read
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := w.Open(t, server.URL, wireKey, wireNow).Ask(ctx, wireRequest)
	if !errors.Is(err, context.Canceled) || rebased.KindOf(err) != "" {
		t.Errorf("error is %v, want the context's", err)
	}
}

// wantWireError checks the kind of an error, and what holds for all of them: one short line that does not show the key, on any level.
func wantWireError(t *testing.T, err error, kind rebased.Kind, mention string) {
	t.Helper()
	if err == nil || rebased.KindOf(err) != kind {
		t.Errorf("error %v has kind %q, want %q", err, rebased.KindOf(err), kind)
		return
	}
	const longest = 500
	if text := err.Error(); !strings.Contains(text, mention) || strings.Contains(text, "\n") || len(text) > longest {
		t.Errorf("the error should be one short line that says %q: %q", mention, text)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if shown := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(shown, wireKey2) {
			t.Errorf("the key stands in the error %s", shown)
		}
	}
}
