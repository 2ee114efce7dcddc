// Package openai encodes texts by any server of the OpenAI protocol's /v1/embeddings: the vendor's own, or one that serves a sentence
// transformer on a machine of the user's. It is the encoder for production, where the embedded one is a default that needs nothing.
//
// It makes one request a batch and none again: infra/encoder/patient does, told by the errors' kinds.
package openai

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/rebased/rebased"
)

// What goes into one request at most, but that a text is never split, and what is read of an answer.
const (
	maxTexts    = 256
	maxBytes    = 200_000
	maxResponse = 64 << 20
	maxRefusal  = 64 << 10
)

const (
	defaultBaseURL      = "https://api.openai.com/v1"
	defaultMaxTextBytes = 8000
	defaultTimeout      = 2 * time.Minute
	maxRetryAfter       = 24 * time.Hour // that a server asks for
)

// Config says which server and model encode.
type Config struct {
	BaseURL string // up to and with /v1; empty = OpenAI's
	APIKey  string // empty = none is sent, for servers that ask for none
	Model   string
	// Dimensions are asked of the server and expected of it; 0 = the model's own, found out by encoding one text in New.
	Dimensions int
	// MaxTextBytes is where longer texts are cut, 0 = 8,000. Since a token is a byte or more, that fits models of 8,192 tokens whatever
	// the script; smaller models need servers that cut texts, or a smaller bound.
	MaxTextBytes int
	HTTPClient   *http.Client // nil = one with a time-out of two minutes
}

func (c *Config) validate() error {
	if c.BaseURL == "" {
		c.BaseURL = defaultBaseURL
	}
	if u, err := url.Parse(c.BaseURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return rebased.E(rebased.Invalid, "base URL of the embeddings server must be http(s)://host[:port]/v1")
	}
	if c.Model == "" {
		return rebased.E(rebased.Invalid, "no model is named for the embeddings server")
	}
	if c.Dimensions < 0 || c.Dimensions > 1<<16 {
		return rebased.E(rebased.Invalid, "dimensions are %d, must be 0 (the model's own) to 65536", c.Dimensions)
	}
	if c.MaxTextBytes < 0 {
		return rebased.E(rebased.Invalid, "texts are cut at %d bytes, must be 1 or more (0 = %d)", c.MaxTextBytes, defaultMaxTextBytes)
	}
	if c.MaxTextBytes == 0 {
		c.MaxTextBytes = defaultMaxTextBytes
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: defaultTimeout}
	}
	return nil
}

// Encoder asks a server for vectors. It is safe for use by several goroutines.
type Encoder struct {
	service      sdk.EmbeddingService
	model        string
	key          string
	asked        int // dimensions to ask for; 0 = do not say
	dimensions   int
	maxTextBytes int
}

var _ rebased.Encoder = (*Encoder)(nil)

// New makes an encoder. With Config.Dimensions 0 it asks the server once, and fails as Encode does.
func New(ctx context.Context, cfg Config) (*Encoder, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	e := &Encoder{model: cfg.Model, key: cfg.APIKey, asked: cfg.Dimensions, dimensions: cfg.Dimensions, maxTextBytes: cfg.MaxTextBytes}
	options := []option.RequestOption{
		option.WithBaseURL(cfg.BaseURL), option.WithHTTPClient(cfg.HTTPClient), option.WithMaxRetries(0), option.WithMiddleware(e.answered),
	}
	if cfg.APIKey != "" {
		options = append(options, option.WithAPIKey(cfg.APIKey))
	}
	e.service = sdk.NewEmbeddingService(options...)
	if e.dimensions == 0 {
		vectors, err := e.request(ctx, []string{"How many dimensions has a vector?"})
		if err != nil {
			return nil, err
		}
		e.dimensions = len(vectors[0])
	}
	return e, nil
}

// Identity is "openai:<model>:<dimensions>". The server's address is no part of it: a model may move.
func (e *Encoder) Identity() string { return fmt.Sprintf("openai:%s:%d", e.model, e.dimensions) }

// Dimensions is the length of every vector.
func (e *Encoder) Dimensions() int { return e.dimensions }

// Encode gives one unit vector a text, in order; a text of nothing but white space is not sent and gives the zero vector. Errors are the
// context's, or of kind Throttled (with what the server asked to wait), Exhausted, Unauthorized, Unavailable, NotFound (the model,
// or the address) or Invalid: these texts, perhaps for their size.
func (e *Encoder) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([][]float32, len(texts))
	for _, b := range e.batches(texts) {
		vectors, err := e.request(ctx, b.texts)
		if err != nil {
			return nil, err
		}
		for i, v := range vectors {
			out[b.places[i]] = v
		}
	}
	for i := range out {
		if out[i] == nil {
			out[i] = make([]float32, e.dimensions)
		}
	}
	return out, nil
}

// batch is what one request carries, and where its texts stood.
type batch struct {
	texts  []string
	places []int
	bytes  int
}

func (e *Encoder) batches(texts []string) []batch {
	var out []batch
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		text = cut(text, e.maxTextBytes)
		if n := len(out); n == 0 || len(out[n-1].texts) == maxTexts || out[n-1].bytes+len(text) > maxBytes {
			out = append(out, batch{})
		}
		last := &out[len(out)-1]
		last.texts, last.places, last.bytes = append(last.texts, text), append(last.places, i), last.bytes+len(text)
	}
	return out
}

// cut shortens a text to at most limit bytes, between characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// request asks for the vectors of one batch.
func (e *Encoder) request(ctx context.Context, texts []string) ([][]float32, error) {
	params := sdk.EmbeddingNewParams{Model: e.model, Input: sdk.EmbeddingNewParamsInputUnion{OfArrayOfStrings: texts}}
	if e.asked > 0 {
		params.Dimensions = sdk.Int(int64(e.asked))
	}
	answer, err := e.service.New(ctx, params)
	if err != nil {
		return nil, translate(ctx, err, e.key)
	}
	return e.vectors(answer.Data, len(texts))
}
