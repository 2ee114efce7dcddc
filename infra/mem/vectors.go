package mem

import (
	"context"
	"slices"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
)

var _ retrieve.Vectors = (*Vectors)(nil)

// Vectors keeps the vectors of texts in memory. The zero value is empty and ready to use.
type Vectors struct {
	mu   sync.RWMutex
	kept map[string]map[rebased.TextKey][]float32
}

// Vectors implements retrieve.Vectors.
func (v *Vectors) Vectors(ctx context.Context, encoder string, texts []rebased.TextKey) (map[rebased.TextKey][]float32, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	found := make(map[rebased.TextKey][]float32, len(texts))
	for _, text := range texts {
		if vector, ok := v.kept[encoder][text]; ok {
			found[text] = slices.Clone(vector)
		}
	}
	return found, ctx.Err()
}

// Keep implements retrieve.Vectors.
func (v *Vectors) Keep(ctx context.Context, encoder string, vectors map[rebased.TextKey][]float32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, vector := range vectors {
		for _, other := range v.kept[encoder] {
			if len(other) != len(vector) {
				return rebased.E(rebased.Invalid, "a vector of %d dimensions among those of %d", len(vector), len(other))
			}
			break
		}
	}
	if v.kept == nil {
		v.kept = make(map[string]map[rebased.TextKey][]float32)
	}
	if v.kept[encoder] == nil {
		v.kept[encoder] = make(map[rebased.TextKey][]float32)
	}
	for text, vector := range vectors {
		v.kept[encoder][text] = slices.Clone(vector)
	}
	return nil
}
