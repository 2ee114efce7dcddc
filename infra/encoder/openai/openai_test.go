package openai_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/openai/openai-go/v3"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/openai"
	"github.com/rebased/rebased/infra/porttest"
)

// request is what a client of the protocol sends.
type request struct {
	Model      string   `json:"model"`
	Input      []string `json:"input"`
	Dimensions int      `json:"dimensions"`
	key        string
	bytes      int
}

// server is a small embeddings server: vectors depend on the text alone, have eight dimensions unless asked, and come last first.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []request
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.embeddings))
	t.Cleanup(s.Close)
	return s
}

func (s *server) embeddings(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in := request{key: r.Header.Get("Authorization")}
	if err := json.Unmarshal(body, &in); err != nil || r.URL.Path != "/v1/embeddings" || r.Method != http.MethodPost {
		http.Error(w, `{"error":{"message":"not an embeddings request"}}`, http.StatusBadRequest)
		return
	}
	var data []map[string]any
	for i, text := range in.Input {
		in.bytes += len(text)
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": vectorOf(text, cmp.Or(in.Dimensions, 8))})
	}
	s.mu.Lock()
	s.seen = append(s.seen, in)
	s.mu.Unlock()
	slices.Reverse(data)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "model": in.Model, "data": data, "usage": map[string]int{}})
}

func vectorOf(text string, dimensions int) []float64 {
	out := make([]float64, dimensions)
	for i := range out {
		h := fnv.New32a()
		fmt.Fprint(h, i, text)
		out[i] = float64(h.Sum32()%1000) - 499.5
	}
	return out
}

func open(t *testing.T, cfg openai.Config) *openai.Encoder {
	t.Helper()
	cfg.Model = cmp.Or(cfg.Model, "minilm")
	e, err := openai.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestConformance(t *testing.T) {
	s := newServer(t)
	porttest.Encoder(t, func(t *testing.T) rebased.Encoder { return open(t, openai.Config{BaseURL: s.URL + "/v1"}) })
}

func TestDimensionsAreAskedOnceAndNotSentWhenTheyAreTheModelsOwn(t *testing.T) {
	s := newServer(t)
	e := open(t, openai.Config{BaseURL: s.URL + "/v1"})
	if e.Dimensions() != 8 || e.Identity() != "openai:minilm:8" || len(s.seen) != 1 || s.seen[0].Dimensions != 0 {
		t.Errorf("%s with %d dimensions after the requests %+v", e.Identity(), e.Dimensions(), s.seen)
	}
}

func TestDimensionsThatAreGivenAreSentAndNotAskedFor(t *testing.T) {
	s := newServer(t)
	e := open(t, openai.Config{BaseURL: s.URL + "/v1/", APIKey: "secret", Dimensions: 4})
	if len(s.seen) != 0 {
		t.Errorf("New made %d requests", len(s.seen))
	}
	v, err := e.Encode(t.Context(), []string{"a"})
	if err != nil || len(v[0]) != 4 || s.seen[0].Dimensions != 4 || s.seen[0].key != "Bearer secret" || s.seen[0].Model != "minilm" {
		t.Errorf("vectors %v, error %v, requests %+v", v, err, s.seen)
	}
}

func TestBatchesKeepToTheirBoundsAndLeaveOutTextsOfWhiteSpace(t *testing.T) {
	s := newServer(t)
	e := open(t, openai.Config{BaseURL: s.URL + "/v1", Dimensions: 8})
	texts := slices.Repeat([]string{"short", " \n", strings.Repeat("é", 3000)}, 300)
	if _, err := e.Encode(t.Context(), texts); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, r := range s.seen {
		sent += len(r.Input)
		if len(r.Input) > 256 || r.bytes > 200_000 || slices.Contains(r.Input, " \n") {
			t.Errorf("request of %d texts, %d bytes", len(r.Input), r.bytes)
		}
	}
	if sent != 600 || len(s.seen) > 12 {
		t.Errorf("%d texts sent in %d requests, want 600 in about 10", sent, len(s.seen))
	}
}

func TestLongTextsAreCutBetweenCharacters(t *testing.T) {
	s := newServer(t)
	e := open(t, openai.Config{BaseURL: s.URL + "/v1", Dimensions: 8, MaxTextBytes: 6})
	if _, err := e.Encode(t.Context(), []string{"abcdé€fgh"}); err != nil {
		t.Fatal(err)
	}
	if got := s.seen[0].Input[0]; got != "abcdé" {
		t.Errorf("%q was sent, want %q", got, "abcdé")
	}
}

func TestVendorErrorsBecomeKinds(t *testing.T) {
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name, retryAfter, body string
		status                 int
		kind                   rebased.Kind
		least, most            time.Duration
	}{
		{"throttled in seconds", "7", `{"error":{"message":"slow down"}}`, 429, rebased.Throttled, 7 * time.Second, 7 * time.Second},
		{"throttled to a date", date, `{}`, 429, rebased.Throttled, 50 * time.Minute, time.Hour},
		{"throttled without a time", "", `{}`, 429, rebased.Throttled, 0, 0},
		{"quota spent", "", `{"error":{"message":"no money","code":"insufficient_quota"}}`, 429, rebased.Exhausted, 0, 0},
		{"no key", "", `{"error":{"message":"bad key"}}`, 401, rebased.Unauthorized, 0, 0},
		{"not allowed", "", `{}`, 403, rebased.Unauthorized, 0, 0},
		{"server fault", "", `oops`, 500, rebased.Unavailable, 0, 0},
		{"overloaded", "3", `{}`, 503, rebased.Unavailable, 3 * time.Second, 3 * time.Second},
		{"too slow", "", `{}`, 408, rebased.Unavailable, 0, 0},
		{"unknown model", "", `{"error":{"message":"no model minilm"}}`, 404, rebased.NotFound, 0, 0},
		{"unknown model, by its code", "", `{"error":{"message":"no model","code":"model_not_found"}}`, 400, rebased.NotFound, 0, 0},
		{"too large", "", `{"error":"inputs must have less than 512 tokens"}`, 413, rebased.Invalid, 0, 0},
		{"bad request", "", `{"error":{"message":"too long"}}`, 400, rebased.Invalid, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Retry-After", c.retryAfter)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := open(t, openai.Config{BaseURL: url, APIKey: "secret", Dimensions: 8}).Encode(t.Context(), []string{"a"})
			if rebased.KindOf(err) != c.kind {
				t.Errorf("error %v has kind %q, want %q", err, rebased.KindOf(err), c.kind)
			}
			if wait := rebased.RetryAfterOf(err); wait < c.least || wait > c.most {
				t.Errorf("asked to wait %v, want %v to %v", wait, c.least, c.most)
			}
			if requests != 1 {
				t.Errorf("%d requests, want 1: retries are the caller's", requests)
			}
		})
	}
}

