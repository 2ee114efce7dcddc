package porttest

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
)

func indexMissing(t *testing.T, c *indexCase) {
	ctx := t.Context()
	p := c.point(dataset(0), c.vector())
	_, err := c.Query(ctx, retrieve.Query{Collection: c.name, Datasets: datasets(1), Vectors: p.Vectors, Limit: 1})
	wantKind(t, err, rebased.NotFound)
	_, err = c.Rows(ctx, c.name, []rebased.RowID{p.ID})
	wantKind(t, err, rebased.NotFound)
	_, err = c.Descriptions(ctx, c.name, datasets(1))
	wantKind(t, err, rebased.NotFound)
	_, err = c.Count(ctx, c.name)
	wantKind(t, err, rebased.NotFound)
	_, err = c.CountDescriptions(ctx, c.name)
	wantKind(t, err, rebased.NotFound)
	wantKind(t, c.Upsert(ctx, c.name, []index.Point{p}), rebased.NotFound)
	key, err := p.ID.Key()
	noError(t, err)
	_, err = c.Has(ctx, c.name, []rebased.RowKey{key})
	wantKind(t, err, rebased.NotFound)
	for _, err := range c.IDs(ctx, c.name, rebased.RowKey{}) {
		wantKind(t, err, rebased.NotFound)
	}
	wantKind(t, c.Delete(ctx, c.name, []rebased.RowKey{key}), rebased.NotFound)
	wantKind(t, c.ReplaceDescriptions(ctx, c.name, []index.Description{{Vector: c.vector()}}), rebased.NotFound)
}

func indexEnsure(t *testing.T, c *indexCase) {
	c.ensure(t)
	if n := c.count(t); n != 0 {
		t.Errorf("a new collection has %d points", n)
	}
	c.upsert(t, c.points(10)...)
	noError(t, c.Upsert(t.Context(), c.name, nil))
	c.ensure(t)
	if n := c.count(t); n != 10 {
		t.Errorf("after Ensure %d points are left of 10", n)
	}
}

func indexOverwrite(t *testing.T, c *indexCase) {
	c.ensure(t)
	old := c.point(dataset(0), c.vector(), c.vector(), c.vector())
	fresh := index.Point{ID: old.ID, Dataset: dataset(1)}
	c.cell(&fresh, 4, c.vector())
	c.upsert(t, old)
	c.upsert(t, fresh)
	c.sameRows(t, []index.Point{fresh})
	if n := c.count(t); n != 1 {
		t.Errorf("%d points, want 1", n)
	}
	sameHits(t, c.query(t, 9, old.Vectors, datasets(2)...), expect([]index.Point{fresh}, old.Vectors, datasets(2)...), 9)
	c.upsert(t, blank(fresh))
	if hits := c.query(t, 9, old.Vectors, datasets(2)...); len(hits) != 0 {
		t.Errorf("vectors of the point before are still found: %v", hits)
	}
}

func indexRoundTrip(t *testing.T, c *indexCase) {
	c.ensure(t)
	points := c.points(300)
	for range 500 { // one ragged row that is much longer than the others
		c.cell(&points[0], 1000+len(points[0].Cells), c.vector())
	}
	c.upsert(t, points...)
	c.sameRows(t, points)
	rows, err := c.Rows(t.Context(), c.name, []rebased.RowID{c.point(dataset(0)).ID, points[7].ID})
	noError(t, err)
	if _, ok := rows[points[7].ID]; !ok || len(rows) != 1 {
		t.Errorf("of a row that is there and one that is not, got %d rows", len(rows))
	}
	rows, err = c.Rows(t.Context(), c.name, nil)
	noError(t, err)
	if len(rows) != 0 {
		t.Errorf("no ids give %d rows", len(rows))
	}
}

// indexLargest reads so many rows of nearly the largest size after small ones that one message cannot hold them.
func indexLargest(t *testing.T, c *indexCase) {
	const few, large, cells = 12, 18, 1 << 20 / indexDimensions * 15 / 16
	c.ensure(t)
	points := c.points(few)
	vector := c.vector()
	for i := range large {
		p := c.point(dataset(i % 7))
		for place := range cells {
			c.cell(&p, place, vector)
		}
		c.upsert(t, p)
		points = append(points, p)
	}
	c.upsert(t, points[:few]...)
	c.sameRows(t, points)
}

