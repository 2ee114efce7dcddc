package qdrant_test

import (
	"math"
	"slices"
	"testing"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased/infra/local/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

func TestQueryOrdersByScoreThenByID(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 2)
	r.upsert(t, "rows",
		point(4, cells([]float32{1, 0}, []float32{0, 1}), nil),
		point(2, cells([]float32{1, 0}), nil),
		point(3, cells([]float32{0, 1}), nil),
		point(1, cells([]float32{1, 1}), nil),
		&pb.PointStruct{Id: pb.NewIDUUID(uuid(5)), Vectors: pb.NewVectorsMap(map[string]*pb.Vector{"text": pb.NewVectorDense([]float32{1, 0})})},
	)
	hits, err := r.Query(t.Context(), &pb.QueryPoints{
		CollectionName: "rows", Using: new("cells"),
		Query: pb.NewQueryMulti([][]float32{{1, 0}, {0, 1}}), Params: &pb.SearchParams{Exact: new(true)},
	})
	check(t, err)
	wantIDs(t, hits, 1, 4, 2, 3) // 5 has no cells
	for i, want := range []float32{2, 2, 1, 1} {
		if hits[i].GetScore() != want {
			t.Errorf("hit %d has score %v, want %v", i, hits[i].GetScore(), want)
		}
	}
	if hits[0].GetPayload() != nil || hits[0].GetVectors() != nil {
		t.Error("a query that asks for neither payload nor vectors got some")
	}
}

func wantIDs(t *testing.T, hits []*pb.ScoredPoint, want ...int) {
	t.Helper()
	var got []string
	for _, h := range hits {
		got = append(got, h.GetId().GetUuid())
	}
	wanted := make([]string, len(want))
	for i, n := range want {
		wanted[i] = uuid(n)
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("got %v, want %v", got, wanted)
	}
}

func TestQueryTakesLimitOffsetThresholdAndAOneVectorQuery(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 1)
	for n := range 20 {
		r.upsert(t, "rows", point(n, cells([]float32{float32(n)}), nil))
	}
	query := &pb.QueryPoints{CollectionName: "rows", Using: new("cells"), Query: pb.NewQueryDense([]float32{1})}
	for _, c := range []struct {
		change func(*pb.QueryPoints)
		want   []int
	}{
		{func(*pb.QueryPoints) {}, []int{19, 18, 17, 16, 15, 14, 13, 12, 11, 10}},
		{func(q *pb.QueryPoints) { q.Limit = new(uint64(2)) }, []int{19, 18}},
		{func(q *pb.QueryPoints) { q.Limit, q.Offset = new(uint64(2)), new(uint64(3)) }, []int{16, 15}},
		{func(q *pb.QueryPoints) { q.Offset = new(uint64(18)) }, []int{1, 0}},
		{func(q *pb.QueryPoints) { q.Offset = new(uint64(20)) }, nil},
		{func(q *pb.QueryPoints) { q.Limit, q.Offset = new(^uint64(0)), new(^uint64(0)) }, nil},
		{func(q *pb.QueryPoints) { q.ScoreThreshold = new(float32(17)) }, []int{19, 18}}, // above it, not at it, as in Qdrant
	} {
		q := proto.CloneOf(query)
		c.change(q)
		hits, err := r.Query(t.Context(), q)
		check(t, err)
		wantIDs(t, hits, c.want...)
	}
	batch, err := r.QueryBatch(t.Context(), &pb.QueryBatchPoints{CollectionName: "rows", QueryPoints: []*pb.QueryPoints{query, query}})
	check(t, err)
	if len(batch) != 2 || len(batch[1].GetResult()) != 10 {
		t.Errorf("a batch of two queries gave %v", batch)
	}
}

func TestCosineVectorsAreNormalised(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 2)
	text := func(x ...float32) map[string]*pb.Vector { return map[string]*pb.Vector{"text": pb.NewVectorDense(x)} }
	r.upsert(t, "rows", point(1, text(3, 4), nil), point(2, text(0, 0), nil))
	hits, err := r.Query(t.Context(), &pb.QueryPoints{CollectionName: "rows", Using: new("text"), Query: pb.NewQueryDense([]float32{30, 40}),
		WithVectors: pb.NewWithVectorsInclude("text")})
	check(t, err)
	wantIDs(t, hits, 1, 2)
	if s := hits[0].GetScore(); s < 0.999999 || s > 1.000001 {
		t.Errorf("score %v, want 1", s)
	}
	got := hits[0].GetVectors().GetVectors().GetVectors()["text"].GetDense().GetData()
	if !slices.Equal(got, []float32{0.6, 0.8}) {
		t.Errorf("the vector came back as %v, want it normalised", got)
	}
}

