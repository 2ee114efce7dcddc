package porttest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
)

// VectorIndex is both sides of a vector index: what is written by one is found by the other.
type VectorIndex interface {
	index.Writer
	retrieve.Index
}

const (
	indexDimensions = 32
	// indexTolerance is how far the scores of two right implementations may be apart.
	indexTolerance = 1e-5
)

// Index checks every promise of index.Writer and retrieve.Index. open gives an index that may hold other collections; the suite uses names
// of its own and leaves its collections behind.
func Index(t *testing.T, open func(t *testing.T) VectorIndex) {
	cases := []struct {
		name string
		run  func(*testing.T, *indexCase)
	}{
		{"a collection that is not there is NotFound", indexMissing},
		{"Ensure keeps what is there", indexEnsure},
		{"Upsert writes over the point of the same id", indexOverwrite},
		{"rows come back as they were written", indexRoundTrip},
		{"rows of the largest size come back among small ones", indexLargest},
		{"what the writer's caller changes later does not reach the index", indexIsolation},
		{"Query scores as a plain loop does", indexScores},
		{"Query orders equal scores by id", indexTies},
		{"Query with a limit gives the best", indexPrefix},
		{"Query gives rows of the datasets asked for only", indexFilter},
		{"Query never gives a row without vectors", indexBlank},
		{"Count counts each point once", indexCount},
		{"Has tells what is there", indexHas},
		{"IDs gives every id once, ascending", indexIDs},
		{"Delete removes the points named and no other", indexDelete},
		{"ReplaceDescriptions leaves no other description", indexDescriptions},
		{"vectors of another size are refused", indexDimensionsRefused},
		{"collections do not see each other", indexCollections},
		{"an alias stands for the collection that it was given last", indexAlias},
		{"Drop removes a collection and no other", indexDrop},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			seed := rand.Uint64() //nolint:gosec // random rows, no secret
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // see above
			c.run(t, &indexCase{VectorIndex: open(t), random: random, name: fmt.Sprintf("porttest-%016x", seed)})
		})
	}
}

// indexCase is one case's view of the index: a collection of its own and a source of rows.
type indexCase struct {
	VectorIndex
	random *rand.Rand
	name   string
}

func (c *indexCase) ensure(t *testing.T) {
	t.Helper()
	noError(t, c.Ensure(t.Context(), c.name, indexDimensions))
}

func (c *indexCase) upsert(t *testing.T, points ...index.Point) {
	t.Helper()
	for batch := range slices.Chunk(points, 500) {
		noError(t, c.Upsert(t.Context(), c.name, batch))
	}
}

func (c *indexCase) query(t *testing.T, limit int, vectors [][]float32, datasets ...rebased.DatasetID) []retrieve.Hit {
	t.Helper()
	hits, err := c.Query(t.Context(), retrieve.Query{Collection: c.name, Datasets: datasets, Vectors: vectors, Limit: limit})
	noError(t, err)
	return hits
}

func (c *indexCase) count(t *testing.T) int {
	t.Helper()
	n, err := c.Count(t.Context(), c.name)
	noError(t, err)
	return n
}

// points makes rows of several datasets with 1 to 6 vectors, or none for every 50th.
func (c *indexCase) points(n int) []index.Point {
	points := make([]index.Point, n)
	for i := range points {
		points[i] = c.point(dataset(i % 7))
		for range 1 + c.random.IntN(6) {
			c.cell(&points[i], 2*len(points[i].Cells)+i%2, c.vector())
		}
		if i%50 == 49 {
			points[i] = blank(points[i])
		}
	}
	return points
}

func (c *indexCase) point(d rebased.DatasetID, vectors ...[]float32) index.Point {
	var salt [8]byte
	binary.LittleEndian.PutUint64(salt[:], c.random.Uint64())
	p := index.Point{ID: rebased.NewRowID(d, []rebased.Cell{{Text: string(salt[:])}}, 0), Dataset: d}
	for i, v := range vectors {
		c.cell(&p, i, v)
	}
	return p
}