func (c *indexCase) sameRows(t *testing.T, points []index.Point) {
	t.Helper()
	ids := make([]rebased.RowID, len(points))
	for i, p := range points {
		ids[i] = p.ID
	}
	rows, err := c.Rows(t.Context(), c.name, ids)
	noError(t, err)
	if len(rows) != len(points) {
		t.Fatalf("got %d rows, want %d", len(rows), len(points))
	}
	for _, p := range points {
		got := rows[p.ID]
		if !slices.Equal(got.Cells, p.Cells) || !slices.Equal(got.Hashes, p.Hashes) || !slices.Equal(got.Letters, p.Letters) {
			t.Fatalf("row %s is %v %x %v, want %v %x %v", p.ID, got.Cells, got.Hashes, got.Letters, p.Cells, p.Hashes, p.Letters)
		}
		if !slices.EqualFunc(got.Vectors, p.Vectors, slices.Equal) {
			t.Fatalf("row %s has other vectors than were written, or in another order", p.ID)
		}
	}
}

func indexIsolation(t *testing.T, c *indexCase) {
	c.ensure(t)
	p := c.point(dataset(0), c.vector())
	want := p
	want.Cells, want.Hashes, want.Letters = slices.Clone(p.Cells), slices.Clone(p.Hashes), slices.Clone(p.Letters)
	want.Vectors = [][]float32{slices.Clone(p.Vectors[0])}
	c.upsert(t, p)
	p.Vectors[0][0], p.Cells[0], p.Hashes[0], p.Letters[0] = 9, 9, 9, 9
	c.sameRows(t, []index.Point{want})
}

func indexScores(t *testing.T, c *indexCase) {
	c.ensure(t)
	points := c.points(2000)
	c.upsert(t, points...)
	for _, vectors := range [][][]float32{{c.vector()}, {c.vector(), c.vector()}, {c.vector(), make([]float32, indexDimensions)}} {
		sameHits(t, c.query(t, 5000, vectors, datasets(7)...), expect(points, vectors, datasets(7)...), 5000)
	}
}

func indexTies(t *testing.T, c *indexCase) {
	c.ensure(t)
	shared, other := c.vector(), c.vector()
	var points []index.Point
	for i := range 200 {
		points = append(points, c.point(dataset(i%3), shared))
	}
	points = append(points, c.point(dataset(0), other))
	c.upsert(t, points...)
	hits := c.query(t, 300, [][]float32{shared}, datasets(3)...)
	sameHits(t, hits, expect(points, [][]float32{shared}, datasets(3)...), 300)
	for _, hit := range hits[:200] {
		if hit.Score != hits[0].Score {
			t.Fatalf("equal vectors score %v and %v", hit.Score, hits[0].Score)
		}
	}
	// Which of the equal rows a short list shows is open; that it shows no other is not.
	sameHits(t, c.query(t, 50, [][]float32{shared}, datasets(3)...), expect(points, [][]float32{shared}, datasets(3)...), 50)
}

func indexPrefix(t *testing.T, c *indexCase) {
	c.ensure(t)
	points := c.points(2000)
	c.upsert(t, points...)
	vectors := [][]float32{c.vector(), c.vector()}
	all := expect(points, vectors, datasets(7)...)
	var before []retrieve.Hit
	for limit := 1; limit <= 4096; limit *= 2 {
		hits := c.query(t, limit, vectors, datasets(7)...)
		sameHits(t, hits, all, limit)
		for i, hit := range before {
			if hits[i].Row != hit.Row {
				t.Fatalf("place %d is %s with limit %d and %s with limit %d", i, hit.Row.ID(), limit/2, hits[i].Row.ID(), limit)
			}
		}
		before = hits
	}
}

func indexFilter(t *testing.T, c *indexCase) {
	c.ensure(t)
	points := c.points(700)
	c.upsert(t, points...)
	vectors := [][]float32{c.vector(), c.vector()}
	for i := range 7 {
		sameHits(t, c.query(t, 1000, vectors, dataset(i)), expect(points, vectors, dataset(i)), 1000)
	}
	some := []rebased.DatasetID{dataset(1), dataset(4), {Name: "not", Config: "there", Split: "train"}}
	sameHits(t, c.query(t, 30, vectors, some...), expect(points, vectors, some...), 30)
	if hits := c.query(t, 30, vectors); len(hits) != 0 {
		t.Errorf("no dataset gives %d rows", len(hits))
	}
}

