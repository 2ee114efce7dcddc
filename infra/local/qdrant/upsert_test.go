package qdrant

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased/infra/local/qdrant/internal/shard"
	"google.golang.org/protobuf/proto"
)

// sameAsLibrary checks that a request which the reader takes means what the library reads in it, and says whether it took it.
func sameAsLibrary(t *testing.T, b []byte) bool {
	t.Helper()
	var fast upsert
	if !fast.read(b) {
		return false
	}
	var m pb.UpsertPoints
	if err := proto.Unmarshal(b, &m); err != nil {
		t.Fatalf("read a request that the library refuses: %v", err)
	}
	if fast.collection != m.GetCollectionName() || len(fast.points) != len(m.GetPoints()) {
		t.Fatalf("read %d points for %q, the library %d for %q", len(fast.points), fast.collection, len(m.GetPoints()), m.GetCollectionName())
	}
	for i, want := range m.GetPoints() {
		samePoint(t, fast.points[i], want)
	}
	return true
}

func samePoint(t *testing.T, got wirePoint, want *pb.PointStruct) {
	t.Helper()
	if id, err := shard.NewID(want.GetId()); err != nil || id != got.id {
		t.Fatalf("id %v, the library has %v, %v", got.id, want.GetId(), err)
	}
	var payload pb.Struct
	if err := proto.Unmarshal(got.payload, &payload); err != nil || !proto.Equal(&payload, &pb.Struct{Fields: want.GetPayload()}) {
		t.Fatalf("payload %v, %v, the library has %v", &payload, err, want.GetPayload())
	}
	vectors := want.GetVectors().GetVectors().GetVectors()
	if len(vectors) != len(got.vectors) {
		t.Fatalf("%d vectors, the library has %d", len(got.vectors), len(vectors))
	}
	for _, v := range got.vectors {
		rows := vectors[v.name].GetMultiDense().GetVectors()
		if dense := vectors[v.name].GetDense(); dense != nil {
			rows = []*pb.DenseVector{dense}
		}
		var cells []float32
		for _, row := range rows {
			if len(row.GetData()) != v.size {
				t.Fatalf("cells of size %d, the library has one of %d", v.size, len(row.GetData()))
			}
			cells = append(cells, row.GetData()...)
		}
		if v.multi != (vectors[v.name].GetMultiDense() != nil) || v.n != len(rows) || !reflect.DeepEqual(bitsOf(v.cells), bitsOf(cells)) {
			t.Fatalf("vector %s is %v, the library has %v", v.name, v, vectors[v.name])
		}
	}
}

func bitsOf(cells []float32) []uint32 {
	bits := make([]uint32, len(cells))
	for i, x := range cells {
		bits[i] = math.Float32bits(x)
	}
	return bits
}

// requests are some as clients send them.
func requests() []*pb.UpsertPoints {
	random := rand.New(rand.NewPCG(1, 2))
	row := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = random.Float32() - 0.5
		}
		return v
	}
	payload := pb.NewValueMap(map[string]any{
		"dataset": "日本/data", "n": -7, "x": 1.5, "yes": true, "none": nil, "list": []any{1, "two", []any{}}, "deep": map[string]any{"a": map[string]any{"b": 3}}, "": "",
	})
	return []*pb.UpsertPoints{
		{},
		{CollectionName: "rows", Wait: new(true)},
		{CollectionName: "rows", Points: []*pb.PointStruct{
			{Id: pb.NewIDNum(0)},
			{Id: pb.NewIDNum(7), Payload: payload, Vectors: pb.NewVectorsMap(map[string]*pb.Vector{
				"cells": pb.NewVectorMulti([][]float32{row(4), row(4), row(4)}), "text": pb.NewVectorDense(row(8)),
			})},
			{Id: pb.NewIDUUID("00000000-0000-0000-0000-000001000000"), Vectors: pb.NewVectorsMap(nil)},
			{Id: pb.NewIDUUID("00000000-0000-0000-0000-000001000001"), Vectors: pb.NewVectorsMap(map[string]*pb.Vector{
				"": pb.NewVectorMulti([][]float32{row(1)}),
			})},
		}},
	}
}

func TestUpsertsOfClientsAreReadAsTheLibraryReadsThem(t *testing.T) {
	for _, r := range requests() {
		b, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if !sameAsLibrary(t, b) {
			t.Errorf("left to the library: %v", r)
		}
	}
}

func FuzzUpsert(f *testing.F) {
	for _, r := range requests() {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...))
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameAsLibrary(t, b) })
}
