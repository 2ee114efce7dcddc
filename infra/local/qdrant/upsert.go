package qdrant

import (
	"context"
	"math"
	"slices"
	"unicode/utf8"
	"unsafe"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/qdrant/internal/shard"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// upsert is the request UpsertPoints read straight into what the shard stores: as messages its numbers and payloads cost two thirds of a write's
// CPU time. A request with anything in it that this reader does not expect is read by the protocol's own library instead, so that both have
// the same meaning, and what is not served is refused in one place.
type upsert struct {
	collection string
	points     []wirePoint
	message    *pb.UpsertPoints // set in place of the others
}

// wirePoint is one point of the request. Its payload is a marshalled qdrant.Struct.
type wirePoint struct {
	id      shard.ID
	payload []byte
	vectors []wireVector
}

// wireVector is one named vector: cells of one size, one after another.
type wireVector struct {
	name  string
	multi bool
	size  int // dimensions
	n     int // cells
	cells []float32
}

// upsertCodec decodes upserts; every other message it leaves to the codec that it stands on.
type upsertCodec struct{ encoding.CodecV2 }

// Unmarshal implements encoding.CodecV2.
func (c upsertCodec) Unmarshal(data mem.BufferSlice, v any) error {
	into, ok := v.(*upsert)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	if into.read(buffer.ReadOnlyData()) {
		return nil
	}
	*into = upsert{message: new(pb.UpsertPoints)}
	return c.CodecV2.Unmarshal(data, into.message)
}

// upsertService is the protocol's description of the points service with this handler for upserts.
func upsertService() *grpc.ServiceDesc {
	desc := pb.Points_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		if desc.Methods[i].MethodName == "Upsert" {
			desc.Methods[i].Handler = handleUpsert
		}
	}
	return &desc
}

// handleUpsert is the generated handler with another type of request.
func handleUpsert(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // gRPC's order
	in := new(upsert)
	if err := decode(in); err != nil {
		return nil, err
	}
	s := srv.(*pointsService) //nolint:forcetypeassert // registered with it
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: pb.Points_Upsert_FullMethodName}
	if in.message != nil {
		return intercept(ctx, in.message, info, func(ctx context.Context, _ any) (any, error) { return s.Upsert(ctx, in.message) })
	}
	return intercept(ctx, in, info, func(ctx context.Context, _ any) (any, error) { return s.upsert(ctx, in) })
}

// upsert writes the points of a request.
func (s *pointsService) upsert(ctx context.Context, in *upsert) (*pb.PointsOperationResponse, error) {
	col, err := s.catalog.resolve(in.collection)
	if err != nil {
		return nil, err
	}
	points := make([]shard.Point, len(in.points))
	for i, p := range in.points {
		points[i] = shard.Point{ID: p.id, Marshalled: p.payload, Vectors: make([][]float32, len(col.vectors))}
		for _, v := range p.vectors {
			at, err := col.vector(v.name)
			if err != nil {
				return nil, err
			}
			if err := col.vectors[at].fits(v.n, v.size, v.multi); err != nil {
				return nil, err
			}
			points[i].Vectors[at] = v.cells
		}
	}
	return completed(col.shard.Upsert(ctx, points))
}

// fits checks the form of a vector: so many cells of a size, as a multivector or as one dense vector.
func (v vector) fits(cells, size int, multi bool) error {
	switch {
	case cells == 0:
		return rebased.E(rebased.Invalid, "vector %s is empty", v.name)
	case multi && !v.multi:
		return rebased.E(rebased.Invalid, "vector %s takes one dense vector, not a multivector", v.name)
	case size != v.size:
		return rebased.E(rebased.Invalid, "Vector dimension error: expected dim: %d, got %d", v.size, size)
	}
	return nil
}

// field is one field of an encoded message: its content when it is length-delimited, else its value.
type field struct {
	number  protowire.Number
	kind    protowire.Type
	content []byte
	value   uint64
}

// is says whether it is the field of a number, length-delimited.
func (f field) is(number protowire.Number) bool {
	return f.number == number && f.kind == protowire.BytesType
}

// takeField takes the first field off a message; n = 0 when it is none.
func takeField(b []byte) (f field, n int) {
	number, kind, tag := protowire.ConsumeTag(b)
	if tag < 0 {
		return field{}, 0
	}
	f, size := field{number: number, kind: kind}, -1
	switch kind {
	case protowire.BytesType:
		f.content, size = protowire.ConsumeBytes(b[tag:])
	case protowire.VarintType:
		f.value, size = protowire.ConsumeVarint(b[tag:])
	case protowire.Fixed64Type:
		f.value, size = protowire.ConsumeFixed64(b[tag:])
	case protowire.Fixed32Type, protowire.StartGroupType, protowire.EndGroupType: // of no field that is expected
	}
	if size < 0 {
		return field{}, 0
	}
	return f, tag + size
}

// eachField calls use for the fields of a message, and says whether all of them were taken.
func eachField(b []byte, use func(field) bool) bool {
	for len(b) > 0 {
		f, n := takeField(b)
		if n == 0 || !use(f) {
			return false
		}
		b = b[n:]
	}
	return true
}

// read says whether the request is one that it can read.
func (u *upsert) read(b []byte) bool {
	return eachField(b, func(f field) bool {
		switch {
		case f.is(1) && u.collection == "" && utf8.Valid(f.content):
			u.collection = string(f.content)
		case f.number == 2 && f.kind == protowire.VarintType: // wait: every write is durable
		case f.is(3):
			var p wirePoint
			if !p.read(f.content) {
				return false
			}
			u.points = append(u.points, p)
		default:
			return false
		}
		return true
	})
}

