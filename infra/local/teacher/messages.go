package teacher

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Anthropic's Messages protocol, answered by the same rules.

// messagesRequest is what the teacher reads of a request for a message.
type messagesRequest struct {
	Model     string `json:"model"`
	MaxTokens int    `json:"max_tokens"`
	System    text   `json:"system"`
	Messages  []struct {
		Role    string `json:"role"`
		Content text   `json:"content"`
	} `json:"messages"`
	Stream bool `json:"stream"`
}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// messagesReply is a message as an answer.
type messagesReply struct {
	ID         string      `json:"id"`
	Type       string      `json:"type"`
	Role       string      `json:"role"`
	Model      string      `json:"model"`
	Content    []textBlock `json:"content"`
	StopReason string      `json:"stop_reason"`
	Usage      struct {
		Input  int `json:"input_tokens"`
		Output int `json:"output_tokens"`
	} `json:"usage"`
}

// anthropic is the dialect of messages.
func anthropic() dialect {
	return dialect{read: readMessages, write: writeMessage, problem: anthropicProblem}
}

func readMessages(body []byte) (asked, *refusal) {
	var in messagesRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return asked{}, refuse("the request is no request for a message: " + err.Error())
	}
	switch {
	case in.Stream:
		return asked{}, refuse("stream is not supported by the demo teacher: leave it out")
	case in.MaxTokens < 1:
		return asked{}, refuse("max_tokens is required")
	}
	out := asked{model: in.Model, maxTokens: in.MaxTokens, size: len(in.System)}
	for _, m := range in.Messages {
		out.size += len(m.Content)
		if m.Role == "user" {
			out.prompt = string(m.Content)
		}
	}
	return out, nil
}

func writeMessage(id string, a answer) any {
	out := messagesReply{
		ID: "msg_" + id, Type: "message", Role: "assistant", Model: a.model, Content: []textBlock{{"text", a.text}}, StopReason: "end_turn",
	}
	if a.cut {
		out.StopReason = "max_tokens"
	}
	out.Usage.Input, out.Usage.Output = a.input, a.output
	return out
}

// anthropicProblem is Anthropic's shape of an error.
func anthropicProblem(r refusal) any {
	kinds := map[int]string{
		http.StatusUnauthorized: "authentication_error", http.StatusNotFound: "not_found_error", http.StatusTooManyRequests: "rate_limit_error",
		http.StatusRequestEntityTooLarge: "request_too_large", http.StatusInternalServerError: "api_error",
	}
	kind := kinds[r.status]
	if kind == "" {
		kind = "invalid_request_error"
	}
	return map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": r.message}}
}

// speaksAnthropic tells a request of Anthropic's protocol by its path, or by its key where both have the path.
func speaksAnthropic(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/v1/messages") || r.URL.Path == "/v1/models" && r.Header.Get("X-Api-Key") != ""
}
