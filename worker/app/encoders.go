package app

import (
	"context"
	"strings"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/infra/encoder/openai"
	"github.com/rebased/rebased/infra/encoder/static"
)

var _ activities.Encoders = (*encoders)(nil)

// encoders opens encoders by the names that task files use and keeps them open.
type encoders struct {
	baseURL, key string

	mu   sync.Mutex
	open map[string]rebased.Encoder
}

func newEncoders(s settings) *encoders {
	return &encoders{baseURL: s.openAIBaseURL, key: s.openAIAPIKey, open: map[string]rebased.Encoder{}}
}

// Open implements activities.Encoders.
func (e *encoders) Open(ctx context.Context, name string) (rebased.Encoder, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if opened := e.open[name]; opened != nil {
		return opened, nil
	}
	opened, err := e.make(ctx, name)
	if err == nil {
		e.open[name] = opened
	}
	return opened, err
}

func (e *encoders) make(ctx context.Context, name string) (rebased.Encoder, error) {
	if name == "static" {
		return static.New()
	}
	model, ok := strings.CutPrefix(name, "openai:")
	if !ok {
		return nil, rebased.E(rebased.Invalid, "encoder %q: must be static or openai:<model>", name)
	}
	return openai.New(ctx, openai.Config{BaseURL: e.baseURL, APIKey: e.key, Model: model})
}
