package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
)

// newRandom gives a random source and prints its seed when the test fails.
func newRandom(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

func config(t testing.TB, dir string) Config {
	return Config{
		Dir:     dir,
		Vectors: []Vector{{Name: "cells", Dimensions: 19}, {Name: "text", Dimensions: 3, Cosine: true}},
		Fields:  map[string]FieldType{"dataset": Keyword, "part": Integer},
		Logger:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func open(t testing.TB, cfg Config) *Shard {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func reopen(t *testing.T, s *Shard) *Shard {
	t.Helper()
	check(t, s.Close())
	return open(t, s.cfg)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// model is what a shard promises, done plainly: points by id, searched by loops.
type model map[ID]Point

func randomID(r *rand.Rand) ID {
	if r.IntN(4) == 0 {
		return ID{lo: uint64(r.IntN(30))}
	}
	return ID{uuid: true, hi: uint64(r.IntN(3)), lo: uint64(r.IntN(40))}
}

// randomPoint has small whole numbers in its cells, so that scores are exact and often equal.
func randomPoint(r *rand.Rand) Point {
	p := Point{ID: randomID(r), Vectors: make([][]float32, 2), Payload: pb.NewValueMap(map[string]any{
		"dataset": fmt.Sprintf("d%d", r.IntN(4)),
		"part":    r.IntN(5),
		"tags":    []any{fmt.Sprintf("t%d", r.IntN(3)), r.IntN(2) == 0},
	})}
	if r.IntN(10) > 0 {
		p.Vectors[0] = randomVector(r, 19*(1+r.IntN(4)))
	}
	if r.IntN(2) > 0 {
		p.Vectors[1] = randomVector(r, 3)
	}
	return p
}

func randomVector(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.IntN(3) - 1)
	}
	return v
}

func clonePoint(p Point) Point {
	c := Point{ID: p.ID, Payload: p.Payload}
	for _, v := range p.Vectors {
		c.Vectors = append(c.Vectors, slices.Clone(v))
	}
	return c
}

// change makes a random change of the shard and of the model.
func (m model) change(t *testing.T, r *rand.Rand, s *Shard) {
	t.Helper()
	switch r.IntN(6) {
	case 0:
		ids := []ID{randomID(r), randomID(r)}
		check(t, s.Delete(t.Context(), Selection{IDs: ids}))
		for _, id := range ids {
			delete(m, id)
		}
	case 1:
		part := int64(r.IntN(5))
		filter := &pb.Filter{Must: []*pb.Condition{pb.NewMatchInt("part", part)}}
		set := Payload{"dataset": pb.NewValueString("changed")}
		check(t, s.SetPayload(t.Context(), Selection{Filter: filter}, set))
		for id, p := range m {
			if p.Payload["part"].GetIntegerValue() == part {
				p.Payload = Payload{"part": p.Payload["part"], "tags": p.Payload["tags"], "dataset": set["dataset"]}
				m[id] = p
			}
		}
	default:
		points := []Point{randomPoint(r), randomPoint(r), randomPoint(r)}
		for _, p := range points {
			stored := clonePoint(p)
			if stored.Vectors[1] != nil {
				normalize(stored.Vectors[1])
			}
			m[p.ID] = stored
		}
		check(t, s.Upsert(t.Context(), points))
	}
}

// filters gives pairs of a filter and the same question put to a payload.
func filters(r *rand.Rand) (*pb.Filter, func(Point) bool) {
	dataset, part, tag := fmt.Sprintf("d%d", r.IntN(4)), int64(r.IntN(5)), fmt.Sprintf("t%d", r.IntN(3))
	isDataset := func(p Point) bool { return p.Payload["dataset"].GetStringValue() == dataset }
	isPart := func(p Point) bool { return p.Payload["part"].GetIntegerValue() == part }
	hasTag := func(p Point) bool {
		return p.Payload["tags"].GetListValue().GetValues()[0].GetStringValue() == tag
	}
	switch r.IntN(6) {
	case 0:
		return nil, func(Point) bool { return true }
	case 1:
		return &pb.Filter{Must: []*pb.Condition{pb.NewMatch("dataset", dataset), pb.NewMatch("tags", tag)}}, func(p Point) bool { return isDataset(p) && hasTag(p) }
	case 2:
		return &pb.Filter{MustNot: []*pb.Condition{pb.NewMatch("dataset", dataset), pb.NewMatchInt("part", part)}}, func(p Point) bool { return !isDataset(p) && !isPart(p) }
	case 3:
		return &pb.Filter{Should: []*pb.Condition{pb.NewMatchInt("part", part), pb.NewMatch("tags", tag)}}, func(p Point) bool { return isPart(p) || hasTag(p) }
	case 4:
		return &pb.Filter{Must: []*pb.Condition{pb.NewMatchExcept("dataset", dataset, "changed")}}, func(p Point) bool {
			return !isDataset(p) && p.Payload["dataset"].GetStringValue() != "changed"
		}
	default:
		return &pb.Filter{Must: []*pb.Condition{pb.NewMatchExceptInts("part", part), pb.NewMatchBool("tags", true), pb.NewIsEmpty("other")}}, func(p Point) bool {
			return !isPart(p) && p.Payload["tags"].GetListValue().GetValues()[1].GetBoolValue()
		}
	}
}

// nearest is the naive search: every point, every pair of vectors, then a sort.
func (m model) nearest(query []float32, keep func(Point) bool) []scored {
	var all []scored
	for id, p := range m {
		cells := p.Vectors[0]
		if len(cells) == 0 || !keep(p) {
			continue
		}
		var sum float64
		for q := range slices.Chunk(query, 19) {
			best := math.Inf(-1)
			for c := range slices.Chunk(cells, 19) {
				var product float64
				for i := range q {
					product += float64(q[i]) * float64(c[i])
				}
				best = max(best, product)
			}
			sum += best
		}
		all = append(all, scored{score: float32(sum), id: id})
	}
	slices.SortFunc(all, scored.compare)
	return all
}

// compare puts random questions to both.
func (m model) compare(t *testing.T, r *rand.Rand, s *Shard) {
	t.Helper()
	if s.Len() != len(m) {
		t.Fatalf("%d points, want %d", s.Len(), len(m))
	}
	filter, keep := filters(r)
	query := randomVector(r, 19*(1+r.IntN(3)))
	offset, limit := r.IntN(5), 1+r.IntN(60)
	want := m.nearest(query, keep)
	want = want[min(offset, len(want)):]
	want = want[:min(limit, len(want))]
	got, err := s.Query(t.Context(), Nearest{Query: query, Filter: filter, Offset: uint64(offset), Limit: uint64(limit)}, Projection{})
	check(t, err)
	if len(got) != len(want) {
		t.Fatalf("query with filter %v gave %d hits, want %d", filter, len(got), len(want))
	}
	for i := range got {
		if got[i].ID != want[i].id || got[i].Score != want[i].score {
			t.Fatalf("hit %d with filter %v is %v with %v, want %v with %v", i, filter, got[i].ID, got[i].Score, want[i].id, want[i].score)
		}
	}
	m.compareScroll(t, s, filter, keep)
}

func (m model) compareScroll(t *testing.T, s *Shard, filter *pb.Filter, keep func(Point) bool) {
	t.Helper()
	var want []ID
	for id, p := range m {
		if keep(p) {
			want = append(want, id)
		}
	}
	slices.SortFunc(want, ID.Compare)
	n, err := s.Count(filter)
	check(t, err)
	hits, next, err := s.Scroll(filter, ID{}, len(m)+1, Projection{Payload: true, Vectors: []int{0, 1}})
	check(t, err)
	if next != nil || n != len(want) || len(hits) != len(want) {
		t.Fatalf("filter %v: count %d, scroll %d and more after %v, want %d", filter, n, len(hits), next, len(want))
	}
	for i, h := range hits {
		p := m[want[i]]
		if h.ID != want[i] || !slices.Equal(h.Vectors[0], p.Vectors[0]) || !slices.Equal(h.Vectors[1], p.Vectors[1]) ||
			h.Payload["dataset"].GetStringValue() != p.Payload["dataset"].GetStringValue() {
			t.Fatalf("point %d of the scroll is %v, want %v", i, h, p)
		}
	}
}

func TestAShardAgreesWithPlainLoopsThroughRestartsAndCompactions(t *testing.T) {
	r := newRandom(t)
	cfg := config(t, t.TempDir())
	cfg.SegmentBytes = minSegmentBytes
	s := open(t, cfg)
	m := model{}
	for range 60 {
		for range 25 {
			m.change(t, r, s)
		}
		m.compare(t, r, s)
		if r.IntN(4) == 0 {
			s = reopen(t, s)
			m.compare(t, r, s)
		}
	}
	if first := s.log.segments[0].number; first == 1 {
		t.Error("the log was never compacted")
	}
}

func TestACanceledQueryAndAClosedShardSaySo(t *testing.T) {
	s := open(t, config(t, t.TempDir()))
	check(t, s.Upsert(t.Context(), []Point{{ID: ID{lo: 1}, Vectors: [][]float32{make([]float32, 19), nil}}}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	query := Nearest{Query: make([]float32, 19), Limit: 1}
	if _, err := s.Query(ctx, query, Projection{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled query gave %v", err)
	}
	check(t, s.Close())
	if _, err := s.Query(t.Context(), query, Projection{}); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("a query of a closed shard gave %v", err)
	}
	if err := s.Upsert(t.Context(), nil); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("a write to a closed shard gave %v", err)
	}
}

func TestScoresDoNotDependOnHowManyAreAskedAtOnce(t *testing.T) {
	r := newRandom(t)
	for _, n := range []int{1, 7, 8, 9, 256, 300} {
		v := make([][]float32, 3)
		for i := range v {
			v[i] = make([]float32, n)
			for k := range v[i] {
				v[i][k] = r.Float32() - 0.5
			}
		}
		a, b := dot2(v[0], v[1], v[2])
		if a != dot(v[0], v[2]) || b != dot(v[1], v[2]) {
			t.Errorf("%d dimensions: dot2 gives %v and %v, dot %v and %v", n, a, b, dot(v[0], v[2]), dot(v[1], v[2]))
		}
	}
}

func TestAFieldAddedLaterAnswersAsThePayloadsDo(t *testing.T) {
	cfg := config(t, t.TempDir())
	s := open(t, cfg)
	values := []any{"a", "b", 1, true, nil, []any{}, []any{"a", 1}, map[string]any{"k": "a"}}
	for i, v := range values {
		check(t, s.Upsert(t.Context(), []Point{{ID: ID{lo: uint64(i)}, Payload: pb.NewValueMap(map[string]any{"x": v, "deep": map[string]any{"x": v}})}}))
	}
	for _, c := range []struct {
		name      string
		condition func(key string) *pb.Condition
		want      int
	}{
		{"keyword", func(k string) *pb.Condition { return pb.NewMatch(k, "a") }, 2},
		{"keywords", func(k string) *pb.Condition { return pb.NewMatchKeywords(k, "b", "a", "c") }, 3},
		{"integer", func(k string) *pb.Condition { return pb.NewMatchInt(k, 1) }, 2},
		{"empty", pb.NewIsEmpty, 2},
		{"bool", func(k string) *pb.Condition { return pb.NewMatchBool(k, true) }, 1},
	} {
		for _, key := range []string{"x", "deep.x"} {
			n, err := s.Count(&pb.Filter{Must: []*pb.Condition{c.condition(key)}})
			check(t, err)
			check(t, s.AddField(key, Keyword))
			indexed, err := s.Count(&pb.Filter{Must: []*pb.Condition{c.condition(key)}})
			check(t, err)
			if n != c.want || indexed != c.want {
				t.Errorf("%s of %s: %d, with an index %d, want %d", c.name, key, n, indexed, c.want)
			}
			delete(s.table.fields, key)
		}
	}
	check(t, s.AddField("x", Keyword))
	if got := s.Fields()["x"]; got != (FieldInfo{Keyword, 3}) {
		t.Errorf("the index holds %+v, want 3 points", got)
	}
}
