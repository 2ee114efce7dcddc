package qdrant_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	api "github.com/qdrant/go-client/qdrant"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/qdrant"
)

// Query implements the protocol's query with whatever the test answers.
func (s *stub) Query(context.Context, *api.QueryPoints) (*api.QueryResponse, error) {
	return s.answer, nil
}

func point(id rebased.RowID, source string, score float32) *api.ScoredPoint {
	return &api.ScoredPoint{
		Id: api.NewIDUUID(string(id)), Score: score, Version: 7, Payload: map[string]*api.Value{"source": api.NewValueString(source)},
	}
}

func TestHitsAreReadFromTheWholeAnswer(t *testing.T) {
	asked := []rebased.DatasetID{{Name: "a"}, {Name: "b"}}
	query := retrieve.Query{Collection: "rows", Datasets: asked, Vectors: [][]float32{{1}}, Limit: 1 << 20}
	answer := &api.QueryResponse{Time: 0.5, Usage: &api.Usage{Hardware: &api.HardwareUsage{Cpu: 300}}}
	var want []retrieve.Hit
	for i := range 5000 {
		id, dataset := rebased.NewRowID(asked[i%2], nil, i), int32(i%2)
		answer.Result = append(answer.Result, point(id, string(rebased.NewRowID(asked[i%2], nil, 0)), float32(5000-i)))
		key, err := id.Key()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, retrieve.Hit{Row: key, Dataset: dataset, Score: float32(5000 - i)})
	}
	x := open(t, qdrant.Config{URL: serve(t, &stub{answer: answer})})
	got, err := x.Query(t.Context(), query)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d hits, want %d; %v", len(got), len(want), err)
	}
	answer.Result = []*api.ScoredPoint{point(rebased.NewRowID(asked[0], nil, 0), "another", 1)}
	if got, err = x.Query(t.Context(), query); err != nil || fmt.Sprint(got[0].Dataset) != "-1" {
		t.Errorf("a dataset that was not asked for: %v, %v", got, err)
	}
	answer.Result = []*api.ScoredPoint{{Id: api.NewIDNum(7), Score: 1}}
	if _, err = x.Query(t.Context(), query); rebased.KindOf(err) != rebased.Unavailable {
		t.Errorf("an id that is no UUID: got %v, want Unavailable", err)
	}
}
