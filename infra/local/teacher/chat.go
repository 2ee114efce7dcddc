package teacher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxRequest is the size of the largest request, in bytes.
const maxRequest = 4 << 20

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

// refusal is an answer of status 4xx.
type refusal struct {
	status        int
	code, message string
}

func refuse(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, message: message}
}

// chat answers one chat completion.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil { // the client left, or sends too much
		writeJSON(w, http.StatusRequestEntityTooLarge, problem("invalid_request_error", "", "the request could not be read: "+err.Error()))
		return
	}
	id := sha256.Sum256(body)
	attempt := s.book.begin(id)
	defer s.book.end()

	answer, refused := s.answer(body)
	if refused != nil {
		s.book.refused()
		s.config.Logger.Info("refused a request", "status", refused.status, "why", refused.message)
		writeJSON(w, refused.status, problem("invalid_request_error", refused.code, refused.message))
		return
	}
	faults := s.present()
	retryAfter, ok := s.gate.enter(faults.Limits, w.Header())
	if !ok {
		s.book.limited()
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		writeJSON(w, http.StatusTooManyRequests, problem("requests", "rate_limit_exceeded", "rate limit reached"))
		return
	}
	defer s.gate.leave()
	fault := faults.draw(id, attempt)
	if fault == down {
		if s.book.allow(down, faults.Count) {
			cutOff(w, nil)
			return
		}
		fault = ""
	}
	if !wait(r.Context(), s.config.Latency+faults.latency()) {
		return
	}
	if fault != "" && !s.book.allow(fault, faults.Count) {
		fault = ""
	}
	answer.ID = "chatcmpl-" + hex.EncodeToString(id[:12])
	if s.send(w, r, answer, fault, faults) {
		s.book.answered(id, answer.Usage.Total)
	}
}

// answer makes the whole answer to a request.
func (s *Server) answer(body []byte) (completion, *refusal) {
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		return completion{}, refuse("the request is no chat completion: " + err.Error())
	}
	switch {
	case in.Model != s.model:
		return completion{}, &refusal{http.StatusNotFound, "model_not_found", "no model " + strconv.Quote(in.Model) + " here: this is " + s.model}
	case in.Stream:
		return completion{}, refuse("stream is not supported by the demo teacher: leave it out")
	case in.N != nil && *in.N != 1:
		return completion{}, refuse("n must be 1: the demo teacher gives one answer")
	}
	prompt, size := "", 0
	for _, m := range in.Messages {
		size += len(m.Content)
		if m.Role == "user" {
			prompt = string(m.Content)
		}
	}
	content, err := s.reply(prompt)
	if err != nil {
		return completion{}, refuse(err.Error())
	}
	content, finish := limit(content, max(in.MaxTokens, in.MaxCompletionTokens))
	used := usage{Prompt: tokens(size), Completion: tokens(len(content))}
	used.Total = used.Prompt + used.Completion
	return completion{
		Object: "chat.completion", Created: created, Model: s.model, Usage: used,
		Choices: []choice{{Message: message{Role: "assistant", Content: content}, FinishReason: finish}},
	}, nil
}

// reply is the text that answers a prompt.
func (s *Server) reply(prompt string) (string, error) {
	q, err := parse(prompt)
	switch {
	case err != nil:
		return "", err
	case s.replies != nil && q.kind == reasonPrompt:
		return "", errors.New("a replayed teacher cannot reason: it has recorded answers to transform prompts only, use reason.mode none")
	case s.replies != nil:
		return s.replies.reply(prompt), nil
	case q.kind == reasonPrompt:
		return rationale(q)
	}
	return transformed(q, s.formOf(q.examples))
}

// bytesPerToken is how the teacher counts tokens.
const bytesPerToken = 4

func tokens(size int) int { return (size + bytesPerToken - 1) / bytesPerToken }

// limit cuts an answer at a number of tokens; 0 is no limit.
func limit(content string, maxTokens int) (cut, finish string) {
	if maxTokens <= 0 || tokens(len(content)) <= maxTokens {
		return content, "stop"
	}
	end := maxTokens * bytesPerToken
	for !utf8.RuneStart(content[end]) {
		end--
	}
	return content[:end], "length"
}

// wait reports false when the client left.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send writes the answer, or what a fault makes of it, and reports whether a whole answer of status 200 was sent.
func (s *Server) send(w http.ResponseWriter, r *http.Request, answer completion, fault fault, f *Faults) bool {
	switch fault {
	case throttled:
		if f.RetryAfterS > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfterS))
		}
		writeJSON(w, http.StatusTooManyRequests, problem("requests", "rate_limit_exceeded", "rate limit reached (injected)"))
		return false
	case failed:
		writeJSON(w, http.StatusInternalServerError, problem("server_error", "", "the server failed (injected)"))
		return false
	case hanging:
		<-r.Context().Done()
		return false
	case prose:
		answer.Choices[0].Message.Content = "I am sorry, I could not find a good example in this row. Shall I try another one?"
	case empty:
		answer.Choices[0].Message.Content = ""
	}
	data, err := json.Marshal(answer)
	if err != nil { // every answer can be marshaled
		panic(err)
	}
	contentType := "application/json"
	if fault == page {
		data, contentType = []byte("<html><body>A proxy's page.</body></html>"), "text/html"
	}
	if fault == cut {
		cutOff(w, data)
		return false
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if _, err := w.Write(data); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil && fault != page
}

// cutOff sends half of an answer, or nothing at all when there is none, and closes the connection.
func cutOff(w http.ResponseWriter, data []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no HTTP/1 connection: the answer is cut off all the same
	}
	defer func() { _ = conn.Close() }()
	if data == nil {
		return
	}
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(data)) + "\r\n\r\n"
	_, _ = io.Copy(conn, strings.NewReader(head+string(data[:len(data)/2])))
}