func (p *wirePoint) read(b []byte) bool {
	identified, keys := false, [][]byte(nil)
	return eachField(b, func(f field) bool {
		switch {
		case f.is(1) && !identified:
			var id *pb.PointId
			if id, identified = readPointID(f.content); !identified {
				return false
			}
			var err error
			p.id, err = shard.NewID(id)
			return err == nil
		case f.is(3):
			key, ok := payloadEntry(f.content, 0)
			if !ok || !isNew(key, &keys) {
				return false
			}
			p.payload = protowire.AppendTag(p.payload, 1, protowire.BytesType) // as the only field of a qdrant.Struct
			p.payload = protowire.AppendBytes(p.payload, f.content)
			return true
		case f.is(4) && p.vectors == nil:
			return p.readVectors(f.content)
		}
		return false
	}) && identified
}

func readPointID(b []byte) (*pb.PointId, bool) {
	f, n := takeField(b)
	switch {
	case n == 0 || n != len(b):
	case f.number == 1 && f.kind == protowire.VarintType:
		return pb.NewIDNum(f.value), true
	case f.is(2) && utf8.Valid(f.content):
		return pb.NewIDUUID(string(f.content)), true
	}
	return nil, false
}

// isNew says whether a key is not among those that there were, of which it remembers a few.
func isNew(key []byte, keys *[][]byte) bool {
	const few = 64
	for _, k := range *keys {
		if string(k) == string(key) {
			return false
		}
	}
	*keys = append(*keys, key)
	return len(*keys) <= few
}

// readVectors reads a Vectors with NamedVectors in it, a map from names to vectors.
func (p *wirePoint) readVectors(b []byte) bool {
	p.vectors = []wireVector{}
	named, n := takeField(b)
	if n != len(b) || !named.is(2) {
		return false
	}
	return eachField(named.content, func(f field) bool {
		name, vector, ok := mapEntry(f)
		if !ok || slices.ContainsFunc(p.vectors, func(v wireVector) bool { return v.name == string(name) }) {
			return false
		}
		v := wireVector{name: string(name)}
		p.vectors = append(p.vectors, v)
		return p.vectors[len(p.vectors)-1].read(vector)
	})
}

// mapEntry reads an entry of a map from strings to messages, whose field has the number 1.
func mapEntry(f field) (key, value []byte, ok bool) {
	if !f.is(1) {
		return nil, nil, false
	}
	k, n := takeField(f.content)
	v, m := takeField(f.content[n:])
	return k.content, v.content, n > 0 && m > 0 && n+m == len(f.content) && k.is(1) && v.is(2) && utf8.Valid(k.content)
}

// read reads a Vector: one dense vector, or several.
func (v *wireVector) read(b []byte) bool {
	const dense, multiDense = 101, 103
	one, n := takeField(b)
	if n != len(b) {
		return false
	}
	if one.is(dense) {
		return v.add(one.content, 1)
	}
	v.multi = true
	if !one.is(multiDense) {
		return false
	}
	return eachField(one.content, func(f field) bool { return f.is(1) && v.add(f.content, len(one.content)/max(1, len(f.content))) })
}

// add reads a DenseVector: its numbers as one packed list. There is room for so many cells at first.
func (v *wireVector) add(b []byte, room int) bool {
	data, n := takeField(b)
	if n != len(b) || !data.is(1) || len(data.content)%4 != 0 || v.n > 0 && v.size != len(data.content)/4 {
		return false
	}
	if v.n == 0 {
		v.size = len(data.content) / 4
		v.cells = make([]float32, 0, v.size*max(1, room))
	}
	v.n++
	v.cells = appendFloats(v.cells, data.content)
	return true
}

// appendFloats appends little-endian numbers, which is how this machine has them (see package shard).
func appendFloats(to []float32, b []byte) []float32 {
	n := len(to)
	to = slices.Grow(to, len(b)/4)[:n+len(b)/4]
	if len(b) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&to[n])), len(b)), b) //nolint:gosec // 4 bytes a number
	}
	return to
}

// deepest is how deep a payload may be nested here.
const deepest = 16

// payloadEntry checks an entry of a payload, a key with its value, as far as the library would.
func payloadEntry(b []byte, depth int) (key []byte, ok bool) {
	key, value, ok := mapEntry(field{number: 1, kind: protowire.BytesType, content: b})
	return key, ok && payloadValue(value, depth)
}

func payloadValue(b []byte, depth int) bool {
	f, n := takeField(b)
	if n == 0 || n != len(b) || depth > deepest {
		return false
	}
	switch f.number {
	case 1, 3, 5: // null, integer, boolean
		return f.kind == protowire.VarintType && (f.number != 1 || f.value <= math.MaxInt32)
	case 2: // double
		return f.kind == protowire.Fixed64Type
	case 4: // string
		return f.is(4) && utf8.Valid(f.content)
	case 6: // struct
		var keys [][]byte
		return f.is(6) && eachField(f.content, func(entry field) bool {
			key, ok := payloadEntry(entry.content, depth+1)
			return ok && entry.is(1) && isNew(key, &keys)
		})
	case 7: // list
		return f.is(7) && eachField(f.content, func(item field) bool { return item.is(1) && payloadValue(item.content, depth+1) })
	}
	return false
}
