package teacher

import (
	"encoding/json"
	"errors"
	"strconv"
)

// created is the time that every answer and model carries: an answer depends on nothing but its prompt.
const created = 1_700_000_000

// request is what the teacher reads of a chat completion's request.
type request struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content text   `json:"content"`
	} `json:"messages"`
	Stream              bool `json:"stream"`
	N                   *int `json:"n"`
	MaxTokens           int  `json:"max_tokens"`
	MaxCompletionTokens int  `json:"max_completion_tokens"`
}

// text is a message's content: a string, or a list of parts of type text.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '[' {
		return json.Unmarshal(data, (*string)(t))
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		if p.Type != "text" {
			return errors.New("a message has a part of type " + strconv.Quote(p.Type) + ": this teacher reads text only")
		}
		*t += text(p.Text)
	}
	return nil
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type choice struct {
	Index        int     `json:"index"`
	Message      message `json:"message"`
	FinishReason string  `json:"finish_reason"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

// completion is the answer.
type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   usage    `json:"usage"`
}

// openAI is the dialect of chat completions.
func openAI() dialect { return dialect{read: readChat, write: writeChat, problem: openAIProblem} }

func readChat(body []byte) (asked, *refusal) {
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		return asked{}, refuse("the request is no chat completion: " + err.Error())
	}
	switch {
	case in.Stream:
		return asked{}, refuse("stream is not supported by the demo teacher: leave it out")
	case in.N != nil && *in.N != 1:
		return asked{}, refuse("n must be 1: the demo teacher gives one answer")
	}
	out := asked{model: in.Model, maxTokens: max(in.MaxTokens, in.MaxCompletionTokens)}
	for _, m := range in.Messages {
		out.size += len(m.Content)
		if m.Role == "user" {
			out.prompt = string(m.Content)
		}
	}
	return out, nil
}

func writeChat(id string, a answer) any {
	finish := "stop"
	if a.cut {
		finish = "length"
	}
	return completion{
		ID: "chatcmpl-" + id, Object: "chat.completion", Created: created, Model: a.model,
		Choices: []choice{{Message: message{Role: "assistant", Content: a.text}, FinishReason: finish}},
		Usage:   usage{Prompt: a.input, Completion: a.output, Total: a.input + a.output},
	}
}

func openAIProblem(r refusal) any { return problem(r.kind, r.code, r.message) }
