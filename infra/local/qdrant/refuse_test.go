package qdrant_test

import (
	"log/slog"
	"strings"
	"testing"

	pb "github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestWhatIsNotServedIsRefusedByName sends one request for each, alike but for what is not served.
func TestWhatIsNotServedIsRefusedByName(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 1)
	r.upsert(t, "rows", point(1, cells([]float32{1}), map[string]any{"n": 1}))
	create := func(change func(*pb.CreateCollection)) error {
		c := &pb.CreateCollection{CollectionName: "new", VectorsConfig: oneVector(1)}
		change(c)
		return r.CreateCollection(t.Context(), c)
	}
	vector := func(change func(*pb.VectorParams)) error {
		return create(func(c *pb.CreateCollection) { change(c.GetVectorsConfig().GetParamsMap().GetMap()["v"]) })
	}
	upsert := func(change func(*pb.UpsertPoints)) error {
		u := &pb.UpsertPoints{CollectionName: "rows", Points: []*pb.PointStruct{point(2, cells([]float32{1}), nil)}}
		change(u)
		_, err := r.Upsert(t.Context(), u)
		return err
	}
	query := func(change func(*pb.QueryPoints)) error {
		q := &pb.QueryPoints{CollectionName: "rows", Using: new("cells"), Query: pb.NewQueryDense([]float32{1})}
		change(q)
		_, err := r.Query(t.Context(), q)
		return err
	}
	filter := func(c *pb.Condition) error {
		return query(func(q *pb.QueryPoints) {
			q.Filter = &pb.Filter{Must: []*pb.Condition{{ConditionOneOf: &pb.Condition_Filter{Filter: &pb.Filter{Should: []*pb.Condition{c}}}}}}
		})
	}
	params := func(p *pb.SearchParams) error { return query(func(q *pb.QueryPoints) { q.Params = p }) }
	index := func(change func(*pb.CreateFieldIndexCollection)) error {
		c := &pb.CreateFieldIndexCollection{CollectionName: "rows", FieldName: "n", FieldType: pb.FieldType_FieldTypeInteger.Enum()}
		change(c)
		_, err := r.CreateFieldIndex(t.Context(), c)
		return err
	}
	ordering := &pb.WriteOrdering{Type: pb.WriteOrderingType_Strong}
	payload := pb.NewValueMap(map[string]any{"k": 1})
	second := func(_ any, err error) error { return err }

	for name, err := range map[string]error{
		"CreateCollection.shard_number":             create(func(c *pb.CreateCollection) { c.ShardNumber = new(uint32(2)) }),
		"CreateCollection.replication_factor":       create(func(c *pb.CreateCollection) { c.ReplicationFactor = new(uint32(2)) }),
		"CreateCollection.write_consistency_factor": create(func(c *pb.CreateCollection) { c.WriteConsistencyFactor = new(uint32(2)) }),
		"VectorParams.quantization_config": vector(func(p *pb.VectorParams) {
			p.QuantizationConfig = pb.NewQuantizationScalar(&pb.ScalarQuantization{Type: pb.QuantizationType_Int8})
		}),
		"CreateCollection.quantization_config": create(func(c *pb.CreateCollection) {
			c.QuantizationConfig = pb.NewQuantizationScalar(&pb.ScalarQuantization{})
		}),
		"CreateCollection.sparse_vectors_config": create(func(c *pb.CreateCollection) {
			c.SparseVectorsConfig = pb.NewSparseVectorsConfig(map[string]*pb.SparseVectorParams{"s": {}})
		}),
		"CreateCollection.metadata":   create(func(c *pb.CreateCollection) { c.Metadata = payload }),
		"CreateCollection.timeout":    create(func(c *pb.CreateCollection) { c.Timeout = new(uint64(1)) }),
		"HnswConfigDiff.ef_construct": create(func(c *pb.CreateCollection) { c.HnswConfig = &pb.HnswConfigDiff{EfConstruct: new(uint64(8))} }),
		"HnswConfigDiff.m: a graph":   create(func(c *pb.CreateCollection) { c.HnswConfig = &pb.HnswConfigDiff{M: new(uint64(8))} }),
		"VectorsConfig.params": create(func(c *pb.CreateCollection) {
			c.VectorsConfig = pb.NewVectorsConfig(&pb.VectorParams{Size: 1, Distance: pb.Distance_Dot})
		}),
		"VectorParams.datatype":        vector(func(p *pb.VectorParams) { p.Datatype = pb.Datatype_Float16.Enum() }),
		"distance Euclid":              vector(func(p *pb.VectorParams) { p.Distance = pb.Distance_Euclid }),
		"MultiVectorConfig.comparator": vector(func(p *pb.VectorParams) { p.MultivectorConfig = &pb.MultiVectorConfig{Comparator: 1} }),
		"UpsertPoints.ordering":        upsert(func(u *pb.UpsertPoints) { u.Ordering = ordering }),
		"UpsertPoints.update_filter":   upsert(func(u *pb.UpsertPoints) { u.UpdateFilter = &pb.Filter{} }),
		"UpsertPoints.update_mode":     upsert(func(u *pb.UpsertPoints) { u.UpdateMode = pb.UpdateMode_InsertOnly.Enum() }),
		"UpsertPoints.timeout":         upsert(func(u *pb.UpsertPoints) { u.Timeout = new(uint64(1)) }),
		"Vectors.vector":               upsert(func(u *pb.UpsertPoints) { u.Points[0].Vectors = pb.NewVectorsDense([]float32{1}) }),
		"Vector.sparse": upsert(func(u *pb.UpsertPoints) {
			u.Points[0].Vectors = pb.NewVectorsMap(map[string]*pb.Vector{"cells": pb.NewVectorSparse([]uint32{0}, []float32{1})})
		}),
		"Vector.data": upsert(func(u *pb.UpsertPoints) {
			u.Points[0].Vectors = pb.NewVectorsMap(map[string]*pb.Vector{"cells": {Data: []float32{1}}})
		}),
		"QueryPoints.prefetch":                  query(func(q *pb.QueryPoints) { q.Prefetch = []*pb.PrefetchQuery{{}} }),
		"QueryPoints.lookup_from":               query(func(q *pb.QueryPoints) { q.LookupFrom = &pb.LookupLocation{} }),
		"QueryPoints.read_consistency":          query(func(q *pb.QueryPoints) { q.ReadConsistency = pb.NewReadConsistencyFactor(1) }),
		"QueryPoints.shard_key_selector":        query(func(q *pb.QueryPoints) { q.ShardKeySelector = &pb.ShardKeySelector{} }),
		"QueryPoints without query":             query(func(q *pb.QueryPoints) { q.Query = nil }),
		"Query.order_by":                        query(func(q *pb.QueryPoints) { q.Query = pb.NewQueryOrderBy(&pb.OrderBy{Key: "n"}) }),
		"Query.fusion":                          query(func(q *pb.QueryPoints) { q.Query = pb.NewQueryFusion(pb.Fusion_RRF) }),
		"VectorInput.id":                        query(func(q *pb.QueryPoints) { q.Query = pb.NewQueryID(pb.NewIDNum(1)) }),
		"SearchParams.hnsw_ef":                  params(&pb.SearchParams{HnswEf: new(uint64(1))}),
		"SearchParams.indexed_only":             params(&pb.SearchParams{IndexedOnly: new(true)}),
		"SearchParams.quantization":             params(&pb.SearchParams{Quantization: &pb.QuantizationSearchParams{}}),
		"Filter.min_should":                     query(func(q *pb.QueryPoints) { q.Filter = &pb.Filter{MinShould: &pb.MinShould{}} }),
		"Condition.is_null":                     filter(pb.NewIsNull("n")),
		"Condition.nested":                      filter(pb.NewNestedCondition("n", pb.NewIsEmpty("n"))),
		"Condition.has_vector":                  filter(pb.NewHasVector("cells")),
		"FieldCondition.range":                  filter(pb.NewRange("n", &pb.Range{})),
		"FieldCondition.is_empty":               filter(&pb.Condition{ConditionOneOf: &pb.Condition_Field{Field: &pb.FieldCondition{Key: "n", IsEmpty: new(true)}}}),
		"Match.text":                            filter(pb.NewMatchText("n", "x")),
		"FieldCondition.key: a path":            filter(pb.NewMatch("n[]", "x")),
		"PayloadIncludeSelector.fields: a path": query(func(q *pb.QueryPoints) { q.WithPayload = pb.NewWithPayloadInclude("a.b") }),
		"FieldTypeText":                         index(func(c *pb.CreateFieldIndexCollection) { c.FieldType = pb.FieldType_FieldTypeText.Enum() }),
		"CreateFieldIndexCollection.field_index_params": index(func(c *pb.CreateFieldIndexCollection) {
			c.FieldIndexParams = pb.NewPayloadIndexParamsKeyword(&pb.KeywordIndexParams{})
		}),
		"ScrollPoints.order_by": second(r.Scroll(t.Context(), &pb.ScrollPoints{CollectionName: "rows", OrderBy: &pb.OrderBy{Key: "n"}})),
		"SetPayloadPoints.key":  second(r.SetPayload(t.Context(), &pb.SetPayloadPoints{CollectionName: "rows", Payload: payload, Key: new("k"), PointsSelector: pb.NewPointsSelector(pb.NewIDNum(1))})),
		"DeletePoints.ordering": second(r.Delete(t.Context(), &pb.DeletePoints{CollectionName: "rows", Ordering: ordering, Points: pb.NewPointsSelector(pb.NewIDNum(1))})),
		"newer than version": query(func(q *pb.QueryPoints) {
			q.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
		}),
		"UpdateVectors":      second(r.UpdateVectors(t.Context(), &pb.UpdatePointVectors{CollectionName: "rows"})),
		"OverwritePayload":   second(r.OverwritePayload(t.Context(), &pb.SetPayloadPoints{CollectionName: "rows"})),
		"UpdateBatch":        second(r.UpdateBatch(t.Context(), &pb.UpdateBatchPoints{CollectionName: "rows"})),
		"QueryGroups":        second(r.QueryGroups(t.Context(), &pb.QueryPointGroups{CollectionName: "rows"})),
		"Facet":              second(r.Facet(t.Context(), &pb.FacetCounts{CollectionName: "rows"})),
		"Collections/Update": r.UpdateCollection(t.Context(), &pb.UpdateCollection{CollectionName: "rows"}),
		"qdrant.Snapshots":   second(r.CreateSnapshot(t.Context(), "rows")),
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, err, codes.Unimplemented)
			if err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("the refusal does not name %s: %v", name, err)
			}
		})
	}
	info, err := r.GetCollectionInfo(t.Context(), "rows")
	check(t, err)
	names, err := r.ListCollections(t.Context())
	check(t, err)
	if info.GetPointsCount() != 1 || len(info.GetPayloadSchema()) != 0 || len(names) != 1 {
		t.Errorf("a refused request did something: %v, %v", names, info)
	}
}

