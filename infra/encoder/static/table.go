package static

import "github.com/rebased/rebased"

// table holds a row of numbers a word piece, as int8 or as float32, and a scale a row.
type table struct {
	dimensions int
	bytes      []byte    // int8 rows; nil when the model has floats
	floats     []float32 // rows; nil when the model has int8
	scale      []float32 // by token id; nil = 1
	row        []int32   // row of a token id; nil = the id
}

// sum adds the rows of the tokens to out, each times its scale. Four rows go in one pass, which halves the time.
func (t *table) sum(out []float32, ids []int32) {
	if t.bytes == nil {
		for _, id := range ids {
			addFloats(out, t.floats[t.start(id):], t.scaleOf(id))
		}
		return
	}
	for len(ids) >= 4 {
		a, b, c, d := ids[0], ids[1], ids[2], ids[3]
		addFour(out, [4][]byte{t.bytes[t.start(a):], t.bytes[t.start(b):], t.bytes[t.start(c):], t.bytes[t.start(d):]},
			[4]float32{t.scaleOf(a), t.scaleOf(b), t.scaleOf(c), t.scaleOf(d)})
		ids = ids[4:]
	}
	for _, id := range ids {
		addBytes(out, t.bytes[t.start(id):], t.scaleOf(id))
	}
}

func (t *table) start(id int32) int {
	if t.row != nil {
		id = t.row[id]
	}
	return int(id) * t.dimensions
}

func (t *table) scaleOf(id int32) float32 {
	if t.scale == nil {
		return 1
	}
	return t.scale[id]
}

func addFour(out []float32, rows [4][]byte, scale [4]float32) {
	n := len(out)
	a, b, c, d := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	sa, sb, sc, sd := scale[0], scale[1], scale[2], scale[3]
	for i := range out {
		out[i] += (sa*float32(int8(a[i])) + sb*float32(int8(b[i]))) + (sc*float32(int8(c[i])) + sd*float32(int8(d[i])))
	}
}

func addBytes(out []float32, row []byte, scale float32) {
	row = row[:len(out)]
	for i := range out {
		out[i] += scale * float32(int8(row[i]))
	}
}

func addFloats(out, row []float32, scale float32) {
	row = row[:len(out)]
	for i := range out {
		out[i] += scale * row[i]
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
	if embeddings.Type == "I8" {
		t.bytes = embeddings.body
	} else if t.floats, err = embeddings.floats("embeddings"); err != nil {
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
	return t, nil
}
