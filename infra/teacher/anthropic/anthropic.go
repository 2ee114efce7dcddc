// Package anthropic is the teacher adapter for Anthropic's Messages API, over the official SDK. It sends a request once; retries are the runner's, in
// activities/llm. What all prompts of a step begin with goes into the provider's prompt cache.
package anthropic

import (
	"context"
	"net/http"
	"strings"
	"time"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/client"
)

// DefaultBaseURL is used where no other is set.
const DefaultBaseURL = "https://api.anthropic.com"

// Config says which server is asked. The key is held in memory alone: it never stands in an error, a log or a stored answer.
type Config struct {
	BaseURL string // "" = DefaultBaseURL
	APIKey  string // "" = no x-api-key header
	HTTP    *http.Client
	Now     func() time.Time // nil = time.Now
}

// Teacher implements llm.Batcher.
type Teacher struct {
	endpoint string
	sdk      sdk.Client
	key      string
	now      func() time.Time
}

var _ llm.Batcher = (*Teacher)(nil)

// New checks the address; it makes no connection.
func New(c Config) (*Teacher, error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if _, err := client.Address(c.BaseURL); err != nil {
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
	return &Teacher{endpoint: endpoint, sdk: sdk.Client{Options: options}, key: c.APIKey, now: c.Now}, nil
}

// Endpoint implements llm.Teacher.
func (t *Teacher) Endpoint() string { return t.endpoint }

// Ask implements llm.Teacher.
func (t *Teacher) Ask(ctx context.Context, r llm.Request) (llm.Answer, error) {
	var body []byte
	var response *http.Response
	err := t.sdk.Post(ctx, "v1/messages", nil, &body, option.WithRequestBody("application/json", requestOf(r)), option.WithResponseInto(&response))
	if err != nil {
		return llm.Answer{}, t.kindOf(ctx, err)
	}
	answer, err := read(body)
	if err != nil {
		return llm.Answer{}, &rebased.Error{Kind: rebased.Unavailable, Op: "ask the teacher at " + t.endpoint, Err: err}
	}
	answer.At, answer.Rate = t.now().UnixMilli(), rateLimit(response.Header, t.now())
	return answer, nil
}

// Models lists the models that the server offers, at most a thousand.
func (t *Teacher) Models(ctx context.Context) ([]string, error) {
	var page struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := t.sdk.Get(ctx, "v1/models", nil, &page, option.WithQuery("limit", "1000")); err != nil {
		return nil, t.kindOf(ctx, err)
	}
	names := make([]string, 0, len(page.Data))
	for _, m := range page.Data {
		names = append(names, m.ID)
	}
	return names, nil
}