// TestAFieldThatIsServedIsNotRefused catches a misspelt name in the list of served fields, which would serve nothing.
func TestAFieldThatIsServedIsNotRefused(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 1)
	r.upsert(t, "rows", point(1, cells([]float32{1}), map[string]any{"a": map[string]any{"b": []any{1, "x", nil, true, 2.5}}}))
	request := &pb.QueryPoints{
		CollectionName: "rows", Using: new("cells"), Query: pb.NewQueryMulti([][]float32{{1}}),
		Params: &pb.SearchParams{Exact: new(false), IndexedOnly: new(false)},
		Filter: &pb.Filter{
			Must:    []*pb.Condition{pb.NewMatchInt("a.b", 1), pb.NewMatchKeywords("a.b", "x", "y"), pb.NewMatchExceptKeywords("a.b", "x")},
			Should:  []*pb.Condition{pb.NewHasID(pb.NewIDUUID(uuid(1))), pb.NewMatchInts("a.b", 1), pb.NewMatchExceptInts("a.b", 1)},
			MustNot: []*pb.Condition{pb.NewIsEmpty("a"), pb.NewMatchBool("a.b", false), {ConditionOneOf: &pb.Condition_Filter{Filter: &pb.Filter{Must: []*pb.Condition{pb.NewIsEmpty("a.b")}}}}},
		},
		ScoreThreshold: new(float32(-1)), Limit: new(uint64(1)), Offset: new(uint64(0)), Timeout: new(uint64(60)),
		WithVectors: pb.NewWithVectors(true), WithPayload: pb.NewWithPayload(true),
	}
	hits, err := r.Query(t.Context(), proto.CloneOf(request))
	check(t, err)
	wantIDs(t, hits, 1)
}

// TestTheNumbersOfOneNodeAreServed takes what a cluster of this size would be asked for.
func TestTheNumbersOfOneNodeAreServed(t *testing.T) {
	r := start(t, t.TempDir())
	c := &pb.CreateCollection{CollectionName: "one", VectorsConfig: oneVector(1), OnDiskPayload: new(true)}
	c.ShardNumber, c.ReplicationFactor, c.WriteConsistencyFactor = new(uint32(1)), new(uint32(1)), new(uint32(1))
	check(t, r.CreateCollection(t.Context(), c))
}
