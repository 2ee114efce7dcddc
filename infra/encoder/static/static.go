// Package static encodes texts with a table of vectors, one a word piece: the sum of a text's rows, to unit length. No network and no
// model runtime stands behind it, so it is the encoder that needs nothing and runs some thousand times faster than a transformer on the
// same processor; how well it stands in for one is measured in the README of infra/encoder.
//
// The embedded table was fitted to all-MiniLM-L6-v2 by the scripts in fit/. Any other model in Model2Vec's file format takes its place by
// Load, as long as its tokenizer is BERT's WordPiece.
package static

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/wordpiece"
)

// chunk is the number of texts that a goroutine takes at a time; Encode looks at its context as often.
const chunk = 64

//go:embed model/model.safetensors.br model/tokenizer.json.br model/config.json model/NOTICE
var embedded embed.FS

// Encoder turns texts into unit vectors. It is safe for use by several goroutines.
type Encoder struct {
	identity  string
	tokens    *wordpiece.Tokenizer
	table     *table
	maxTokens int // word pieces read of a text; the rest is left out
}

var _ rebased.Encoder = (*Encoder)(nil)

// New loads the embedded model.
func New() (*Encoder, error) {
	folder, err := fs.Sub(embedded, "model")
	if err != nil {
		return nil, err
	}
	return Load(folder)
}

// Load reads a model from a folder in Model2Vec's format: model.safetensors, tokenizer.json and config.json, each as it is or compressed by
// brotli with .br at the end of its name. What this package cannot
// compute exactly, such as a tokenizer other than WordPiece, is refused with kind Invalid and its name.
func Load(folder fs.FS) (*Encoder, error) {
	files, err := readFiles(folder)
	if err != nil {
		return nil, err
	}
	settings, err := parseConfig(files.config)
	if err != nil {
		return nil, err
	}
	tokens, err := wordpiece.Parse(files.tokenizer)
	if err != nil {
		return nil, err
	}
	rows, err := parseTable(files.tensors, tokens.Size())
	if err != nil {
		return nil, err
	}
	return &Encoder{
		identity:  fmt.Sprintf("static:%s:%d:%s", settings.name, rows.dimensions, files.hash()),
		tokens:    tokens,
		table:     rows,
		maxTokens: settings.maxTokens,
	}, nil
}

// Identity is "static:<model>:<dimensions>:<hash of the model's files>".
func (e *Encoder) Identity() string { return e.identity }

// Dimensions is the length of every vector.
func (e *Encoder) Dimensions() int { return e.table.dimensions }

// Encode gives one unit vector a text, in order; a text without a known word piece gives the zero vector. Large batches are shared among
// GOMAXPROCS goroutines. The only error is the context's.
func (e *Encoder) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	var next atomic.Int64
	work := func() {
		var s scratch
		for ctx.Err() == nil {
			end := int(next.Add(chunk))
			start := end - chunk
			if start >= len(texts) {
				return
			}
			for i := start; i < min(end, len(texts)); i++ {
				out[i] = e.vector(texts[i], &s)
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(texts)+chunk-1)/chunk) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// scratch holds the buffers that one goroutine uses again for each text.
type scratch struct {
	ids  []int32
	text wordpiece.Buffers
}

func (e *Encoder) vector(text string, s *scratch) []float32 {
	v := make([]float32, e.table.dimensions)
	s.ids = e.tokens.AppendKnown(s.ids[:0], text, e.maxTokens, &s.text)
	e.table.sum(v, s.ids)
	toUnit(v)
	return v
}

// toUnit scales v to length 1; a vector too short to have a direction becomes zero.
func toUnit(v []float32) {
	var squares float64
	for _, x := range v {
		squares += float64(x) * float64(x)
	}
	var scale float32
	if squares > 1e-24 {
		scale = float32(1 / math.Sqrt(squares))
	}
	for i := range v {
		v[i] *= scale
	}
}
