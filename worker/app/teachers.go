package app

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/teacher/openai"
)

var _ activities.Teachers = (*teachers)(nil)

// teachers opens the teachers that tasks name, one connection pool for all. The key goes to the worker's own OPENAI_BASE_URL and to the origins
// that the operator allows, never to another address that a task file names.
type teachers struct {
	baseURL string
	key     string
	origins []string
	http    *http.Client

	mu   sync.Mutex
	open map[string]*openai.Teacher // by base URL
}

func newTeachers(s settings) *teachers {
	baseURL := s.openAIBaseURL
	if baseURL == "" {
		baseURL = openai.DefaultBaseURL
	}
	return &teachers{
		baseURL: baseURL, key: s.openAIAPIKey, origins: append(s.origins, origin(baseURL)), http: openai.NewHTTPClient(),
		open: map[string]*openai.Teacher{},
	}
}

// Open implements activities.Teachers.
func (t *teachers) Open(teacher rebased.Teacher) (llm.Teacher, error) { return t.openAI(teacher) }

// Models implements activities.Teachers.
func (t *teachers) Models(ctx context.Context, teacher rebased.Teacher) ([]string, error) {
	opened, err := t.openAI(teacher)
	if err != nil {
		return nil, err
	}
	return opened.Models(ctx)
}

func (t *teachers) openAI(teacher rebased.Teacher) (*openai.Teacher, error) {
	baseURL := teacher.BaseURL
	if baseURL == "" {
		baseURL = t.baseURL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if opened := t.open[baseURL]; opened != nil {
		return opened, nil
	}
	key := t.key
	if !slices.Contains(t.origins, origin(baseURL)) {
		key = ""
	}
	opened, err := openai.New(openai.Config{BaseURL: baseURL, APIKey: key, HTTP: t.http})
	if err != nil {
		return nil, err
	}
	t.open[baseURL] = opened
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