func indexBlank(t *testing.T, c *indexCase) {
	c.ensure(t)
	v := c.vector()
	opposite := make([]float32, len(v))
	for i := range v {
		opposite[i] = -v[i]
	}
	points := []index.Point{c.point(dataset(0)), c.point(dataset(0), opposite), c.point(dataset(0), v)}
	c.upsert(t, points...)
	sameHits(t, c.query(t, 10, [][]float32{v}, dataset(0)), expect(points, [][]float32{v}, dataset(0)), 10)
	if n := c.count(t); n != 3 {
		t.Errorf("the index has %d points of 3", n)
	}
	c.sameRows(t, points)
}

func indexCount(t *testing.T, c *indexCase) {
	c.ensure(t)
	points := c.points(1000)
	c.upsert(t, points...)
	c.upsert(t, points[:100]...)
	if n := c.count(t); n != 1000 {
		t.Errorf("%d points, want 1000", n)
	}
}

func indexHas(t *testing.T, c *indexCase) {
	c.ensure(t)
	points := c.points(3000)
	c.upsert(t, points[:1500]...)
	has, err := c.Has(t.Context(), c.name, keys(t, points))
	noError(t, err)
	for i, ok := range has {
		if ok != (i < 1500) {
			t.Fatalf("of 1500 points point %d is there: %v", i, ok)
		}
	}
	if len(has) != 3000 {
		t.Errorf("%d answers for 3000 ids", len(has))
	}
	has, err = c.Has(t.Context(), c.name, nil)
	if noError(t, err); len(has) != 0 {
		t.Errorf("no ids give %d answers", len(has))
	}
}

func indexIDs(t *testing.T, c *indexCase) {
	c.ensure(t)
	if ids := c.ids(t, rebased.RowKey{}); len(ids) != 0 {
		t.Errorf("an empty collection has the ids %v", ids)
	}
	points := c.points(2500)
	c.upsert(t, points...)
	want := keys(t, points)
	slices.SortFunc(want, func(a, b rebased.RowKey) int { return bytes.Compare(a[:], b[:]) })
	if got := c.ids(t, rebased.RowKey{}); !slices.Equal(got, want) {
		t.Errorf("%d ids, want 2500, ascending", len(got))
	}
	between := want[1200]
	between[15]++
	last := rebased.RowKey(bytes.Repeat([]byte{0xff}, len(between)))
	for from, first := range map[rebased.RowKey]int{want[1200]: 1200, between: 1201, last: 2500} {
		if got := c.ids(t, from); !slices.Equal(got, want[first:]) {
			t.Errorf("from %s on: %d ids, want %d", from.ID(), len(got), 2500-first)
		}
	}
	n := 0
	for range c.IDs(t.Context(), c.name, rebased.RowKey{}) {
		if n++; n == 3 {
			break
		}
	}
}

func (c *indexCase) ids(t *testing.T, from rebased.RowKey) (ids []rebased.RowKey) {
	t.Helper()
	for id, err := range c.IDs(t.Context(), c.name, from) {
		noError(t, err)
		ids = append(ids, id)
	}
	return ids
}

func keys(t *testing.T, points []index.Point) []rebased.RowKey {
	t.Helper()
	all := make([]rebased.RowKey, len(points))
	for i, p := range points {
		key, err := p.ID.Key()
		noError(t, err)
		all[i] = key
	}
	return all
}

func indexDelete(t *testing.T, c *indexCase) {
	c.ensure(t)
	points := c.points(2600)
	c.upsert(t, points[:2500]...)
	noError(t, c.Delete(t.Context(), c.name, keys(t, points[1100:]))) // the last hundred are not there
	left := points[:1100]
	if n := c.count(t); n != len(left) {
		t.Errorf("left are %d, want %d", n, len(left))
	}
	c.sameRows(t, left)
	vectors := [][]float32{c.vector()}
	sameHits(t, c.query(t, 3000, vectors, datasets(7)...), expect(left, vectors, datasets(7)...), 3000)
	c.upsert(t, points[2000])
	c.sameRows(t, points[2000:2001])
	noError(t, c.Delete(t.Context(), c.name, nil))
	if n := c.count(t); n != len(left)+1 {
		t.Errorf("to delete nothing leaves %d points of %d", n, len(left)+1)
	}
}

