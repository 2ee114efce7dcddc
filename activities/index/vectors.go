package index

import (
	"context"
	"slices"
	"sync"

	"github.com/rebased/rebased"
)

// Vectors keeps the vectors of texts that were encoded last, so that cells which recur from batch to batch are encoded once. It is bounded, and
// safe for concurrent use. It is of one encoder.
type Vectors struct {
	mu     sync.Mutex
	most   int // values, in each of the two
	values int // in young
	// What is asked for moves to young; when young is full, it becomes old, and what was old is forgotten.
	young, old map[rebased.TextKey][]float32
}

// NewVectors makes an empty store of at most so many bytes of vectors.
func NewVectors(bytes int) *Vectors {
	return &Vectors{most: bytes / 4 / 2, young: make(map[rebased.TextKey][]float32)}
}

// get fills in what is known.
func (v *Vectors) get(keys []rebased.TextKey, vectors [][]float32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, key := range keys {
		if known, ok := v.young[key]; ok {
			vectors[i] = known
		} else if known, ok := v.old[key]; ok {
			vectors[i] = known
			v.put(key, known)
		}
	}
}

// add keeps copies: the encoder's own may hold on to the memory of many.
func (v *Vectors) add(keys []rebased.TextKey, vectors [][]float32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, key := range keys {
		v.put(key, slices.Clone(vectors[i]))
	}
}

func (v *Vectors) put(key rebased.TextKey, vector []float32) {
	if v.values+len(vector) > v.most {
		v.old, v.young, v.values = v.young, make(map[rebased.TextKey][]float32), 0
	}
	v.young[key] = vector
	v.values += len(vector)
}

// known gives a vector for each text, and encodes those alone that are not known.
func (x *Indexer) known(ctx context.Context, texts []string, tick func()) ([][]float32, error) {
	if x.vectors == nil {
		return x.encode(ctx, texts, tick)
	}
	vectors, keys := make([][]float32, len(texts)), make([]rebased.TextKey, len(texts))
	for i, text := range texts {
		keys[i] = rebased.NewTextKey(text)
	}
	x.vectors.get(keys, vectors)
	var missing []string
	var missingKeys []rebased.TextKey
	for i, v := range vectors {
		if v == nil {
			missing, missingKeys = append(missing, texts[i]), append(missingKeys, keys[i])
		}
	}
	encoded, err := x.encode(ctx, missing, tick)
	if err != nil {
		return nil, err
	}
	x.vectors.add(missingKeys, encoded)
	for i := range vectors {
		if vectors[i] == nil {
			vectors[i], encoded = encoded[0], encoded[1:]
		}
	}
	return vectors, nil
}