func TestGetGivesWhatIsAskedFor(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 2)
	both := cells([]float32{1, 2}, []float32{3, 4})
	both["text"] = pb.NewVectorDense([]float32{0, 1})
	r.upsert(t, "rows", point(1, both, map[string]any{"dataset": "a/b", "n": 7, "tags": []any{"x", "y"}}), point(2, nil, nil))
	get := func(change func(*pb.GetPoints)) []*pb.RetrievedPoint {
		req := &pb.GetPoints{CollectionName: "rows", Ids: []*pb.PointId{pb.NewIDUUID(uuid(2)), pb.NewIDUUID(uuid(9)), pb.NewIDUUID(uuid(1))}}
		change(req)
		points, err := r.Get(t.Context(), req)
		check(t, err)
		if len(points) != 2 || points[1].GetId().GetUuid() != uuid(1) {
			t.Fatalf("got %v, want points 2 and 1", points)
		}
		return points
	}
	bare := get(func(*pb.GetPoints) {})
	if bare[1].GetPayload() != nil || bare[1].GetVectors() != nil {
		t.Error("a get that asks for neither payload nor vectors got some")
	}
	all := get(func(g *pb.GetPoints) {
		g.WithPayload, g.WithVectors = pb.NewWithPayload(true), pb.NewWithVectors(true)
	})
	if got := all[1].GetPayload(); !proto.Equal(&pb.Struct{Fields: got}, &pb.Struct{Fields: pb.NewValueMap(map[string]any{"dataset": "a/b", "n": 7, "tags": []any{"x", "y"}})}) {
		t.Errorf("payload %v", got)
	}
	rows := all[1].GetVectors().GetVectors().GetVectors()["cells"].GetMultiDense().GetVectors()
	if len(rows) != 2 || !slices.Equal(rows[1].GetData(), []float32{3, 4}) {
		t.Errorf("cells came back as %v", rows)
	}
	if len(all[0].GetVectors().GetVectors().GetVectors()) != 0 {
		t.Error("a point without vectors got some")
	}
	part := get(func(g *pb.GetPoints) {
		g.WithPayload, g.WithVectors = pb.NewWithPayloadInclude("n"), pb.NewWithVectorsInclude("text")
	})
	if len(part[1].GetPayload()) != 1 || len(part[1].GetVectors().GetVectors().GetVectors()) != 1 {
		t.Errorf("asked for one key and one vector, got %v", part[1])
	}
	rest := get(func(g *pb.GetPoints) { g.WithPayload = pb.NewWithPayloadExclude("n") })
	if len(rest[1].GetPayload()) != 2 {
		t.Errorf("asked for all but one key, got %v", rest[1])
	}
}

func TestScrollPagesInTheOrderOfIDs(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 1)
	var points []*pb.PointStruct
	for _, n := range []int{5, 3, 8, 1, 9, 2} {
		points = append(points, point(n, cells([]float32{1}), map[string]any{"n": n}))
	}
	r.upsert(t, "rows", append(points, &pb.PointStruct{Id: pb.NewIDNum(77), Vectors: pb.NewVectorsMap(nil)})...)
	var got []string
	var offset *pb.PointId
	pages := 0
	for {
		page, next, err := r.ScrollAndOffset(t.Context(), &pb.ScrollPoints{CollectionName: "rows", Limit: new(uint32(3)), Offset: offset})
		check(t, err)
		for _, p := range page {
			got = append(got, p.GetId().GetUuid())
		}
		pages++
		if offset = next; offset == nil || pages > len(points) {
			break
		}
	}
	want := []string{"", uuid(1), uuid(2), uuid(3), uuid(5), uuid(8), uuid(9)} // numbers before UUIDs
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%d pages of %v, want 3 of %v", pages, got, want)
	}
	page, err := r.Scroll(t.Context(), &pb.ScrollPoints{CollectionName: "rows", Filter: &pb.Filter{Must: []*pb.Condition{pb.NewMatchInt("n", 8)}}})
	check(t, err)
	if len(page) != 1 || page[0].GetPayload()["n"].GetIntegerValue() != 8 {
		t.Errorf("a filtered scroll gave %v, want point 8 with its payload", page)
	}
}