func TestMessageOfTheServerIsPassedOnForRequestsThatAreWrong(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":{"message":"input is too long"}}`, http.StatusBadRequest)
	})
	_, err := openai.New(t.Context(), openai.Config{BaseURL: url, Model: "m"})
	if err == nil || !strings.Contains(err.Error(), "input is too long") {
		t.Errorf("error is %v", err)
	}
}

func TestNoErrorHoldsTheKeyOrAllThatAServerSays(t *testing.T) {
	const key = "sk-the-workers-own"
	long := strings.Repeat("x", 50_000)
	for _, body := range []string{
		`{"error":{"message":"no such key: Bearer %s","type":"` + long + `"}}`, `{"error":"%[1]s and again %[1]s ` + long + `"}`,
		`{"message":"%s","error":{"code":400,"echo":"Authorization: Bearer %[1]s"}}`, `%s is wrong ` + long, `{"error":{"message":"` + long + `%s`,
	} {
		for _, status := range []int{400, 401, 403, 404, 413, 429, 500, 503} {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				fmt.Fprintf(w, body, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			})
			_, err := openai.New(t.Context(), openai.Config{BaseURL: url, APIKey: key, Model: "m"})
			if err == nil || strings.Contains(err.Error(), key) || len(err.Error()) > 400 || !strings.Contains(err.Error(), fmt.Sprint(status)) {
				t.Errorf("%d, %.60s: error of %d bytes: %.400v", status, body, len(fmt.Sprint(err)), err)
			}
			if _, wrapped := errors.AsType[*sdk.Error](err); wrapped {
				t.Errorf("%d: the SDK's error, which holds the request with its key, is a cause of %.100v", status, err)
			}
		}
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/"+key, http.StatusTemporaryRedirect)
	})
	if _, err := openai.New(t.Context(), openai.Config{BaseURL: url, APIKey: key, Model: "m"}); err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("an address with the key: %v", err)
	}
}

