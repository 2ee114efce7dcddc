package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/infra/encoder/openai"
	"github.com/rebased/rebased/infra/encoder/patient"
	"github.com/rebased/rebased/infra/encoder/static"
	"github.com/rebased/rebased/infra/encoder/transformer"
	"github.com/rebased/rebased/infra/encoder/windows"
)

var _ activities.Encoders = (*encoders)(nil)

// How models are kept.
const (
	// openWithin bounds how long the files of a model may take: the largest have 2 GiB.
	openWithin = 30 * time.Minute
	// keptOpen is how many models stay open: those used last. A task uses two.
	keptOpen = 4
)

// encoders opens encoders by the names that task files use and keeps those used last open. One that is kept no longer ends with its last user.
type encoders struct {
	baseURL, key string
	library      string // of onnxruntime
	models       models
	life         context.Context //nolint:containedctx // of the worker: an opening outlives the call that began it

	mu   sync.Mutex
	kept []*opening // the one used last stands last
}

// opening is an encoder that is open, or is being opened, for all who have asked for it.
type opening struct {
	name    string
	done    chan struct{} // closed when what follows is there
	encoder rebased.Encoder
	err     error
}

// newEncoders makes the encoders of a worker that lives as long as ctx.
func newEncoders(ctx context.Context, s settings, m models) *encoders {
	return &encoders{life: ctx, baseURL: s.openAIBaseURL, key: s.openAIAPIKey, library: s.onnxruntime, models: m}
}

// Resolve implements activities.Encoders.
func (e *encoders) Resolve(ctx context.Context, name string) (string, error) {
	kind, model, _ := strings.Cut(name, ":")
	if kind != rebased.EncoderStatic && kind != rebased.EncoderTransformer {
		return name, nil
	}
	if kind == rebased.EncoderTransformer {
		if _, err := e.runtime(); err != nil { // before anybody is asked for a model that cannot be used
			return "", fmt.Errorf("open encoder %s: %w", name, err)
		}
	}
	pinned, err := e.models.pin(ctx, model)
	if err != nil {
		return "", fmt.Errorf("open encoder %s: %w", name, err)
	}
	if pinned == model {
		return name, nil
	}
	return kind + ":" + pinned, nil
}

// Open implements activities.Encoders. Callers of one model share one opening, which goes on when they leave; one that fails is forgotten.
func (e *encoders) Open(ctx context.Context, name string) (rebased.Encoder, error) {
	name, err := e.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	o := e.opening(name) //nolint:contextcheck // it outlives the call that began it
	select {
	case <-o.done:
		return o.encoder, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *encoders) opening(name string) *opening {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := slices.IndexFunc(e.kept, func(o *opening) bool { return o.name == name })
	if at >= 0 {
		o := e.kept[at]
		e.kept = append(slices.Delete(e.kept, at, at+1), o)
		return o
	}
	o := &opening{name: name, done: make(chan struct{})}
	e.kept = append(e.kept, o)
	go e.open(o)
	return o
}

// open does an opening, then keeps no more than the last ones.
func (e *encoders) open(o *opening) {
	ctx, cancel := context.WithTimeout(e.life, openWithin)
	defer cancel()
	o.encoder, o.err = e.load(ctx, o.name)
	if o.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		o.err = rebased.E(rebased.Unavailable, "open encoder %s: it was not read within %v: %w", o.name, openWithin, o.err)
	}
	e.mu.Lock()
	if o.err != nil {
		e.kept = slices.DeleteFunc(e.kept, func(k *opening) bool { return k == o })
	}
	close(o.done)
	for surplus := len(e.kept) - keptOpen; surplus > 0; surplus-- {
		oldest := slices.IndexFunc(e.kept, (*opening).ended)
		if oldest < 0 {
			break
		}
		e.kept = slices.Delete(e.kept, oldest, oldest+1)
	}
	e.mu.Unlock()
}

func (o *opening) ended() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// load reads a model. It runs beside all activities: what a file makes panic ends its own opening alone.
func (e *encoders) load(ctx context.Context, name string) (encoder rebased.Encoder, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = rebased.E(rebased.Invalid, "open encoder %s: %v", name, fault)
		}
	}()
	plain, window, err := e.plain(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open encoder %s: %w", name, err)
	}
	return windows.New(plain, windows.Of(window))
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

func (e *encoders) runtime() (*transformer.Runtime, error) {
	if e.library == "" {
		return nil, rebased.E(rebased.Invalid, "no onnxruntime is named to the worker: set ORT_DYLIB_PATH to its shared library, version 1.24 or newer")
	}
	return transformer.OpenRuntime(e.library)
}

func (e *encoders) transformer(ctx context.Context, model string) (rebased.Encoder, int, error) {
	onnxruntime, err := e.runtime()
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
