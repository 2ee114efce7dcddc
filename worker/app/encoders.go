package app

import (
	"context"
	"strings"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/infra/encoder/openai"
	"github.com/rebased/rebased/infra/encoder/static"
	"github.com/rebased/rebased/infra/encoder/windows"
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

// What encoders take in of a text, bytes: longer ones are cut into windows. A table takes in any length, but a mean of many words says little.
const (
	staticWindow = 1000
	// longWindow is for models that read 8,192 tokens: a token is a byte or more, whatever the script.
	longWindow = 8000
	// shortWindow is for all other models: 256 word pieces of European text, 512 of most scripts.
	shortWindow = 1000
)

func (e *encoders) make(ctx context.Context, name string) (rebased.Encoder, error) {
	plain, window, err := e.plain(ctx, name)
	if err != nil {
		return nil, err
	}
	return windows.New(plain, windows.Of(window))
}

// plain opens an encoder and says what it takes in of a text.
func (e *encoders) plain(ctx context.Context, name string) (encoder rebased.Encoder, window int, err error) {
	if name == "static" {
		encoder, err = static.New()
		return encoder, staticWindow, err
	}
	model, ok := strings.CutPrefix(name, "openai:")
	if !ok {
		return nil, 0, rebased.E(rebased.Invalid, "encoder %q: must be static or openai:<model>", name)
	}
	window = shortWindow
	if strings.HasPrefix(model, "text-embedding-") {
		window = longWindow
	}
	encoder, err = openai.New(ctx, openai.Config{BaseURL: e.baseURL, APIKey: e.key, Model: model})
	return encoder, window, err
}
