package porttest

import (
	"errors"
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

// BatchWire is a provider's side of its protocol of batches, for one adapter.
type BatchWire struct {
	// Open makes the adapter's teacher over a server at a URL. now is what it takes for the present.
	Open func(t *testing.T, url, key string, now time.Time) llm.Batcher
	// Says are the exchanges of each case of BatchWireCases, in order.
	Says map[string][]Exchange
	// Lacks are cases that the protocol cannot express.
	Lacks []string
	Named bool // batches carry the name that they were submitted under
}

// Exchange is a request that must come, as method, path and query, and its reply.
type Exchange struct {
	Request string
	Reply
}

// batchRequests are what the cases submit.
var batchRequests = []llm.Request{{Model: "m", System: "s", Prompt: "p", MaxTokens: 9}, {Model: "m", System: "s", Prompt: "q", MaxTokens: 9}}

// BatchKeys are the keys of the two requests that the cases submit, for the replies to name.
func BatchKeys() (first, second string) {
	return string(batchRequests[0].Key()), string(batchRequests[1].Key())
}

// batchCase is what is done and what must come of it.
type batchCase func(t *testing.T, b llm.Batcher, w BatchWire)

// batchCases are the promises of llm.Batcher about what a provider may say. The batch that is made or asked about is called batch_1; the name that
// it was submitted under is name-1; since is an hour before the present, 2026-01-02 03:04:05 UTC.
func batchCases() map[string]batchCase {
	submits := func(kind rebased.Kind, wait time.Duration, unsure bool) batchCase {
		return func(t *testing.T, b llm.Batcher, _ BatchWire) {
			id, err := b.Submit(t.Context(), "name-1", batchRequests)
			if kind == "" {
				if id != "batch_1" || err != nil {
					t.Errorf("got %q, %v", id, err)
				}
				return
			}
			wantWireError(t, err, kind, "")
			if got := rebased.RetryAfterOf(err); got != wait {
				t.Errorf("asked to wait %s, want %s", got, wait)
			}
			if kind == rebased.Unavailable && errors.Is(err, llm.ErrNotBilled) == unsure {
				t.Errorf("%v: it may have been made: %v", err, unsure)
			}
		}
	}
	looks := func(want llm.BatchState) batchCase {
		return func(t *testing.T, b llm.Batcher, _ BatchWire) {
			got, err := b.Look(t.Context(), "batch_1")
			if want.Failure != "" && strings.Contains(got.Failure, want.Failure) {
				got.Failure = want.Failure
			}
			if got != want || err != nil {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		}
	}
	const wait = 7 * time.Second
	return map[string]batchCase{
		"submit":                         submits("", 0, false),
		"submit, throttled for 7 s":      submits(rebased.Throttled, wait, false),
		"submit, key wrong":              submits(rebased.Unauthorized, 0, false),
		"submit, quota spent":            submits(rebased.Exhausted, 0, false),
		"submit, bad request":            submits(rebased.Invalid, 0, false),
		"submit, no batches here":        submits(rebased.NotFound, 0, false),
		"submit, server fault":           submits(rebased.Unavailable, 0, true),
		"submit, a page":                 submits(rebased.Unavailable, 0, true),
		"submit, a batch without a name": submits(rebased.Unavailable, 0, true),
		"find, on the second page, none older than an hour": finds,
		"find, no batches here": func(t *testing.T, b llm.Batcher, _ BatchWire) {
			_, err := b.Find(t.Context(), "name-1", 2, wireNow)
			wantWireError(t, err, rebased.NotFound, "")
		},
		"find, a reply that is no list":          findFails(rebased.Unavailable, ""),
		"find, a list that goes on with itself":  findFails(rebased.Unavailable, ""),
		"find, a batch that cannot be asked for": findFails(rebased.Invalid, "transform.batch"),
		"results, one that cannot be read": func(t *testing.T, b llm.Batcher, _ BatchWire) {
			n := 0
			for r, err := range b.Results(t.Context(), "batch_1") {
				if n++; err != nil || r.Answer != nil || !r.Unknown {
					t.Errorf("got %+v, %v: it may have been billed", r, err)
				}
			}
			if n != 1 {
				t.Errorf("%d results", n)
			}
		},
		"look, under way":  looks(llm.BatchState{}),
		"look, ended":      looks(llm.BatchState{Ended: true}),
		"look, canceling":  looks(llm.BatchState{}),
		"look, canceled":   looks(llm.BatchState{Ended: true}),
		"look, expired":    looks(llm.BatchState{Ended: true}),
		"look, failed":     looks(llm.BatchState{Ended: true, Failure: "the file is wrong"}),
		"look, queue full": looks(llm.BatchState{Ended: true, Full: true, Failure: "limit"}),
		"look, gone": func(t *testing.T, b llm.Batcher, _ BatchWire) {
			_, err := b.Look(t.Context(), "batch_1")
			wantWireError(t, err, rebased.NotFound, "")
		},
		"look, a state nobody knows": func(t *testing.T, b llm.Batcher, _ BatchWire) {
			_, err := b.Look(t.Context(), "batch_1")
			wantWireError(t, err, rebased.Unavailable, "")
		},
		"results, one answered, one refused": results("to p", "refused here", true),
		"results, one answered, one expired": results("to p", "expired", false),
		"results, of none":                   results("", "", false),
		"results, gone": func(t *testing.T, b llm.Batcher, _ BatchWire) {
			for _, err := range b.Results(t.Context(), "batch_1") {
				wantWireError(t, err, rebased.NotFound, "")
			}
		},
		"cancel":                        cancels,
		"cancel, of one that has ended": cancels,
	}
}

// findFails wants a search to fail.
func findFails(kind rebased.Kind, mention string) batchCase {
	return func(t *testing.T, b llm.Batcher, _ BatchWire) {
		_, err := b.Find(t.Context(), "name-1", 2, wireNow.Add(-time.Hour))
		wantWireError(t, err, kind, mention)
	}
}

func finds(t *testing.T, b llm.Batcher, w BatchWire) {
	found, err := b.Find(t.Context(), "name-1", 2, wireNow.Add(-time.Hour))
	if want := []llm.Found{{ID: "batch_1", Named: w.Named}}; err != nil || !slices.Equal(found, want) {
		t.Errorf("got %+v, %v, want %+v", found, err, want)
	}
}

func cancels(t *testing.T, b llm.Batcher, _ BatchWire) {
	if err := b.CancelBatch(t.Context(), "batch_1"); err != nil {
		t.Error(err)
	}
}

// results wants the first request answered with a text and the second one left for a reason.
func results(text, reason string, refused bool) batchCase {
	return func(t *testing.T, b llm.Batcher, _ BatchWire) {
		got := map[llm.Key]llm.BatchResult{}
		for r, err := range b.Results(t.Context(), "batch_1") {
			if err != nil {
				t.Fatal(err)
			}
			got[r.Key] = r
		}
		if text == "" {
			if len(got) > 0 {
				t.Errorf("got %+v", got)
			}
			return
		}
		want := llm.Answer{Text: text, Model: "m-1", Finish: llm.FinishStop, Usage: rebased.Usage{InputTokens: 12, OutputTokens: 3}, At: wireNow.UnixMilli()}
		if a := got[batchRequests[0].Key()].Answer; len(got) != 2 || a == nil || *a != want {
			t.Errorf("the answer is %+v of %d results", a, len(got))
		}
		if left := got[batchRequests[1].Key()]; left.Answer != nil || left.Unknown || left.Refused != refused || !strings.Contains(left.Reason, reason) || strings.Contains(left.Reason, wireKey2) {
			t.Errorf("what was left: %+v, want %q", left, reason)
		}
	}
}

// TeacherBatchWire holds the promises of llm.Batcher about everything that a provider may say, over an adapter and recorded exchanges.
func TeacherBatchWire(t *testing.T, w BatchWire) {
	cases := batchCases()
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			exchanges, known := w.Says[name]
			if slices.Contains(w.Lacks, name) == known {
				t.Fatal("the protocol's exchanges are missing, or are there though it cannot say so")
			}
			if known {
				w.replay(t, exchanges, run)
			}
		})
	}
	if len(w.Says)+len(w.Lacks) != len(cases) {
		t.Errorf("%d exchanges and %d exceptions for %d cases", len(w.Says), len(w.Lacks), len(cases))
	}
	t.Run("submit, cut", func(t *testing.T) {
		first := w.Says["submit"]
		w.replay(t, append(slices.Clone(first[:len(first)-1]), Exchange{Request: first[len(first)-1].Request}), func(t *testing.T, b llm.Batcher, _ BatchWire) {
			_, err := b.Submit(t.Context(), "name-1", batchRequests)
			wantWireError(t, err, rebased.Unavailable, "")
			if errors.Is(err, llm.ErrNotBilled) {
				t.Errorf("%v: it may have been made", err)
			}
		})
	})
}

