// Package openai is the teacher adapter for every server that speaks OpenAI's chat completions protocol (OpenAI, vLLM, TGI, Ollama,
// OpenRouter and others), over the official SDK. It sends a request once; retries are the runner's, in activities/llm.
package openai

import (
	"context"
	"net/http"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// DefaultBaseURL is used where no other is set.
const DefaultBaseURL = "https://api.openai.com/v1"

// Config says which server is asked. The key is held in memory alone: it never stands in an error, a log or a stored answer.
type Config struct {
	BaseURL string // "" = DefaultBaseURL
	APIKey  string // "" = no Authorization header
	HTTP    *http.Client
	Now     func() time.Time // nil = time.Now
}

// Teacher implements llm.Batcher.
type Teacher struct {
	endpoint string
	chat     sdk.ChatCompletionService
	models   sdk.ModelService
	openAI   bool // OpenAI itself wants max_completion_tokens, other servers know max_tokens
	key      string
	now      func() time.Time
	schemas  schemas
}

var _ llm.Batcher = (*Teacher)(nil)

// New checks the address; it makes no connection.
func New(c Config) (*Teacher, error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	address, err := client.Address(c.BaseURL)
	if err != nil {
		return nil, err
	}
	if c.HTTP == nil {
		c.HTTP = client.NewHTTP()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	endpoint := strings.TrimSuffix(c.BaseURL, "/")
	options := []option.RequestOption{option.WithBaseURL(endpoint + "/"), option.WithHTTPClient(c.HTTP), option.WithMaxRetries(0)}
	if c.APIKey != "" {
		options = append(options, option.WithAPIKey(c.APIKey))
	}
	return &Teacher{
		endpoint: endpoint, chat: sdk.NewChatCompletionService(options...), models: sdk.NewModelService(options...),
		openAI: address.Hostname() == "api.openai.com", key: c.APIKey, now: c.Now,
	}, nil
}

// Endpoint implements llm.Teacher.
func (t *Teacher) Endpoint() string { return t.endpoint }

// Ask implements llm.Teacher.
func (t *Teacher) Ask(ctx context.Context, r llm.Request) (llm.Answer, error) {
	var body []byte
	var response *http.Response
	try := func(schema bool) error {
		_, err := t.chat.New(
			ctx, sdk.ChatCompletionNewParams{},
			option.WithRequestBody("application/json", t.body(r, schema)), option.WithResponseBodyInto(&body), option.WithResponseInto(&response),
		)
		return err
	}
	ask := func() error { return try(false) }
	if r.Schema != "" {
		ask = func() error { return t.schemas.ask(r.Model, try) }
	}
	if err := ask(); err != nil {
		return llm.Answer{}, t.kindOf(ctx, err)
	}
	answer, err := read(body)
	if err != nil {
		return llm.Answer{}, &rebased.Error{Kind: rebased.Unavailable, Op: "ask the teacher at " + t.endpoint, Err: err}
	}
	answer.At, answer.Rate = t.now().UnixMilli(), rateLimit(response.Header)
	return answer, nil
}

// Models lists the models that the server offers.
func (t *Teacher) Models(ctx context.Context) ([]string, error) {
	page, err := t.models.List(ctx)
	if err != nil {
		return nil, t.kindOf(ctx, err)
	}
	names := make([]string, 0, len(page.Data))
	for _, m := range page.Data {
		names = append(names, m.ID)
	}
	return names, nil
}
