package bedrock

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// What is sent and read of the Converse API
// (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).

type requestBody struct {
	Messages  []message `json:"messages"`
	System    []block   `json:"system,omitempty"`
	Inference inference `json:"inferenceConfig"`
}

type inference struct {
	MaxTokens   int     `json:"maxTokens"`
	Temperature float64 `json:"temperature"`
}

type message struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// block is one part of a message: text, or a mark of the prompt cache. Parts of other kinds, such as a model's reasoning, are read as neither.
type block struct {
	Text       string      `json:"text,omitempty"`
	CachePoint *cachePoint `json:"cachePoint,omitempty"`
}

type cachePoint struct {
	Type string `json:"type"`
}

// marks reports whether a request has a beginning to keep and a model whose family keeps it: other models refuse a request with a mark.
func marks(r llm.Request) bool {
	return r.Shared > 0 && r.Shared < len(r.Prompt) &&
		(strings.Contains(r.Model, "anthropic.claude") || strings.Contains(r.Model, "amazon.nova"))
}

// requestOf writes a request; marked ends system text and the prompt's shared beginning at a mark of the prompt cache.
func requestOf(r llm.Request, marked bool) []byte {
	out := requestBody{Inference: inference{MaxTokens: r.MaxTokens, Temperature: r.Temperature}}
	if r.System != "" {
		out.System = []block{{Text: r.System}}
	}
	content := []block{{Text: r.Prompt}}
	if marked {
		content = []block{{Text: r.Prompt[:r.Shared]}, {CachePoint: &cachePoint{Type: "default"}}, {Text: r.Prompt[r.Shared:]}}
	}
	out.Messages = []message{{Role: "user", Content: content}}
	data, _ := json.Marshal(out) // texts and finite numbers: a task's temperature is checked
	return data
}

type responseBody struct {
	Output struct {
		Message *message `json:"message"`
	} `json:"output"`
	StopReason string `json:"stopReason"`
	Usage      struct {
		Input   int64 `json:"inputTokens"` // those that no cache served or took in
		Output  int64 `json:"outputTokens"`
		Read    int64 `json:"cacheReadInputTokens"`
		Written int64 `json:"cacheWriteInputTokens"`
	} `json:"usage"`
}

// read makes an answer of a reply. A reply that is none is no answer: it is not stored, and the request is sent again.
func read(body []byte) (llm.Answer, error) {
	var in responseBody
	if err := json.Unmarshal(body, &in); err != nil || in.Output.Message == nil {
		return llm.Answer{}, errors.New("the teacher's reply is no message")
	}
	var text strings.Builder
	for _, b := range in.Output.Message.Content {
		text.WriteString(b.Text)
	}
	answer := llm.Answer{
		Text: text.String(), Finish: llm.FinishStop,
		Usage:  rebased.Usage{InputTokens: in.Usage.Input + in.Usage.Read + in.Usage.Written, OutputTokens: in.Usage.Output},
		Cached: llm.Cached{Read: in.Usage.Read, Written: in.Usage.Written},
	}
	switch in.StopReason {
	case "max_tokens", "model_context_window_exceeded":
		answer.Finish = llm.FinishLength
	case "guardrail_intervened", "content_filtered":
		answer.Finish = llm.FinishRefused
	}
	return answer, nil
}