// replay runs a case over a server that knows the exchanges and nothing else. A reply without a status is none: the connection ends.
func (w BatchWire) replay(t *testing.T, exchanges []Exchange, run batchCase) {
	t.Helper()
	var bodies strings.Builder
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies.Write(body)
		if auth := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key"); !strings.Contains(auth, wireKey) {
			t.Errorf("%s %s comes without the key", r.Method, r.URL)
		}
		if got := r.Method + " " + r.URL.RequestURI(); next >= len(exchanges) || got != exchanges[next].Request {
			t.Errorf("request %d is %s", next, got)
			panic(http.ErrAbortHandler)
		}
		reply := exchanges[next].Reply
		next++
		if reply.Status == 0 {
			panic(http.ErrAbortHandler)
		}
		out.Header().Set("Content-Type", "application/json")
		for name, value := range reply.Header {
			out.Header().Set(name, value)
		}
		out.WriteHeader(reply.Status)
		_, _ = io.WriteString(out, strings.ReplaceAll(reply.Body, "%KEY", wireKey))
	}))
	defer server.Close()
	run(t, w.Open(t, server.URL, wireKey, wireNow), w)
	if next != len(exchanges) {
		t.Errorf("%d of %d requests came", next, len(exchanges))
	}
	if sent := bodies.String(); strings.Contains(t.Name(), "/submit") && next == len(exchanges) {
		for _, r := range batchRequests {
			if !strings.Contains(sent, string(r.Key())) || !strings.Contains(sent, `"`+r.Prompt+`"`) {
				t.Errorf("the batch lacks a request or its key: %s", sent)
			}
		}
	}
}
