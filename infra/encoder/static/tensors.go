package static

import (
	"encoding/binary"
	"encoding/json"
	"math"

	"github.com/rebased/rebased"
)

// tensor is one entry of a safetensors file.
type tensor struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
	body    []byte
}

// width is the bytes of a number of a type; 0 for types that are not read.
func width(dtype string) int {
	switch dtype {
	case "I8":
		return 1
	case "F16":
		return 2
	case "F32", "I32":
		return 4
	case "F64", "I64":
		return 8
	}
	return 0
}

// parseTensors reads the header of a safetensors file (8 bytes of its length, then JSON) and cuts the tensors out of the rest.
func parseTensors(body []byte) (map[string]tensor, error) {
	if len(body) < 8 || binary.LittleEndian.Uint64(body) > uint64(len(body)-8) {
		return nil, rebased.E(rebased.Invalid, "model.safetensors is cut short or no safetensors file")
	}
	data := 8 + int(binary.LittleEndian.Uint64(body))
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(body[8:data], &entries); err != nil {
		return nil, rebased.E(rebased.Invalid, "header of model.safetensors: %w", err)
	}
	body = body[data:]
	out := map[string]tensor{}
	for _, name := range []string{"embeddings", "weights", "mapping"} {
		entry, ok := entries[name]
		if !ok {
			continue
		}
		var t tensor
		if err := json.Unmarshal(entry, &t); err != nil {
			return nil, rebased.E(rebased.Invalid, "tensor %s of model.safetensors: %w", name, err)
		}
		size := width(t.Type)
		if size == 0 {
			return nil, rebased.E(rebased.Invalid, "tensor %s of model.safetensors has numbers of type %s; int8, float16, float32 and float64 are read", name, t.Type)
		}
		for _, n := range t.Shape {
			if n < 0 || n > maxTensors || size*n > maxTensors {
				return nil, rebased.E(rebased.Invalid, "tensor %s of model.safetensors has shape %v", name, t.Shape)
			}
			size *= n
		}
		from, to := t.Offsets[0], t.Offsets[1]
		if from < 0 || to < from || to > len(body) || to-from != size {
			return nil, rebased.E(rebased.Invalid, "tensor %s of model.safetensors does not lie in the file: cut short or damaged", name)
		}
		t.body = body[from:to]
		out[name] = t
	}
	return out, nil
}

// floats converts a tensor of any type of float, or int8, to float32.
func (t tensor) floats(name string) ([]float32, error) {
	size := width(t.Type)
	out := make([]float32, len(t.body)/size)
	for i := range out {
		b := t.body[i*size:]
		switch t.Type {
		case "I8":
			out[i] = float32(int8(b[0]))
		case "F16":
			out[i] = halfToFloat(binary.LittleEndian.Uint16(b))
		case "F32":
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
		case "F64":
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		default:
			return nil, rebased.E(rebased.Invalid, "tensor %s of model.safetensors has numbers of type %s, not floats or int8", name, t.Type)
		}
		if x := float64(out[i]); math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, rebased.E(rebased.Invalid, "tensor %s of model.safetensors holds a number that is not finite, at %d", name, i)
		}
	}
	return out, nil
}

// rows converts a tensor of whole numbers to row numbers under limit.
func (t tensor) rows(limit int) ([]int32, error) {
	size := width(t.Type)
	out := make([]int32, len(t.body)/size)
	for i := range out {
		b := t.body[i*size:]
		var row int64
		switch t.Type {
		case "I32":
			row = int64(int32(binary.LittleEndian.Uint32(b)))
		case "I64":
			row = int64(binary.LittleEndian.Uint64(b))
		default:
			return nil, rebased.E(rebased.Invalid, "tensor mapping of model.safetensors has numbers of type %s, not int32 or int64", t.Type)
		}
		if row < 0 || row >= int64(limit) {
			return nil, rebased.E(rebased.Invalid, "tensor mapping of model.safetensors names row %d of %d", row, limit)
		}
		out[i] = int32(row)
	}
	return out, nil
}

// halfToFloat converts an IEEE 754 half-precision number.
func halfToFloat(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero and subnormal numbers: fraction x 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)/(1<<24)))
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
