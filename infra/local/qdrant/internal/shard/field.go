package shard

import (
	"strconv"

	pb "github.com/qdrant/go-client/qdrant"
)

// FieldType is the type of a payload index.
type FieldType string

// The payload indexes that exist.
const (
	Keyword FieldType = "keyword"
	Integer FieldType = "integer"
)

// field is a payload index: for each value of a payload key the slots that have it, in ascending order, dead ones included.
type field struct {
	kind  FieldType
	path  path
	slots map[string][]uint32
}

func newField(key string, kind FieldType) *field {
	return &field{kind: kind, path: newPath(key), slots: map[string][]uint32{}}
}

// add enters the values that a payload has.
func (f *field) add(slot uint32, payload []byte) error {
	if len(f.path) == 1 && f.kind == Keyword {
		raw, err := lookup(payload, f.path[0])
		if err != nil {
			return err
		}
		if term, ok := plainString(raw); ok {
			f.enter(slot, term)
			return nil
		}
	}
	values, err := f.path.values(payload)
	if err != nil {
		return err
	}
	for _, v := range values {
		if term, ok := termOf(v, f.kind); ok {
			f.enter(slot, []byte(term))
		}
	}
	return nil
}

func (f *field) enter(slot uint32, term []byte) {
	slots := f.slots[string(term)]
	if len(slots) == 0 || slots[len(slots)-1] != slot {
		f.slots[string(term)] = append(slots, slot)
	}
}

// pack gives the same index for a table without its dead slots.
func (f *field) pack(alive bitset, moved []uint32) *field {
	packed := &field{kind: f.kind, path: f.path, slots: make(map[string][]uint32, len(f.slots))}
	for term, slots := range f.slots {
		var kept []uint32
		for _, slot := range slots {
			if alive.has(slot) {
				kept = append(kept, moved[slot])
			}
		}
		if len(kept) > 0 {
			packed.slots[term] = kept
		}
	}
	return packed
}

// termOf is a value as an index of a type keeps it; false for a value of another type.
func termOf(v *pb.Value, kind FieldType) (string, bool) {
	switch k := v.GetKind().(type) {
	case *pb.Value_StringValue:
		return k.StringValue, kind == Keyword
	case *pb.Value_IntegerValue:
		return strconv.FormatInt(k.IntegerValue, 10), kind == Integer
	}
	return "", false
}
