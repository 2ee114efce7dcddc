package anthropic

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// What is sent and read of the protocol; the SDK carries bytes, since its own types cost CPU in reflection.

type requestBody struct {
	Model       string    `json:"model"`
	MaxTokens   int       `json:"max_tokens"`
	Temperature float64   `json:"temperature"`
	System      []block   `json:"system,omitempty"`
	Messages    []message `json:"messages"`
}

type message struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

type block struct {
	Type         string        `json:"type"`
	Text         string        `json:"text"`
	CacheControl *cacheControl `json:"cache_control,omitempty"`
}

type cacheControl struct {
	Type string `json:"type"`
}

func textBlock(s string) block { return block{Type: "text", Text: s} }

// requestOf writes a request. System text and the prompt's shared beginning end at a mark of the prompt cache: the provider keeps what stands before
// it for minutes, where it is long enough.
func requestOf(r llm.Request) []byte {
	out := requestBody{Model: r.Model, MaxTokens: r.MaxTokens, Temperature: r.Temperature}
	if r.System != "" {
		out.System = []block{textBlock(r.System)}
	}
	content := []block{textBlock(r.Prompt)}
	if r.Shared > 0 && r.Shared < len(r.Prompt) {
		shared := textBlock(r.Prompt[:r.Shared])
		shared.CacheControl = &cacheControl{Type: "ephemeral"}
		content = []block{shared, textBlock(r.Prompt[r.Shared:])}
	}
	out.Messages = []message{{Role: "user", Content: content}}
	data, _ := json.Marshal(out) // texts and finite numbers: a task's temperature is checked
	return data
}

type responseBody struct {
	Type       string  `json:"type"`
	Model      string  `json:"model"`
	Content    []block `json:"content"`
	StopReason string  `json:"stop_reason"`
	Usage      struct {
		Input   int64 `json:"input_tokens"` // those that no cache served or took in
		Output  int64 `json:"output_tokens"`
		Written int64 `json:"cache_creation_input_tokens"`
		Read    int64 `json:"cache_read_input_tokens"`
	} `json:"usage"`
}

// read makes an answer of a reply. A reply that is none is no answer: it is not stored, and the request is sent again.
func read(body []byte) (llm.Answer, error) {
	var in responseBody
	if err := json.Unmarshal(body, &in); err != nil || in.Type != "message" {
		return llm.Answer{}, errors.New("the teacher's reply is no message")
	}
	var text strings.Builder
	for _, b := range in.Content {
		if b.Type == "text" {
			text.WriteString(b.Text)
		}
	}
	answer := llm.Answer{
		Text: text.String(), Model: in.Model, Finish: llm.FinishStop,
		Usage:  rebased.Usage{InputTokens: in.Usage.Input + in.Usage.Written + in.Usage.Read, OutputTokens: in.Usage.Output},
		Cached: llm.Cached{Read: in.Usage.Read, Written: in.Usage.Written},
	}
	switch in.StopReason {
	case "max_tokens", "model_context_window_exceeded":
		answer.Finish = llm.FinishLength
	case "refusal":
		answer.Finish = llm.FinishRefused
	}
	return answer, nil
}

// rateLimit reads anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}, as Anthropic documents them: reset is a time.
func rateLimit(h http.Header, now time.Time) llm.RateLimit {
	window := func(of string) (w llm.Window) {
		get := func(part string) string { return h.Get("Anthropic-Ratelimit-" + of + "-" + part) }
		limit, err := strconv.ParseInt(get("Limit"), 10, 64)
		remaining, missing := strconv.ParseInt(get("Remaining"), 10, 64)
		if err != nil || missing != nil || limit <= 0 {
			return w
		}
		w = llm.Window{Limit: limit, Remaining: remaining}
		if at, err := time.Parse(time.RFC3339, get("Reset")); err == nil && at.After(now) {
			w.Reset = at.Sub(now)
		}
		return w
	}
	return llm.RateLimit{Requests: window("Requests"), Tokens: window("Tokens")}
}
