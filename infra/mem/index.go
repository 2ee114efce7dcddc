package mem

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
)

var (
	_ index.Writer   = (*Index)(nil)
	_ retrieve.Index = (*Index)(nil)
)

// Index is a vector index in memory. The zero value is empty and ready to use.
type Index struct {
	mu          sync.RWMutex
	collections map[string]*collection
	aliases     map[string]string // alias -> collection
}

type collection struct {
	dimensions   int
	points       map[rebased.RowID]index.Point
	descriptions map[rebased.DatasetID][]float32
}

// Ensure implements index.Writer.
func (x *Index) Ensure(_ context.Context, name string, dimensions int) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.collections == nil {
		x.collections = make(map[string]*collection)
	}
	if x.collections[name] == nil {
		x.collections[name] = &collection{dimensions: dimensions, points: make(map[rebased.RowID]index.Point)}
	}
	return nil
}

// Upsert implements index.Writer.
func (x *Index) Upsert(ctx context.Context, name string, points []index.Point) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return err
	}
	for _, p := range points {
		if err := c.check(p.Vectors...); err != nil {
			return err
		}
	}
	for _, p := range points {
		c.points[p.ID] = clone(p)
	}
	return nil
}

// Alias implements index.Writer.
func (x *Index) Alias(ctx context.Context, alias, collection string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, err := x.get(ctx, collection); err != nil {
		return err
	}
	if x.collections[alias] != nil {
		return rebased.E(rebased.Conflict, "%s is a collection", alias)
	}
	if x.aliases == nil {
		x.aliases = make(map[string]string)
	}
	x.aliases[alias] = collection
	return nil
}

// Drop implements index.Writer.
func (x *Index) Drop(_ context.Context, collection string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.collections, collection)
	maps.DeleteFunc(x.aliases, func(_, of string) bool { return of == collection })
	return nil
}

// Has implements index.Writer.
func (x *Index) Has(ctx context.Context, name string, ids []rebased.RowKey) ([]bool, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return nil, err
	}
	has := make([]bool, len(ids))
	for i, id := range ids {
		_, has[i] = c.points[id.ID()]
	}
	return has, nil
}

// IDs implements index.Writer. It yields what was there when it began.
func (x *Index) IDs(ctx context.Context, name string, from rebased.RowKey) iter.Seq2[rebased.RowKey, error] {
	return func(yield func(rebased.RowKey, error) bool) {
		ids, err := x.sorted(ctx, name)
		if err != nil {
			yield(rebased.RowKey{}, err)
			return
		}
		for _, id := range ids {
			if key, err := id.Key(); err != nil || bytes.Compare(key[:], from[:]) >= 0 && !yield(key, err) {
				return
			}
		}
	}
}

func (x *Index) sorted(ctx context.Context, name string) ([]rebased.RowID, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(c.points)), nil
}

// Count implements index.Writer.
func (x *Index) Count(ctx context.Context, name string) (int, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return 0, err
	}
	return len(c.points), nil
}

// CountDescriptions implements index.Writer.
func (x *Index) CountDescriptions(ctx context.Context, name string) (int, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return 0, err
	}
	return len(c.descriptions), nil
}

// Delete implements index.Writer.
func (x *Index) Delete(ctx context.Context, name string, ids []rebased.RowKey) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return err
	}
	for _, id := range ids {
		delete(c.points, id.ID())
	}
	return nil
}

// ReplaceDescriptions implements index.Writer.
func (x *Index) ReplaceDescriptions(ctx context.Context, name string, descriptions []index.Description) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return err
	}
	replaced := make(map[rebased.DatasetID][]float32, len(descriptions))
	for _, d := range descriptions {
		if err := c.check(d.Vector); err != nil {
			return err
		}
		replaced[d.Dataset] = slices.Clone(d.Vector)
	}
	c.descriptions = replaced
	return nil
}

// Query implements retrieve.Index by looking at every row.
func (x *Index) Query(ctx context.Context, q retrieve.Query) ([]retrieve.Hit, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, err := x.get(ctx, q.Collection)
	if err != nil {
		return nil, err
	}
	if err := c.check(q.Vectors...); err != nil {
		return nil, err
	}
	wanted := make(map[rebased.DatasetID]int32, len(q.Datasets))
	for i, d := range q.Datasets {
		wanted[d] = int32(i) //nolint:gosec // datasets are not that many
	}
	var hits []retrieve.Hit
	for _, p := range c.points {
		dataset, asked := wanted[p.Dataset]
		if !asked || len(p.Vectors) == 0 {
			continue
		}
		row, err := p.ID.Key()
		if err != nil {
			return nil, err
		}
		hits = append(hits, retrieve.Hit{Row: row, Dataset: dataset, Score: maxSim(q.Vectors, p.Vectors)})
	}
	slices.SortFunc(hits, func(a, b retrieve.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), bytes.Compare(a.Row[:], b.Row[:]))
	})
	return hits[:min(len(hits), q.Limit)], nil
}

// Rows implements retrieve.Index.
func (x *Index) Rows(ctx context.Context, name string, ids []rebased.RowID) (map[rebased.RowID]retrieve.Stored, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return nil, err
	}
	found := make(map[rebased.RowID]retrieve.Stored, len(ids))
	for _, id := range ids {
		if p, ok := c.points[id]; ok {
			p = clone(p)
			found[id] = retrieve.Stored{Cells: p.Cells, Hashes: p.Hashes, Letters: p.Letters, Vectors: p.Vectors}
		}
	}
	return found, nil
}

// Descriptions implements retrieve.Index.
func (x *Index) Descriptions(
	ctx context.Context, name string, datasets []rebased.DatasetID,
) (map[rebased.DatasetID][]float32, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, err := x.get(ctx, name)
	if err != nil {
		return nil, err
	}
	found := make(map[rebased.DatasetID][]float32, len(datasets))
	for _, d := range datasets {
		if v, ok := c.descriptions[d]; ok {
			found[d] = slices.Clone(v)
		}
	}
	return found, nil
}

func (x *Index) get(ctx context.Context, name string) (*collection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if of, ok := x.aliases[name]; ok {
		name = of
	}
	if c := x.collections[name]; c != nil {
		return c, nil
	}
	return nil, rebased.E(rebased.NotFound, "collection %s does not exist", name)
}

func (c *collection) check(vectors ...[]float32) error {
	for _, v := range vectors {
		if len(v) != c.dimensions {
			return rebased.E(rebased.Invalid, "vector of %d dimensions in a collection of %d", len(v), c.dimensions)
		}
	}
	return nil
}

// clone copies a point, so that neither side sees what the other writes.
func clone(p index.Point) index.Point {
	p.Cells, p.Hashes, p.Letters = slices.Clone(p.Cells), slices.Clone(p.Hashes), slices.Clone(p.Letters)
	vectors := make([][]float32, len(p.Vectors))
	for i, v := range p.Vectors {
		vectors[i] = slices.Clone(v)
	}
	p.Vectors = vectors
	return p
}

func maxSim(query, vectors [][]float32) float32 {
	sum := float32(0)
	for _, q := range query {
		best := dot(q, vectors[0])
		for _, v := range vectors[1:] {
			best = max(best, dot(q, v))
		}
		sum += best
	}
	return sum
}

func dot(a, b []float32) float32 {
	sum := float32(0)
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}
