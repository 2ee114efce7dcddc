package openai

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// What is sent and read of the protocol. The SDK's own types spend a fifth of the worker's CPU on reflection, so the SDK carries bytes.

type requestBody struct {
	Model               string    `json:"model"`
	Messages            []message `json:"messages"`
	Temperature         float64   `json:"temperature"`
	MaxTokens           int       `json:"max_tokens,omitempty"`
	MaxCompletionTokens int       `json:"max_completion_tokens,omitempty"`

	ResponseFormat json.RawMessage `json:"response_format,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// body writes a request, with its schema or without. OpenAI itself wants max_completion_tokens, other servers know max_tokens.
func (t *Teacher) body(r llm.Request, schema bool) []byte {
	out := requestBody{Model: r.Model, Messages: []message{{"system", r.System}, {"user", r.Prompt}}, Temperature: r.Temperature}
	if t.openAI {
		out.MaxCompletionTokens = r.MaxTokens
	} else {
		out.MaxTokens = r.MaxTokens
	}
	if schema {
		out.ResponseFormat = responseFormat(r.Schema)
	}
	data, _ := json.Marshal(out) // texts and finite numbers: a task's temperature is checked
	return data
}

type responseBody struct {
	Model   string `json:"model"`
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      struct {
			Content string `json:"content"`
			Refusal string `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
	Usage struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Details    struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
}

// read makes an answer of a reply. A reply that is none is no answer: it is not stored, and the request is sent again.
func read(body []byte) (llm.Answer, error) {
	var in responseBody
	if err := json.Unmarshal(body, &in); err != nil {
		return llm.Answer{}, errors.New("the teacher's reply is no chat completion")
	}
	if len(in.Choices) == 0 {
		return llm.Answer{}, errors.New("the teacher's reply holds no choice")
	}
	choice := in.Choices[0]
	answer := llm.Answer{
		Text: choice.Message.Content, Model: in.Model, Finish: llm.FinishStop,
		Usage:  rebased.Usage{InputTokens: in.Usage.Prompt, OutputTokens: in.Usage.Completion},
		Cached: llm.Cached{Read: min(in.Usage.Details.Cached, in.Usage.Prompt)},
	}
	switch {
	case choice.FinishReason == "length":
		answer.Finish = llm.FinishLength
	case choice.FinishReason == "content_filter" || choice.Message.Refusal != "":
		answer.Finish = llm.FinishRefused
	}
	return answer, nil
}

// rateLimit reads x-ratelimit-{limit,remaining,reset}-{requests,tokens}, as OpenAI documents them; many servers send the same.
func rateLimit(h http.Header) llm.RateLimit {
	window := func(of string) (w llm.Window) {
		w.Limit, _ = strconv.ParseInt(h.Get("X-Ratelimit-Limit-"+of), 10, 64)
		w.Remaining, _ = strconv.ParseInt(h.Get("X-Ratelimit-Remaining-"+of), 10, 64)
		reset := h.Get("X-Ratelimit-Reset-" + of)
		if d, err := time.ParseDuration(reset); err == nil { // 6m0s, 120ms
			w.Reset = d
		} else if seconds, err := strconv.ParseFloat(reset, 64); err == nil {
			w.Reset = client.AtMostADay(seconds * float64(time.Second))
		}
		if w.Limit <= 0 || h.Get("X-Ratelimit-Remaining-"+of) == "" {
			return llm.Window{}
		}
		return w
	}
	return llm.RateLimit{Requests: window("Requests"), Tokens: window("Tokens")}
}