func TestDeleteAndSetPayload(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 1)
	for n := range 6 {
		r.upsert(t, "rows", point(n, cells([]float32{float32(n)}), map[string]any{"odd": n%2 == 1, "kept": "yes"}))
	}
	_, err := r.Delete(t.Context(), &pb.DeletePoints{CollectionName: "rows", Points: pb.NewPointsSelector(pb.NewIDUUID(uuid(0)), pb.NewIDUUID(uuid(42)))})
	check(t, err)
	odd := &pb.Filter{Must: []*pb.Condition{pb.NewMatchBool("odd", true)}}
	_, err = r.SetPayload(t.Context(), &pb.SetPayloadPoints{CollectionName: "rows", PointsSelector: pb.NewPointsSelectorFilter(odd),
		Payload: pb.NewValueMap(map[string]any{"odd": "indeed"})})
	check(t, err)
	count := func(f *pb.Filter) uint64 {
		n, err := r.Count(t.Context(), &pb.CountPoints{CollectionName: "rows", Filter: f, Exact: new(true)})
		check(t, err)
		return n
	}
	indeed := &pb.Filter{Must: []*pb.Condition{pb.NewMatch("odd", "indeed"), pb.NewMatch("kept", "yes")}}
	if all, odds, now := count(nil), count(odd), count(indeed); all != 5 || odds != 0 || now != 3 {
		t.Errorf("%d points, %d with the old payload, %d with the new and the rest of the old; want 5, 0, 3", all, odds, now)
	}
	hits, err := r.Query(t.Context(), &pb.QueryPoints{CollectionName: "rows", Using: new("cells"), Query: pb.NewQueryDense([]float32{1}), Filter: indeed})
	check(t, err)
	wantIDs(t, hits, 5, 3, 1)
	_, err = r.Delete(t.Context(), &pb.DeletePoints{CollectionName: "rows", Points: pb.NewPointsSelectorFilter(indeed)})
	check(t, err)
	if n := count(nil); n != 2 {
		t.Errorf("%d points left, want 2", n)
	}
}

func TestCollectionsAndAliases(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows-1", 2)
	r.rows(t, "rows-2", 2)
	r.upsert(t, "rows-2", point(1, cells([]float32{1, 0}), map[string]any{"dataset": "d"}))
	check(t, r.CreateAlias(t.Context(), "rows", "rows-1"))
	check(t, r.UpdateAliases(t.Context(), []*pb.AliasOperations{pb.NewAliasDelete("rows"), pb.NewAliasCreate("rows", "rows-2"), pb.NewAliasRename("rows", "now")}))
	n, err := r.Count(t.Context(), &pb.CountPoints{CollectionName: "now"})
	check(t, err)
	if n != 1 {
		t.Errorf("the alias leads to a collection of %d points, want 1", n)
	}
	err = r.UpdateAliases(t.Context(), []*pb.AliasOperations{pb.NewAliasDelete("now"), pb.NewAliasCreate("now", "nowhere")})
	wantCode(t, err, codes.NotFound)
	aliases, err := r.ListAliases(t.Context())
	check(t, err)
	if len(aliases) != 1 || aliases[0].GetAliasName() != "now" || aliases[0].GetCollectionName() != "rows-2" {
		t.Errorf("aliases %v after a change that failed half way, want now = rows-2", aliases)
	}
	of, err := r.ListCollectionAliases(t.Context(), "rows-1")
	check(t, err)
	if len(of) != 0 {
		t.Errorf("rows-1 has the aliases %v, want none", of)
	}
	_, err = r.CreateFieldIndex(t.Context(), &pb.CreateFieldIndexCollection{CollectionName: "now", FieldName: "dataset", FieldType: pb.FieldType_FieldTypeKeyword.Enum()})
	check(t, err)
	info, err := r.GetCollectionInfo(t.Context(), "now")
	check(t, err)
	params := info.GetConfig().GetParams().GetVectorsConfig().GetParamsMap().GetMap()
	if info.GetStatus() != pb.CollectionStatus_Green || info.GetPointsCount() != 1 || params["cells"].GetSize() != 2 || params["text"].GetDistance() != pb.Distance_Cosine {
		t.Errorf("info %v", info)
	}
	if s := info.GetPayloadSchema()["dataset"]; s.GetDataType() != pb.PayloadSchemaType_Keyword || s.GetPoints() != 1 {
		t.Errorf("payload schema %v", s)
	}
	check(t, r.DeleteCollection(t.Context(), "rows-2"))
	names, err := r.ListCollections(t.Context())
	check(t, err)
	exists, err := r.CollectionExists(t.Context(), "now")
	check(t, err)
	aliases, err = r.ListAliases(t.Context())
	check(t, err)
	if !slices.Equal(names, []string{"rows-1"}) || exists || len(aliases) != 0 {
		t.Errorf("after the deletion there are %v, aliases %v, and the alias leads on: %v", names, aliases, exists)
	}
}