func indexDescriptions(t *testing.T, c *indexCase) {
	ctx := t.Context()
	c.ensure(t)
	c.upsert(t, c.points(7)...)
	first := []index.Description{{Dataset: dataset(0), Vector: c.vector()}, {Dataset: dataset(1), Vector: c.vector()}, {Dataset: dataset(2), Vector: make([]float32, indexDimensions)}}
	second := []index.Description{{Dataset: dataset(1), Vector: c.vector()}, {Dataset: dataset(4), Vector: c.vector()}}
	for _, descriptions := range [][]index.Description{nil, first, second, nil} {
		noError(t, c.ReplaceDescriptions(ctx, c.name, descriptions))
		got, err := c.Descriptions(ctx, c.name, datasets(7))
		noError(t, err)
		n, err := c.CountDescriptions(ctx, c.name)
		if noError(t, err); n != len(descriptions) {
			t.Errorf("%d descriptions are counted, want %d", n, len(descriptions))
		}
		want := make(map[rebased.DatasetID][]float32)
		for _, d := range descriptions {
			want[d.Dataset] = d.Vector
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if n := c.count(t); n != 7 {
		t.Errorf("descriptions changed the rows: %d points of 7", n)
	}
}

func indexDimensionsRefused(t *testing.T, c *indexCase) {
	c.ensure(t)
	long := append(c.vector(), 0)
	p := c.point(dataset(0), long)
	wantKind(t, c.Upsert(t.Context(), c.name, []index.Point{p}), rebased.Invalid)
	_, err := c.Query(t.Context(), retrieve.Query{Collection: c.name, Datasets: datasets(1), Vectors: [][]float32{long}, Limit: 1})
	wantKind(t, err, rebased.Invalid)
}

func indexCollections(t *testing.T, c *indexCase) {
	c.ensure(t)
	other := *c
	other.name += "-other"
	other.ensure(t)
	p := c.point(dataset(0), c.vector())
	c.upsert(t, p)
	if n := other.count(t); n != 0 {
		t.Errorf("the other collection has %d points", n)
	}
	if hits := other.query(t, 1, p.Vectors, dataset(0)); len(hits) != 0 {
		t.Errorf("the other collection gives %v", hits)
	}
}

func indexAlias(t *testing.T, c *indexCase) {
	ctx := t.Context()
	alias := c.name + "-alias"
	wantKind(t, c.Alias(ctx, alias, c.name), rebased.NotFound)
	c.ensure(t)
	next := *c
	next.name += "-next"
	next.ensure(t)
	old, fresh := c.point(dataset(0), c.vector()), c.point(dataset(0), c.vector())
	c.upsert(t, old)
	next.upsert(t, fresh)
	noError(t, c.ReplaceDescriptions(ctx, c.name, []index.Description{{Dataset: dataset(0), Vector: c.vector()}}))
	noError(t, c.ReplaceDescriptions(ctx, next.name, []index.Description{{Dataset: dataset(1), Vector: c.vector()}}))
	for i, want := range []struct {
		collection  string
		point       index.Point
		description rebased.DatasetID
	}{{c.name, old, dataset(0)}, {next.name, fresh, dataset(1)}, {next.name, fresh, dataset(1)}} {
		noError(t, c.Alias(ctx, alias, want.collection))
		named := *c
		named.name = alias
		named.sameRows(t, []index.Point{want.point})
		sameHits(t, named.query(t, 9, want.point.Vectors, dataset(0)), expect([]index.Point{want.point}, want.point.Vectors, dataset(0)), 9)
		described, err := c.Descriptions(ctx, alias, datasets(2))
		noError(t, err)
		if _, ok := described[want.description]; !ok || len(described) != 1 {
			t.Errorf("switch %d: the alias gives the descriptions %v", i, described)
		}
	}
}

func indexDrop(t *testing.T, c *indexCase) {
	ctx := t.Context()
	noError(t, c.Drop(ctx, c.name))
	c.ensure(t)
	c.upsert(t, c.points(10)...)
	other := *c
	other.name += "-other"
	other.ensure(t)
	other.upsert(t, c.points(10)...)
	noError(t, c.Drop(ctx, c.name))
	_, err := c.Count(ctx, c.name)
	wantKind(t, err, rebased.NotFound)
	_, err = c.Descriptions(ctx, c.name, datasets(1))
	wantKind(t, err, rebased.NotFound)
	if n := other.count(t); n != 10 {
		t.Errorf("the other collection has %d points of 10", n)
	}
	c.ensure(t)
	if n := c.count(t); n != 0 {
		t.Errorf("a collection of a name that was dropped has %d points", n)
	}
}
