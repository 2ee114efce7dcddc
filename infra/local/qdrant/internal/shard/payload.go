package shard

import (
	"errors"
	"fmt"
	"strings"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Payload is what a point carries besides its vectors.
type Payload map[string]*pb.Value

func (p Payload) marshal() ([]byte, error) { return proto.Marshal(&pb.Struct{Fields: p}) }

func unmarshalPayload(b []byte) (Payload, error) {
	var s pb.Struct
	if err := proto.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read a stored payload: %w", err)
	}
	return s.GetFields(), nil
}

// path is a payload key split at its dots: "a.b" is the field b of the object a.
type path []string

func newPath(key string) path { return strings.Split(key, ".") }

// value gives what stands at the path, nil when nothing does. It decodes that one field of the payload only.
func (p path) value(payload []byte) (*pb.Value, error) {
	raw, err := lookup(payload, p[0])
	if raw == nil || err != nil {
		return nil, err
	}
	var v pb.Value
	if err := proto.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("read field %s of a stored payload: %w", p[0], err)
	}
	at := &v
	for _, name := range p[1:] {
		if at = at.GetStructValue().GetFields()[name]; at == nil {
			return nil, nil
		}
	}
	return at, nil
}

// values gives the values at the path: the elements of a list, or the one value that is there.
func (p path) values(payload []byte) ([]*pb.Value, error) {
	v, err := p.value(payload)
	if v == nil || err != nil {
		return nil, err
	}
	if list, ok := v.GetKind().(*pb.Value_ListValue); ok {
		return list.ListValue.GetValues(), nil
	}
	return []*pb.Value{v}, nil
}

// lookup finds the marshalled value of a field in a marshalled qdrant.Struct, whose only field is the map, number 1 with keys 1 and values 2.
func lookup(payload []byte, name string) ([]byte, error) {
	for len(payload) > 0 {
		item, n, err := message(payload)
		if err != nil {
			return nil, err
		}
		payload = payload[n:]
		key, value := []byte{}, []byte{}
		for len(item) > 0 {
			number, _, _ := protowire.ConsumeTag(item)
			content, n, err := message(item)
			if err != nil {
				return nil, err
			}
			item = item[n:]
			if number == 1 {
				key = content
			} else {
				value = content
			}
		}
		if string(key) == name {
			return value, nil
		}
	}
	return nil, nil
}

// message reads one length-delimited field.
func message(b []byte) (content []byte, n int, err error) {
	_, kind, tag := protowire.ConsumeTag(b)
	if tag < 0 || kind != protowire.BytesType {
		return nil, 0, errors.New("read a stored payload: not a qdrant.Struct")
	}
	content, size := protowire.ConsumeBytes(b[tag:])
	if size < 0 {
		return nil, 0, fmt.Errorf("read a stored payload: %w", protowire.ParseError(size))
	}
	return content, tag + size, nil
}

// plainString reads a marshalled qdrant.Value that is a string, as those of payload indexes are, without a message; false for any other.
func plainString(value []byte) ([]byte, bool) {
	const stringValue = 4
	number, kind, tag := protowire.ConsumeTag(value)
	if tag < 0 || number != stringValue || kind != protowire.BytesType {
		return nil, false
	}
	text, size := protowire.ConsumeBytes(value[tag:])
	return text, size == len(value)-tag
}
