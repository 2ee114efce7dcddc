package static

import "github.com/rebased/rebased"

// table holds a row of numbers a word piece. Rows of int8 are made floats when a model is read: four times the memory, and half of the time of an
// encoding saved.
type table struct {
	dimensions int
	floats     []float32 // rows
	scale      []float32 // by token id; nil = 1
	row        []int32   // row of a token id; nil = the id
}

// sum adds the rows of the tokens to out, each times its scale. Four rows go in one pass, which saves loads and stores of out.
func (t *table) sum(out []float32, ids []int32) {
	for len(ids) >= 4 {
		a, b, c, d := t.of(ids[0]), t.of(ids[1]), t.of(ids[2]), t.of(ids[3])
		if t.scale == nil {
			addFour(out, a, b, c, d)
		} else {
			addFourScaled(out, a, b, c, d, [4]float32{t.scale[ids[0]], t.scale[ids[1]], t.scale[ids[2]], t.scale[ids[3]]})
		}
		ids = ids[4:]
	}
	for _, id := range ids {
		scale := float32(1)
		if t.scale != nil {
			scale = t.scale[id]
		}
		for i, x := range t.of(id) {
			out[i] += scale * x
		}
	}
}

// of is the row of a token.
func (t *table) of(id int32) []float32 {
	if t.row != nil {
		id = t.row[id]
	}
	return t.floats[int(id)*t.dimensions:][:t.dimensions]
}

func addFour(out, a, b, c, d []float32) {
	n := len(out)
	a, b, c, d = a[:n], b[:n], c[:n], d[:n]
	for i := range out {
		out[i] += (a[i] + b[i]) + (c[i] + d[i])
	}
}

func addFourScaled(out, a, b, c, d []float32, scale [4]float32) {
	n := len(out)
	a, b, c, d = a[:n], b[:n], c[:n], d[:n]
	for i := range out {
		out[i] += (scale[0]*a[i] + scale[1]*b[i]) + (scale[2]*c[i] + scale[3]*d[i])
	}
}

// parseTable reads model.safetensors for a vocabulary of the given size: the tensor `embeddings` (rows x dimensions), and, where the
// model has them, `weights` (a factor a token id) and `mapping` (the row of a token id).
func parseTable(body []byte, vocabulary int) (*table, error) {
	tensors, err := parseTensors(body)
	if err != nil {
		return nil, err
	}
	embeddings, ok := tensors["embeddings"]
	if !ok || len(embeddings.Shape) != 2 || embeddings.Shape[1] < 1 {
		return nil, rebased.E(rebased.Invalid, "model.safetensors has no tensor `embeddings` of rows x dimensions: not a Model2Vec model")
	}
	t := &table{dimensions: embeddings.Shape[1]}
	if t.floats, err = embeddings.floats("embeddings"); err != nil {
		return nil, err
	}
	if weights, ok := tensors["weights"]; ok {
		if t.scale, err = weights.floats("weights"); err != nil {
			return nil, err
		}
	}
	if mapping, ok := tensors["mapping"]; ok {
		if t.row, err = mapping.rows(embeddings.Shape[0]); err != nil {
			return nil, err
		}
	}
	switch {
	case t.scale != nil && len(t.scale) != vocabulary:
		return nil, rebased.E(rebased.Invalid, "model.safetensors has %d weights for %d tokens", len(t.scale), vocabulary)
	case t.row != nil && len(t.row) != vocabulary:
		return nil, rebased.E(rebased.Invalid, "model.safetensors maps %d of %d tokens", len(t.row), vocabulary)
	case t.row == nil && embeddings.Shape[0] != vocabulary:
		return nil, rebased.E(rebased.Invalid, "model.safetensors has %d rows for %d tokens", embeddings.Shape[0], vocabulary)
	}
	if t.row == nil && t.scale != nil {
		t.multiply()
	}
	return t, nil
}

// multiply puts the scales into the rows, where each row is of one token.
func (t *table) multiply() {
	for id, scale := range t.scale {
		for i := range t.of(int32(id)) { //nolint:gosec // an id
			t.floats[id*t.dimensions+i] *= scale
		}
	}
	t.scale = nil
}