func TestARefusalThatHasNoEndIsReadTo64KiB(t *testing.T) {
	var sent atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		for part := bytes.Repeat([]byte("no "), 1<<10); r.Context().Err() == nil; sent.Add(int64(len(part))) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	})
	_, err := openai.New(t.Context(), openai.Config{BaseURL: url, Model: "m"})
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "400 Bad Request: no no") || sent.Load() > 32<<20 {
		t.Errorf("error after %d bytes: %v", sent.Load(), err)
	}
}

func TestWhatServersSayIsFoundInTheFormsThatTheyUse(t *testing.T) {
	for _, body := range []string{
		`{"error":{"message":"too long","code":413}}`, `{"error":"too long","error_type":"Validation"}`, `{"object":"error","message":"too long"}`, "too\n long\n",
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, body, http.StatusRequestEntityTooLarge) })
		_, err := openai.New(t.Context(), openai.Config{BaseURL: url, Model: "m"})
		if rebased.KindOf(err) != rebased.Invalid || !strings.HasSuffix(fmt.Sprint(err), "413 Request Entity Too Large: too long") {
			t.Errorf("%s: error is %v", body, err)
		}
	}
}

func TestServersThatFailInTheMiddleAreUnavailable(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"connection cut at once": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"connection cut in the body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"data":[`)
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openai.New(t.Context(), openai.Config{BaseURL: serve(t, handler), Model: "m"})
			if rebased.KindOf(err) != rebased.Unavailable {
				t.Errorf("error %v has kind %q", err, rebased.KindOf(err))
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		s := httptest.NewServer(nil)
		s.Close()
		_, err := openai.New(t.Context(), openai.Config{BaseURL: s.URL, Model: "m"})
		if rebased.KindOf(err) != rebased.Unavailable {
			t.Errorf("error %v has kind %q", err, rebased.KindOf(err))
		}
	})
}

func TestUnusableAnswersAreInvalid(t *testing.T) {
	item := func(index int, v string) string { return fmt.Sprintf(`{"index":%d,"embedding":%s}`, index, v) }
	for name, data := range map[string]string{
		"too few":         item(0, "[1,2]"),
		"index twice":     item(0, "[1,2]") + "," + item(0, "[1,2]"),
		"index too high":  item(0, "[1,2]") + "," + item(2, "[1,2]"),
		"index negative":  item(0, "[1,2]") + "," + item(-1, "[1,2]"),
		"no numbers":      item(0, "[1,2]") + "," + item(1, "[]"),
		"zero vector":     item(0, "[1,2]") + "," + item(1, "[0,0]"),
		"wrong dimension": item(0, "[1,2]") + "," + item(1, "[1,2,3]"),
		"nothing":         "",
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"object":"list","data":[`+data+`]}`)
			})
			_, err := open(t, openai.Config{BaseURL: url, Dimensions: 2}).Encode(t.Context(), []string{"a", "b"})
			if rebased.KindOf(err) != rebased.Invalid {
				t.Errorf("error %v has kind %q", err, rebased.KindOf(err))
			}
		})
	}
}

func TestAnAnswerWithoutEndIsNotReadToItsEnd(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for blanks := bytes.Repeat([]byte(" "), 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(blanks); err != nil {
				return
			}
		}
	})
	_, err := openai.New(t.Context(), openai.Config{BaseURL: url, Model: "m"})
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("error is %v", err)
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
	if _, err := openai.New(ctx, openai.Config{BaseURL: url, Model: "m"}); !errors.Is(err, context.Canceled) || rebased.KindOf(err) != "" {
		t.Errorf("error is %v", err)
	}
}

func TestConfigIsRefusedByName(t *testing.T) {
	for want, cfg := range map[string]openai.Config{
		"base URL":   {BaseURL: "localhost:8080", Model: "m"},
		"model":      {BaseURL: "http://localhost"},
		"dimensions": {Model: "m", Dimensions: -1},
		"bytes":      {Model: "m", MaxTextBytes: -1},
	} {
		_, err := openai.New(t.Context(), cfg)
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error is %v", cfg, err)
		}
	}
}

func serve(t *testing.T, handler http.HandlerFunc) (url string) {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}
