package app

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/infra/encoder/openai"
	"github.com/rebased/rebased/infra/encoder/patient"
	"github.com/rebased/rebased/infra/encoder/static"
	"github.com/rebased/rebased/infra/encoder/transformer"
	"github.com/rebased/rebased/infra/encoder/windows"
)

var _ activities.Encoders = (*encoders)(nil)

// encoders opens encoders by the names that task files use and keeps them open.
type encoders struct {
	baseURL, key string
	library      string // of onnxruntime
	models       models

	mu   sync.Mutex
	open map[string]rebased.Encoder
}

func newEncoders(s settings, m models) *encoders {
	return &encoders{baseURL: s.openAIBaseURL, key: s.openAIAPIKey, library: s.onnxruntime, models: m, open: map[string]rebased.Encoder{}}
}

// Open implements activities.Encoders.
func (e *encoders) Open(ctx context.Context, name string) (rebased.Encoder, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if opened := e.open[name]; opened != nil {
		return opened, nil
	}
	plain, window, err := e.plain(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open encoder %s: %w", name, err)
	}
	opened, err := windows.New(plain, windows.Of(window))
	if err == nil {
		e.open[name] = opened
	}
	return opened, err
}

// What encoders take in of a text, bytes: longer ones are cut into windows.
const (
	// staticWindow is as for the transformers that tables are made after. A table takes in any length, but a sum of very many words says little.
	staticWindow = 1000
	// longWindow is for models that read 8,192 tokens: a token is a byte or more, whatever the script.
	longWindow = 8000
	// shortWindow is for all other models of a server: 256 word pieces of English, and no more than 512 of most scripts.
	shortWindow = 1000
)

// plain opens an encoder and says what it takes in of a text.
func (e *encoders) plain(ctx context.Context, name string) (encoder rebased.Encoder, window int, err error) {
	if name == rebased.EncoderStatic {
		encoder, err = static.New()
		return encoder, staticWindow, err
	}
	kind, model, _ := strings.Cut(name, ":")
	switch kind {
	case rebased.EncoderStatic:
		encoder, err = e.static(ctx, model)
		return encoder, staticWindow, err
	case rebased.EncoderTransformer:
		return e.transformer(ctx, model)
	case rebased.EncoderOpenAI:
		window = shortWindow
		if strings.HasPrefix(model, "text-embedding-") {
			window = longWindow
		}
		server, err := openai.New(ctx, openai.Config{BaseURL: e.baseURL, APIKey: e.key, Model: model})
		return patient.New(server, nil), window, err
	}
	return nil, 0, rebased.E(rebased.Invalid, "must be static, static:<model>, transformer:<model> or openai:<model>")
}

func (e *encoders) static(ctx context.Context, model string) (rebased.Encoder, error) {
	folder, err := e.models.folder(ctx, model)
	if err != nil {
		return nil, err
	}
	return static.Load(folder)
}

func (e *encoders) transformer(ctx context.Context, model string) (rebased.Encoder, int, error) {
	if e.library == "" {
		return nil, 0, rebased.E(rebased.Invalid, "no onnxruntime is named to the worker: set ORT_DYLIB_PATH to its shared library, version 1.24 or newer")
	}
	onnxruntime, err := transformer.OpenRuntime(e.library)
	if err != nil {
		return nil, 0, err
	}
	folder, err := e.models.folder(ctx, model)
	if err != nil {
		return nil, 0, err
	}
	opened, err := onnxruntime.Load(folder)
	if err != nil {
		return nil, 0, err
	}
	return opened, opened.Window(), nil
}
