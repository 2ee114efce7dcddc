// Package teacher is a demo teacher: a server that speaks OpenAI's chat completions, Anthropic's messages and the batches of both, and answers the project's prompts by simple rules or
// with recorded answers, so that a build runs from end to end without a language model, without money and with the same result every time. What it
// says is no training data, and the name of its model says so in every answer.
//
// For tests it fails on purpose (Faults) and counts what it did (GET /stats).
package teacher

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// The names under which the teacher answers.
const (
	DemoModel   = "rebased-demo-teacher"
	ReplayModel = "rebased-replay-teacher"
)

// Config says how a teacher answers.
type Config struct {
	// APIKey is what callers must send as a bearer token.
	APIKey string
	// Replay is a file of JSON lines {"input", "output"} to answer transform prompts with; "" for the rules.
	Replay string
	// Latency is how long each answer takes.
	Latency time.Duration
	// Faults are injected from the start.
	Faults Faults
	// AllowFaults serves POST /faults, which changes the faults while the server runs.
	AllowFaults bool
	// Logger takes what was refused and what was changed; nil for none.
	Logger *slog.Logger
}

func (c Config) validate() error {
	switch {
	case c.APIKey == "":
		return errors.New("teacher: APIKey is required")
	case c.Latency < 0:
		return errors.New("teacher: Latency must not be negative")
	}
	return c.Faults.validate()
}

// Server is a demo teacher. It is an http.Handler and holds nothing open.
type Server struct {
	config  Config
	model   string
	replies *recording // nil without Replay
	faults  atomic.Pointer[timedFaults]
	gate    gate
	form    atomic.Pointer[form] // found last
	batches batches
	book    *book
	mux     *http.ServeMux
}

var _ http.Handler = (*Server)(nil)

// New makes a teacher and reads the recorded answers.
func New(c Config) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: c, model: DemoModel, book: newBook(), mux: http.NewServeMux()}
	if c.Replay != "" {
		replies, err := readRecording(c.Replay)
		if err != nil {
			return nil, err
		}
		s.replies, s.model = replies, ReplayModel
	}
	s.gate.now = time.Now
	s.faults.Store(&timedFaults{Faults: c.Faults, set: time.Now()})
	s.mux.HandleFunc("POST "+chatPath, s.online(openAI()))
	s.mux.HandleFunc("POST /v1/messages", s.online(anthropic()))
	s.openAIBatches()
	s.anthropicBatches()
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.book.stats()) })
	s.mux.HandleFunc("POST /stats/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.book.reset()
		s.batches.clear()
		writeJSON(w, http.StatusOK, s.book.stats())
	})
	if c.AllowFaults {
		s.mux.HandleFunc("POST /faults", s.setFaults)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusNotFound, problem("invalid_request_error", "unknown_url", "no "+r.Method+" "+r.URL.Path+" here"))
	})
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	d := openAI()
	if speaksAnthropic(r) {
		key, d = r.Header.Get("X-Api-Key"), anthropic()
	}
	if subtle.ConstantTimeCompare([]byte(key), []byte(s.config.APIKey)) != 1 {
		d.refuse(w, refusal{http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "incorrect API key"})
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"` // OpenAI's
		Type    string `json:"type"`   // Anthropic's
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	writeJSON(w, http.StatusOK, struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
		More   bool    `json:"has_more"`
	}{"list", []model{{ID: s.model, Object: "model", Type: "model", Created: created, OwnedBy: "rebased"}}, false})
}

// timedFaults are faults and when they were set.
type timedFaults struct {
	Faults
	set time.Time
}

// present are the faults that hold now: once their time is over, latency and limits stay.
func (s *Server) present() *Faults {
	f := s.faults.Load()
	if f.ForS == 0 || time.Since(f.set) < time.Duration(f.ForS)*time.Second {
		return &f.Faults
	}
	return &Faults{LatencyMS: f.LatencyMS, Limits: f.Limits, BatchFaults: f.BatchFaults}
}

func (s *Server) setFaults(w http.ResponseWriter, r *http.Request) {
	var f Faults
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&f)
	if err == nil {
		err = f.validate()
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, problem("invalid_request_error", "", err.Error()))
		return
	}
	s.faults.Store(&timedFaults{Faults: f, set: time.Now()})
	s.batches.forget()
	s.config.Logger.Info("faults were set", "faults", f)
	writeJSON(w, http.StatusOK, f)
}

// errorBody is OpenAI's shape of an error.
type errorBody struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

func problem(kind, code, message string) errorBody {
	var body errorBody
	body.Error.Type, body.Error.Message = kind, message
	if code != "" {
		body.Error.Code = &code
	}
	return body
}

// writeJSON writes a small answer whole.
func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // every body of this package can be marshaled
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
