// Package interop checks the project against other people's software: `make interop` starts what these checks talk to, see README.md.
package interop

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
	"github.com/rebased/rebased/infra/qdrant"
)

const (
	rows       = 3000
	sources    = 7
	dimensions = 256
)

// TestIndexesAgree fills the index in memory and every server of REBASED_QDRANT_TEST_URLS with the same rows and compares what they answer with
// each other. The conformance suite compares each one alone with a plain loop, to the same tolerance: that alone lets two of them be twice as
// far apart.
func TestIndexesAgree(t *testing.T) {
	indexes := open(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for _, c := range []struct {
		name      string
		value     func(*rand.Rand) float32
		tolerance float64
	}{
		{"any numbers to 1e-5", func(r *rand.Rand) float32 { return float32(r.NormFloat64() / 16) }, 1e-5},
		// Small multiples of 1/8 add up to the same sum in whatever order a program takes them, and many rows have equal scores.
		{"numbers that add up exactly, exactly", func(r *rand.Rand) float32 { return float32(r.IntN(5)-2) / 8 }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			collection := fmt.Sprintf("agree-%016x", random.Uint64())
			fill(t, indexes, collection, random, c.value)
			furthest := 0.0
			for range 5 {
				query := retrieve.Query{Collection: collection, Vectors: vectors(random, 2, c.value), Datasets: datasets(1 + random.IntN(sources))}
				furthest = max(furthest, agree(t, indexes, query, c.tolerance))
			}
			t.Logf("scores are at most %.1e apart", furthest)
		})
	}
}

// named is an index and what it is called in messages.
type named struct {
	name string
	porttest.VectorIndex
}

func open(t *testing.T) []named {
	t.Helper()
	urls := strings.Fields(os.Getenv("REBASED_QDRANT_TEST_URLS"))
	if len(urls) == 0 {
		t.Skip("REBASED_QDRANT_TEST_URLS is not set: no servers to compare (http://host:port …, key in REBASED_QDRANT_TEST_KEY)")
	}
	indexes := []named{{"memory", new(mem.Index)}}
	for _, url := range urls {
		server, err := qdrant.Open(qdrant.Config{URL: url, APIKey: os.Getenv("REBASED_QDRANT_TEST_KEY")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		indexes = append(indexes, named{url, server})
	}
	return indexes
}

func fill(t *testing.T, indexes []named, collection string, random *rand.Rand, value func(*rand.Rand) float32) {
	t.Helper()
	points := make([]index.Point, rows)
	for i := range points {
		dataset := datasets(sources)[i%sources]
		points[i] = index.Point{
			ID:      rebased.NewRowID(dataset, []rebased.Cell{{Text: fmt.Sprint(random.Uint64())}}, i),
			Dataset: dataset, Vectors: vectors(random, 1+random.IntN(8), value),
		}
		for cell := range points[i].Vectors {
			points[i].Cells, points[i].Hashes = append(points[i].Cells, cell), append(points[i].Hashes, uint64(cell))
			points[i].Letters = append(points[i].Letters, cell)
		}
	}
	for _, x := range indexes {
		if err := x.Ensure(t.Context(), collection, dimensions); err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		for batch := range slices.Chunk(points, 500) {
			if err := x.Upsert(t.Context(), collection, batch); err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
		}
	}
}

// agree asks all indexes for all rows and for the best few, and gives how far the scores of a place are apart at most.
func agree(t *testing.T, indexes []named, query retrieve.Query, tolerance float64) (furthest float64) {
	t.Helper()
	for _, query.Limit = range []int{rows, 300, 10} {
		answers := make([][]retrieve.Hit, len(indexes))
		for i, x := range indexes {
			hits, err := x.Query(t.Context(), query)
			if err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
			answers[i] = hits
			for j := range i {
				what := fmt.Sprintf("limit %d, %s and %s", query.Limit, indexes[j].name, x.name)
				furthest = max(furthest, compare(t, what, answers[j], hits, query.Limit, tolerance))
			}
		}
	}
	return furthest
}

// compare checks that two rankings have the same scores, place by place and row by row, so that only rows of one score may change places; of
// the rows that share the last score, each ranking may show others.
func compare(t *testing.T, what string, a, b []retrieve.Hit, limit int, tolerance float64) (furthest float64) {
	t.Helper()
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%s: %d and %d hits", what, len(a), len(b))
	}
	apart := func(x, y float32) float64 { return math.Abs(float64(x) - float64(y)) }
	inB := scores(b)
	for i, hit := range a {
		if apart(hit.Score, b[i].Score) > tolerance {
			t.Fatalf("%s: place %d has %v and %v", what, i, hit.Score, b[i].Score)
		}
		score, found := inB[hit.Row]
		if !found && len(a) == limit && apart(hit.Score, a[len(a)-1].Score) <= tolerance {
			continue
		}
		if !found || apart(hit.Score, score) > tolerance {
			t.Fatalf("%s: row %s has %v and %v (found: %v)", what, hit.Row.ID(), hit.Score, score, found)
		}
		furthest = max(furthest, apart(hit.Score, score))
	}
	return furthest
}

func scores(hits []retrieve.Hit) map[rebased.RowKey]float32 {
	byID := make(map[rebased.RowKey]float32, len(hits))
	for _, hit := range hits {
		byID[hit.Row] = hit.Score
	}
	return byID
}

func datasets(n int) []rebased.DatasetID {
	all := make([]rebased.DatasetID, n)
	for i := range all {
		all[i] = rebased.DatasetID{Name: fmt.Sprintf("owner/set-%d", i), Config: "default", Split: "train"}
	}
	return all
}

func vectors(random *rand.Rand, n int, value func(*rand.Rand) float32) [][]float32 {
	all := make([][]float32, n)
	for i := range all {
		all[i] = make([]float32, dimensions)
		for j := range all[i] {
			all[i][j] = value(random)
		}
	}
	return all
}
