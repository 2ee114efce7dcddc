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

// dialect is how one protocol says what all say alike.
type dialect struct {
	read    func(body []byte) (asked, *refusal)
	write   func(id string, a answer) any // the body of an answer
	problem func(r refusal) any           // the body of an error
}

// asked is a request.
type asked struct {
	model     string
	prompt    string // of the user
	size      int    // of all texts, in bytes
	maxTokens int    // 0 = no limit
}

// answer is what the teacher says to a request.
type answer struct {
	model, text   string
	cut           bool // at maxTokens
	input, output int  // tokens
}

// refusal is an answer of status 4xx or 5xx.
type refusal struct {
	status              int
	kind, code, message string
}

func refuse(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, kind: "invalid_request_error", message: message}
}

// online answers one request of a dialect.
func (s *Server) online(d dialect) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil { // the client left, or sends too much
			d.refuse(w, refusal{http.StatusRequestEntityTooLarge, "invalid_request_error", "", "the request could not be read: " + err.Error()})
			return
		}
		id := sha256.Sum256(body)
		attempt := s.book.begin(id)
		defer s.book.end()
		a, refused := s.answer(d, body)
		if refused != nil {
			s.book.refused()
			s.config.Logger.Info("refused a request", "status", refused.status, "why", refused.message)
			d.refuse(w, *refused)
			return
		}
		faults := s.present()
		retryAfter, ok := s.gate.enter(faults.Limits, w.Header())
		if !ok {
			s.book.limited()
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
			d.refuse(w, tooMany("rate limit reached"))
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
		if s.send(w, r, d, hex.EncodeToString(id[:12]), a, fault, faults) {
			s.book.answered(id, a.input+a.output)
		}
	}
}

func (d dialect) refuse(w http.ResponseWriter, r refusal) { writeJSON(w, r.status, d.problem(r)) }

func tooMany(message string) refusal {
	return refusal{http.StatusTooManyRequests, "requests", "rate_limit_exceeded", message}
}

// answer makes the answer to a request.
func (s *Server) answer(d dialect, body []byte) (answer, *refusal) {
	in, refused := d.read(body)
	if refused != nil {
		return answer{}, refused
	}
	if in.model != s.model {
		message := "no model " + strconv.Quote(in.model) + " here: this is " + s.model
		return answer{}, &refusal{http.StatusNotFound, "invalid_request_error", "model_not_found", message}
	}
	text, err := s.reply(in.prompt)
	if err != nil {
		return answer{}, refuse(err.Error())
	}
	text, cut := limit(text, in.maxTokens)
	return answer{model: s.model, text: text, cut: cut, input: tokens(in.size), output: tokens(len(text))}, nil
}

// reply is the text that answers a prompt.
func (s *Server) reply(prompt string) (string, error) {
	q, err := parse(prompt)
	switch {
	case err != nil:
		return "", err
	case s.replies != nil && q.kind != transformPrompt:
		return "", errors.New("a replayed teacher cannot reason: it has recorded answers to transform prompts only, use reason.mode none and no judge")
	case s.replies != nil:
		return s.replies.reply(prompt), nil
	case q.kind == reasonPrompt:
		return rationale(q)
	case q.kind == judgePrompt:
		return scored(q), nil
	case q.kind == solvePrompt:
		return solved(q, s.formOf(q.examples))
	}
	return transformed(q, s.formOf(q.examples))
}

// bytesPerToken is how the teacher counts tokens.
const bytesPerToken = 4

func tokens(size int) int { return (size + bytesPerToken - 1) / bytesPerToken }

// limit cuts an answer at a number of tokens; 0 is no limit.
func limit(content string, maxTokens int) (text string, cut bool) {
	if maxTokens <= 0 || tokens(len(content)) <= maxTokens {
		return content, false
	}
	end := maxTokens * bytesPerToken
	for !utf8.RuneStart(content[end]) {
		end--
	}
	return content[:end], true
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
func (s *Server) send(w http.ResponseWriter, r *http.Request, d dialect, id string, a answer, fault fault, f *Faults) bool {
	switch fault {
	case throttled:
		if f.RetryAfterS > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfterS))
		}
		d.refuse(w, tooMany("rate limit reached (injected)"))
		return false
	case failed:
		d.refuse(w, refusal{http.StatusInternalServerError, "server_error", "", "the server failed (injected)"})
		return false
	case hanging:
		<-r.Context().Done()
		return false
	case prose:
		a.text = "I am sorry, I could not find a good example in this row. Shall I try another one?"
	case empty:
		a.text = ""
	}
	data, err := json.Marshal(d.write(id, a))
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
