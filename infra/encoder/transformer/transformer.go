// Package transformer encodes texts by a sentence transformer in this process, on its CPU: a folder as sentence-transformers makes them, with
// onnx/model.onnx, computed by Microsoft's onnxruntime, whose shared library is loaded at run time. It is for machines without an embeddings
// server, and for the second stage of a ranking.
//
// Texts are computed one at a time, unpadded, several at once on as many cores as Go may use: a text's vector does not depend on which texts
// stand beside it, and a core does nine tenths of what it does with batches.
package transformer

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/encoder/wordpiece"
)

// network computes the last states of a text: positions x dimensions, in rows. Several goroutines may use it.
type network interface {
	states(ids []int64) ([]float32, error)
}

// Encoder turns texts into unit vectors. It is safe for use by several goroutines, which share its cores.
type Encoder struct {
	identity   string
	dimensions int
	tokens     *wordpiece.Tokenizer
	before     int64 // id of the special token before a text
	after      int64 // and behind it
	maxTokens  int   // word pieces read of a text, special ones not counted; the rest is left out
	firstState bool  // the first state is the text's vector; else the mean of all
	network    network
	cores      chan struct{}
}

var _ rebased.Encoder = (*Encoder)(nil)

// Load reads a model from a folder of sentence-transformers. What cannot be computed here exactly, such as another tokenizer than WordPiece, a
// pooling other than mean or first state, or a dense layer, is refused with kind Invalid and its name.
func (r *Runtime) Load(folder fs.FS) (*Encoder, error) {
	m, err := readModel(folder)
	if err != nil {
		return nil, err
	}
	net, err := r.open(m.network, m.dimensions)
	if err != nil {
		return nil, err
	}
	return newEncoder(m, net), nil
}

func newEncoder(m *model, net network) *Encoder {
	return &Encoder{
		identity:   fmt.Sprintf("transformer:%s:%d:%s", m.kind, m.dimensions, m.hash),
		dimensions: m.dimensions, tokens: m.tokens, before: m.before, after: m.after, maxTokens: m.maxTokens, firstState: m.firstState,
		network: net, cores: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Identity is "transformer:<architecture>:<dimensions>:<hash of the model's files>".
func (e *Encoder) Identity() string { return e.identity }

// Dimensions is the length of every vector.
func (e *Encoder) Dimensions() int { return e.dimensions }

// Window is how many bytes of a text the model is expected to read: four a word piece, as in English.
func (e *Encoder) Window() int { return 4 * e.maxTokens }

// Encode gives one unit vector a text, in order; a text without a word piece gives the zero vector. Errors are the context's, or of kind
// Invalid when the network does not compute what its folder says.
func (e *Encoder) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var others sync.WaitGroup
	for range min(cap(e.cores), len(texts)) {
		others.Go(func() {
			var s scratch
			for i := int(next.Add(1)) - 1; i < len(texts) && work.Err() == nil; i = int(next.Add(1)) - 1 {
				e.cores <- struct{}{}
				v, err := e.vector(texts[i], &s)
				<-e.cores
				if err != nil {
					stop(err)
					return
				}
				out[i] = v
			}
		})
	}
	others.Wait()
	if work.Err() != nil {
		return nil, context.Cause(work)
	}
	return out, nil
}

// scratch holds the buffers that one goroutine uses again for each text.
type scratch struct {
	pieces []int32
	ids    []int64
	text   wordpiece.Buffers
}

func (e *Encoder) vector(text string, s *scratch) ([]float32, error) {
	v := make([]float32, e.dimensions)
	s.pieces = e.tokens.AppendAll(s.pieces[:0], text, e.maxTokens, &s.text)
	if len(s.pieces) == 0 {
		return v, nil
	}
	s.ids = append(s.ids[:0], e.before)
	for _, id := range s.pieces {
		s.ids = append(s.ids, int64(id))
	}
	s.ids = append(s.ids, e.after)
	states, err := e.network.states(s.ids)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "compute a text of %d word pieces: %w", len(s.ids), err)
	}
	if len(states) != len(s.ids)*e.dimensions {
		return nil, rebased.E(rebased.Invalid, "onnx/model.onnx gave %d numbers for %d word pieces of %d dimensions", len(states), len(s.ids), e.dimensions)
	}
	if e.firstState {
		states = states[:e.dimensions]
	}
	return v, pool(v, states)
}

// pool makes v the sum of states, to length 1, which is their mean to length 1.
func pool(v, states []float32) error {
	sums := make([]float64, len(v))
	for from := 0; from < len(states); from += len(v) {
		for i, x := range states[from : from+len(v)] {
			sums[i] += float64(x)
		}
	}
	squares := 0.0
	for _, x := range sums {
		squares += x * x
	}
	if !(squares > 0) || math.IsInf(squares, 0) {
		return rebased.E(rebased.Invalid, "onnx/model.onnx gave states without a direction")
	}
	for i, x := range sums {
		v[i] = float32(x / math.Sqrt(squares))
	}
	return nil
}
