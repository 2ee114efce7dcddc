package teacher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased/infra/local/teacher"
)

const key = "secret-key"

// client asks a teacher over HTTP.
type client struct {
	t   testing.TB
	url string
	key string
}

func serve(t testing.TB, c teacher.Config) client {
	t.Helper()
	c.APIKey = key
	server, err := teacher.New(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	return client{t: t, url: web.URL, key: key}
}

// reply is what came back, whichever shape it has.
type reply struct {
	status int
	header http.Header
	raw    []byte

	ID      string
	Model   string
	Object  string
	Choices []struct {
		Message      struct{ Role, Content string }
		FinishReason string `json:"finish_reason"`
	}
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
	Error struct{ Message, Type, Code string }
	Data  []struct{ ID string }
}

func (r reply) content() string {
	if len(r.Choices) != 1 {
		return ""
	}
	return r.Choices[0].Message.Content
}

// do sends a request; err is what the transport said.
func (c client) do(method, path string, body any) (out reply, err error) {
	c.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(data))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return out, err
	}
	defer response.Body.Close()
	if out.raw, err = io.ReadAll(response.Body); err != nil {
		return out, err
	}
	_ = json.Unmarshal(out.raw, &out) // a page is no JSON
	out.status, out.header = response.StatusCode, response.Header
	return out, nil
}

func (c client) must(method, path string, body any) reply {
	c.t.Helper()
	out, err := c.do(method, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c client) stats() teacher.Stats {
	c.t.Helper()
	var s teacher.Stats
	if err := json.Unmarshal(c.must("GET", "/stats", nil).raw, &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

type message struct {
	Role    string `json:"role"`
	Content any    `json:"content"`
}

type request struct {
	Model     string    `json:"model"`
	Messages  []message `json:"messages"`
	Stream    bool      `json:"stream,omitempty"`
	N         int       `json:"n,omitempty"`
	MaxTokens int       `json:"max_tokens,omitempty"`
}

// asking is a request with a prompt.
func asking(prompt string) request {
	return request{Model: teacher.DemoModel, Messages: []message{{"system", "You are a teacher."}, {"user", prompt}}}
}

func (c client) ask(r request) reply {
	c.t.Helper()
	return c.must("POST", "/v1/chat/completions", r)
}

// askUntil asks a prompt and leaves when ctx is done.
func (c client) askUntil(ctx context.Context, prompt string) error {
	data, err := json.Marshal(asking(prompt))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/chat/completions", bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// head is what prompts begin with; the examples alternate input and output.
func head(examples ...string) string {
	var b strings.Builder
	b.WriteString("## Task\nDo what the examples show.\n## Row\nis a title that an instruction may hold.\n\n## Examples\n")
	for i := 0; i < len(examples); i += 2 {
		b.WriteString(`{"input": ` + quote(examples[i]) + `, "output": ` + quote(examples[i+1]) + "}\n")
	}
	return b.String()
}

var squad = head(
	"Question: What city did Super Bowl 50 take place in? Context: Super Bowl 50 was played in Santa Clara.", "Santa Clara",
	"Question: What river runs through Warsaw? Context: Warsaw stands on the Vistula River.", "Vistula River",
)

var labels = head("not True is", "We negate it. The answer is False.", "True or True is", "We join them. The answer is True.", "not False or False is", "The answer is True.")

func transformPrompt(head, row string) string { return head + "\n## Row\n" + row }

func reasonPrompt(head, input, output string) string {
	return head + "\n## Input\n" + quote(input) + "\n\n## Output\n" + quote(output) + "\n"
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "replay.jsonl")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