// cell adds a vector with whatever may be said of its cell.
func (c *indexCase) cell(p *index.Point, place int, vector []float32) {
	p.Cells = append(p.Cells, place)
	p.Hashes = append(p.Hashes, c.random.Uint64())
	p.Letters = append(p.Letters, c.random.IntN(rebased.MostLetters+1))
	p.Vectors = append(p.Vectors, vector)
}

// blank is the point without its vectors.
func blank(p index.Point) index.Point { return index.Point{ID: p.ID, Dataset: p.Dataset} }

// vector is a random one of unit length.
func (c *indexCase) vector() []float32 {
	v := make([]float32, indexDimensions)
	norm := 0.0
	for i := range v {
		v[i] = float32(c.random.NormFloat64())
		norm += float64(v[i]) * float64(v[i])
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(norm))
	}
	return v
}

// dataset names differ in one field at a time, and some run into each other when joined by a slash.
func dataset(i int) rebased.DatasetID {
	return []rebased.DatasetID{
		{Name: "a/b", Config: "c", Split: "train"},
		{Name: "a", Config: "b/c", Split: "train"},
		{Name: "a/b", Config: "c", Split: "test"},
		{Name: "a/b", Config: "d", Split: "train"},
		{Name: "日本/データ", Config: "", Split: "train"},
		{Name: "a/b", Config: `"quoted" \ and` + "\n", Split: "train"},
		{Name: "A/B", Config: "c", Split: "train"},
	}[i]
}

func datasets(n int) []rebased.DatasetID {
	all := make([]rebased.DatasetID, n)
	for i := range all {
		all[i] = dataset(i)
	}
	return all
}

// expect is the plain loop: every row that has vectors, with its MaxSim, best first.
func expect(points []index.Point, query [][]float32, among ...rebased.DatasetID) []retrieve.Hit {
	var hits []retrieve.Hit
	for _, p := range points {
		dataset := slices.Index(among, p.Dataset)
		row, err := p.ID.Key()
		if len(p.Vectors) == 0 || dataset < 0 || err != nil {
			continue
		}
		sum := 0.0
		for _, q := range query {
			best := math.Inf(-1)
			for _, v := range p.Vectors {
				product := 0.0
				for i := range q {
					product += float64(q[i]) * float64(v[i])
				}
				best = max(best, product)
			}
			sum += best
		}
		hits = append(hits, retrieve.Hit{Row: row, Dataset: int32(dataset), Score: float32(sum)})
	}
	slices.SortFunc(hits, func(a, b retrieve.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), bytes.Compare(a.Row[:], b.Row[:]))
	})
	return hits
}

// sameHits checks an answer against the plain loop's: the same scores place by place, every row with its own score, no row twice.
func sameHits(t *testing.T, got, all []retrieve.Hit, limit int) {
	t.Helper()
	if want := min(limit, len(all)); len(got) != want {
		t.Fatalf("got %d hits, want %d", len(got), want)
	}
	byID := make(map[rebased.RowKey]retrieve.Hit, len(all))
	for _, hit := range all {
		byID[hit.Row] = hit
	}
	for i, hit := range got {
		want, ok := byID[hit.Row]
		delete(byID, hit.Row)
		switch {
		case !ok:
			t.Fatalf("hit %d: row %s is none of the rows asked for, or comes twice", i, hit.Row.ID())
		case hit.Dataset != want.Dataset:
			t.Fatalf("hit %d: row %s is of dataset %d, got %d", i, hit.Row.ID(), want.Dataset, hit.Dataset)
		case !near(hit.Score, want.Score):
			t.Fatalf("hit %d: row %s scores %v, got %v", i, hit.Row.ID(), want.Score, hit.Score)
		case !near(hit.Score, all[i].Score):
			t.Fatalf("hit %d: score %v, but place %d of the ranking has %v", i, hit.Score, i, all[i].Score)
		case i > 0 && (hit.Score > got[i-1].Score || hit.Score == got[i-1].Score && bytes.Compare(hit.Row[:], got[i-1].Row[:]) <= 0):
			t.Fatalf("hit %d: %v %s stands after %v %s", i, hit.Score, hit.Row.ID(), got[i-1].Score, got[i-1].Row.ID())
		}
	}
}

func near(a, b float32) bool { return math.Abs(float64(a)-float64(b)) <= indexTolerance }

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
