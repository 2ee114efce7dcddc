package retrieve

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// Vectors keeps the vectors of texts, those of each encoder apart, so that a text is encoded, and paid for, once over all builds and nights.
// Errors carry a rebased.Kind.
type Vectors interface {
	// Vectors gives what is kept of an encoder's vectors; a text of which there is none is absent from the answer.
	Vectors(ctx context.Context, encoder string, texts []rebased.TextKey) (map[rebased.TextKey][]float32, error)
	// Keep keeps vectors of one length, bit for bit, each over what was kept of its text. When it returns nil they are durable, and seen by the
	// next call.
	Keep(ctx context.Context, encoder string, vectors map[rebased.TextKey][]float32) error
}

const (
	// keepStep is how many texts are encoded and kept at once: what a killed worker has encoded in vain.
	keepStep = 128
	// keepers is how many such steps are under way.
	keepers = 4
)

// kept is an encoder that keeps its vectors, and encodes what none is kept of.
type kept struct {
	rebased.Encoder
	vectors Vectors
	encoded *atomic.Int64 // texts
}

// Keeping gives an encoder whose vectors are kept: what it has encoded once it finds there.
func Keeping(encoder rebased.Encoder, vectors Vectors) rebased.Encoder {
	return kept{encoder, vectors, new(atomic.Int64)}
}

// Encode implements rebased.Encoder. Texts that stand there several times are encoded once.
func (k kept) Encode(ctx context.Context, texts []string) ([][]float32, error) {
	keys := make([]rebased.TextKey, len(texts))
	first := make(map[rebased.TextKey]int, len(texts))
	var distinct []rebased.TextKey
	for i, text := range texts {
		keys[i] = rebased.NewTextKey(text)
		if _, known := first[keys[i]]; !known {
			first[keys[i]] = i
			distinct = append(distinct, keys[i])
		}
	}
	known, err := k.vectors.Vectors(ctx, k.Identity(), distinct)
	if err != nil {
		return nil, fmt.Errorf("read the vectors kept of %s: %w", k.Identity(), err)
	}
	out := make([][]float32, len(texts))
	var missing []int
	for _, key := range distinct {
		v, ok := known[key]
		if !ok {
			missing = append(missing, first[key])
			continue
		}
		if len(v) != k.Dimensions() {
			return nil, rebased.E(rebased.Invalid, "a vector kept of %s has %d dimensions", k.Identity(), len(v))
		}
		out[first[key]] = v
	}
	if err := k.encode(ctx, texts, keys, missing, out); err != nil {
		return nil, err
	}
	for i, key := range keys {
		out[i] = out[first[key]]
	}
	return out, nil
}

// encode encodes and keeps the texts at some places, step by step.
func (k kept) encode(ctx context.Context, texts []string, keys []rebased.TextKey, places []int, out [][]float32) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(keepers)
	for from := 0; from < len(places) && ctx.Err() == nil; from += keepStep {
		step := places[from:min(len(places), from+keepStep)]
		group.Go(func() error {
			some := make([]string, len(step))
			for i, place := range step {
				some[i] = texts[place]
			}
			vectors, err := k.Encoder.Encode(ctx, some)
			if err != nil {
				return err
			}
			if len(vectors) != len(some) {
				return fmt.Errorf("encoder %s gave %d vectors for %d texts", k.Identity(), len(vectors), len(some))
			}
			fresh := make(map[rebased.TextKey][]float32, len(step))
			for i, place := range step {
				out[place], fresh[keys[place]] = vectors[i], vectors[i]
			}
			if err := k.vectors.Keep(ctx, k.Identity(), fresh); err != nil {
				return fmt.Errorf("keep vectors of %s: %w", k.Identity(), err)
			}
			k.encoded.Add(int64(len(step)))
			return nil
		})
	}
	return group.Wait()
}
