package app

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/anthropic"
	"github.com/rebased/rebased/infra/teacher/bedrock"
	"github.com/rebased/rebased/infra/teacher/openai"
)

var _ activities.Teachers = (*teachers)(nil)

// teachers opens the teachers that tasks name, one connection pool for all. A provider's key goes to the address that the worker has for it and to
// the origins that the operator allows, never to another address that a task file names.
type teachers struct {
	providers map[string]provider

	mu   sync.Mutex
	open map[string]teacher // by provider and base URL
}

// teacher is what an adapter gives.
type teacher interface {
	llm.Teacher
	Models(ctx context.Context) ([]string, error)
}

// provider is one kind of server and the worker's own account with it.
type provider struct {
	baseURL string
	origins []string // that may be sent the key
	connect func(baseURL string, trusted bool) (teacher, error)
}

// newTeachers takes the account that signs for Bedrock and the connection pool that all of them use.
func newTeachers(s settings, signs bedrock.Account, pool *http.Client) *teachers {
	account := func(own, otherwise, key string, connect func(string, string, *http.Client) (teacher, error)) provider {
		if own == "" {
			own = otherwise
		}
		return provider{
			baseURL: own, origins: append(slices.Clone(s.origins), origin(own)),
			connect: func(baseURL string, trusted bool) (teacher, error) {
				if !trusted {
					return connect(baseURL, "", pool)
				}
				return connect(baseURL, key, pool)
			},
		}
	}
	return &teachers{open: map[string]teacher{}, providers: map[string]provider{
		rebased.ProviderOpenAI: account(s.openAIBaseURL, openai.DefaultBaseURL, s.openAIAPIKey, func(baseURL, key string, pool *http.Client) (teacher, error) {
			return openai.New(openai.Config{BaseURL: baseURL, APIKey: key, HTTP: pool})
		}),
		rebased.ProviderAnthropic: account(s.anthropicBaseURL, anthropic.DefaultBaseURL, s.anthropicAPIKey, func(baseURL, key string, pool *http.Client) (teacher, error) {
			return anthropic.New(anthropic.Config{BaseURL: baseURL, APIKey: key, HTTP: pool})
		}),
		rebased.ProviderBedrock: bedrockProvider(s, signs, pool),
	}}
}

// bedrockProvider signs for the worker's own Bedrock and for allowed origins. Another address is refused, since Bedrock answers nobody unknown.
func bedrockProvider(s settings, signs bedrock.Account, pool *http.Client) provider {
	own := cmp.Or(s.bedrockBaseURL, bedrock.BaseURLOf(signs.Region))
	return provider{
		baseURL: own, origins: append(slices.Clone(s.origins), origin(own)),
		connect: func(baseURL string, trusted bool) (teacher, error) {
			if !trusted {
				return nil, rebased.E(rebased.Unauthorized, "transform.teacher.base_url: this worker signs no requests to %s: set AWS_REGION, "+
					"AWS_ENDPOINT_URL_BEDROCK_RUNTIME or REBASED_TEACHER_ORIGINS where it runs", origin(baseURL))
			}
			return bedrock.New(bedrock.Config{BaseURL: baseURL, Account: signs, APIKey: s.bedrockAPIKey, HTTP: pool})
		},
	}
}

// Open implements activities.Teachers.
func (t *teachers) Open(of rebased.Teacher) (llm.Teacher, error) { return t.find(of) }

// Models implements activities.Teachers.
func (t *teachers) Models(ctx context.Context, of rebased.Teacher) ([]string, error) {
	opened, err := t.find(of)
	if err != nil {
		return nil, err
	}
	return opened.Models(ctx)
}

func (t *teachers) find(of rebased.Teacher) (teacher, error) {
	p, known := t.providers[of.Provider]
	if !known {
		return nil, rebased.E(rebased.Invalid, "transform.teacher.provider: this worker has no provider %q", of.Provider)
	}
	baseURL := cmp.Or(of.BaseURL, p.baseURL)
	t.mu.Lock()
	defer t.mu.Unlock()
	name := of.Provider + " " + baseURL
	if opened := t.open[name]; opened != nil {
		return opened, nil
	}
	opened, err := p.connect(baseURL, slices.Contains(p.origins, origin(baseURL)))
	if err != nil {
		return nil, err
	}
	t.open[name] = opened
	return opened, nil
}

// origin is scheme and host of a URL, in lower case; "" when it is none.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}