func TestErrorsHaveTheCodesOfQdrant(t *testing.T) {
	r := start(t, t.TempDir())
	r.rows(t, "rows", 2)
	upsert := func(p *pb.PointStruct) error {
		_, err := r.Upsert(t.Context(), &pb.UpsertPoints{CollectionName: "rows", Points: []*pb.PointStruct{p}})
		return err
	}
	query := func(change func(*pb.QueryPoints)) error {
		q := &pb.QueryPoints{CollectionName: "rows", Using: new("cells"), Query: pb.NewQueryDense([]float32{1, 0})}
		change(q)
		_, err := r.Query(t.Context(), q)
		return err
	}
	inf := float32(math.Inf(1))
	for name, c := range map[string]struct {
		err  error
		want codes.Code
	}{
		"missing collection":      {query(func(q *pb.QueryPoints) { q.CollectionName = "other" }), codes.NotFound},
		"bad collection name":     {query(func(q *pb.QueryPoints) { q.CollectionName = "a/b" }), codes.InvalidArgument},
		"no collection name":      {query(func(q *pb.QueryPoints) { q.CollectionName = "" }), codes.InvalidArgument},
		"collection that exists":  {r.CreateCollection(t.Context(), &pb.CreateCollection{CollectionName: "rows", VectorsConfig: oneVector(1)}), codes.AlreadyExists},
		"no dimensions":           {r.CreateCollection(t.Context(), &pb.CreateCollection{CollectionName: "new", VectorsConfig: oneVector(0)}), codes.InvalidArgument},
		"no vectors":              {r.CreateCollection(t.Context(), &pb.CreateCollection{CollectionName: "new"}), codes.InvalidArgument},
		"alias like a collection": {r.CreateAlias(t.Context(), "rows", "rows"), codes.AlreadyExists},
		"dimensions of a point":   {upsert(point(1, cells([]float32{1}), nil)), codes.InvalidArgument},
		"dimensions of a query":   {query(func(q *pb.QueryPoints) { q.Query = pb.NewQueryDense([]float32{1}) }), codes.InvalidArgument},
		"empty multivector":       {upsert(point(1, cells(), nil)), codes.InvalidArgument},
		"not finite":              {upsert(point(1, cells([]float32{1, inf}), nil)), codes.InvalidArgument},
		"unknown vector":          {upsert(point(1, map[string]*pb.Vector{"other": pb.NewVectorDense([]float32{1, 0})}, nil)), codes.InvalidArgument},
		"multivector for a dense": {query(func(q *pb.QueryPoints) { q.Using, q.Query = new("text"), pb.NewQueryMulti([][]float32{{1, 0}}) }), codes.InvalidArgument},
		"no using":                {query(func(q *pb.QueryPoints) { q.Using = nil }), codes.InvalidArgument},
		"limit 0":                 {query(func(q *pb.QueryPoints) { q.Limit = new(uint64(0)) }), codes.InvalidArgument},
		"no id":                   {upsert(&pb.PointStruct{}), codes.InvalidArgument},
		"not a UUID":              {upsert(&pb.PointStruct{Id: pb.NewIDUUID("7")}), codes.InvalidArgument},
		"empty condition":         {query(func(q *pb.QueryPoints) { q.Filter = &pb.Filter{Must: []*pb.Condition{{}}} }), codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, c.err, c.want) })
	}
	_, err := r.Delete(t.Context(), &pb.DeletePoints{CollectionName: "rows"})
	wantCode(t, err, codes.InvalidArgument)
	_, err = r.SetPayload(t.Context(), &pb.SetPayloadPoints{CollectionName: "rows", PointsSelector: pb.NewPointsSelector(pb.NewIDNum(1))})
	wantCode(t, err, codes.NotFound)
	if n, err := r.Count(t.Context(), &pb.CountPoints{CollectionName: "rows"}); err != nil || n != 0 {
		t.Errorf("%d points after requests that all failed (%v)", n, err)
	}
}

func oneVector(size uint64) *pb.VectorsConfig {
	return pb.NewVectorsConfigMap(map[string]*pb.VectorParams{"v": {Size: size, Distance: pb.Distance_Dot}})
}

func TestAPIKeyIsAskedFor(t *testing.T) {
	r := start(t, t.TempDir())
	for key, want := range map[string]codes.Code{"": codes.Unauthenticated, "wrong": codes.Unauthenticated, apiKey: codes.OK} {
		client := connect(t, r.address, key)
		_, err := client.ListCollections(t.Context())
		wantCode(t, err, want)
		if _, err := client.HealthCheck(t.Context()); err != nil {
			t.Errorf("the health check asks for a key: %v", err)
		}
		check(t, client.Close())
	}
}

func TestASecondServerIsKeptOutOfTheFolder(t *testing.T) {
	r := start(t, t.TempDir())
	if _, err := qdrant.New(qdrant.Config{Dir: r.dir, Addr: "127.0.0.1:0", Logger: discard()}); err == nil {
		t.Error("two servers opened one folder")
	}
}
