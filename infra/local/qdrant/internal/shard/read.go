package shard

import (
	"context"
	"slices"

	pb "github.com/qdrant/go-client/qdrant"
)

// Projection says what of a point an answer carries.
type Projection struct {
	Payload bool
	Include []string // with Payload: these keys alone, unless empty
	Exclude []string // with Payload: all but these keys
	Vectors []int    // which vectors, by their place in the configuration
}

// Hit is a point of an answer. Vectors that were not asked for, or that the point does not have, are nil.
type Hit struct {
	Point
	Score float32
}

// Nearest is a search by vector.
type Nearest struct {
	Vector int       // which vector, by its place in the configuration
	Query  []float32 // the query's vectors one after another, at least one; normalised in place for the cosine
	Filter *pb.Filter
	Offset uint64
	Limit  uint64
	Above  *float32 // leave out scores that are not greater; nil = keep all
}

// Query gives the points nearest to a query: by score, descending, equal scores by id, ascending. The score of a multivector is the sum over the
// query's vectors of the best inner product with any cell (MaxSim). Every point is scored.
func (s *Shard) Query(ctx context.Context, q Nearest, fields Projection) ([]Hit, error) {
	if err := s.cfg.Vectors[q.Vector].prepare(q.Query); err != nil {
		return nil, err
	}
	return s.read(fields, func() ([]scored, error) {
		allowed, err := s.match(q.Filter, s.table.alive)
		if err != nil {
			return nil, err
		}
		points := uint64(s.table.live) //nolint:gosec // a count
		skip := min(q.Offset, points)
		hits, err := s.nearest(ctx, q, allowed, int(skip+min(q.Limit, points-skip))) //nolint:gosec // at most points
		return hits[min(int(skip), len(hits)):], err                                 //nolint:gosec // at most points
	})
}

// Scroll gives the points with the lowest ids that are at least from, in the order of their ids, and the id of the one behind them; nil when
// there is none.
func (s *Shard) Scroll(filter *pb.Filter, from ID, limit int, fields Projection) (points []Hit, next *ID, err error) {
	points, err = s.read(fields, func() ([]scored, error) {
		allowed, err := s.match(filter, s.table.alive)
		if err != nil {
			return nil, err
		}
		found := s.lowest(allowed, from, limit+1)
		if len(found) > limit {
			next = &found[limit].id
			found = found[:limit]
		}
		return found, nil
	})
	return points, next, err
}

// Get gives the points of some ids in the order asked for; ids that are not there are left out.
func (s *Shard) Get(ids []ID, fields Projection) ([]Hit, error) {
	return s.read(fields, func() ([]scored, error) {
		slots, err := s.selected(Selection{IDs: ids})
		found := make([]scored, len(slots))
		for i, slot := range slots {
			found[i] = scored{id: s.table.ids[slot], slot: slot}
		}
		return found, err
	})
}

// Count counts the points that a filter lets through.
func (s *Shard) Count(filter *pb.Filter) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, errClosed
	}
	allowed, err := s.match(filter, s.table.alive)
	return allowed.count(), err
}

// FieldInfo describes a payload index.
type FieldInfo struct {
	Type   FieldType
	Points int // points that have a value in it
}

// Fields describes the payload indexes by their keys.
func (s *Shard) Fields() map[string]FieldInfo {
	s.mu.RLock()
	defer s.mu.RUnlock()
	info := make(map[string]FieldInfo, len(s.table.fields))
	for key, f := range s.table.fields {
		anything := &matcher{except: true}
		info[key] = FieldInfo{f.kind, anything.lookup(f, s.table.alive).count()}
	}
	return info
}

// read finds slots and copies out what the answer carries, under one lock.
func (s *Shard) read(fields Projection, find func() ([]scored, error)) ([]Hit, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	found, err := find()
	if err != nil {
		return nil, err
	}
	hits := make([]Hit, len(found))
	for i, f := range found {
		p, err := s.point(f.slot, fields)
		if err != nil {
			return nil, err
		}
		hits[i] = Hit{p, f.score}
	}
	return hits, nil
}

// point copies a point out of the log.
func (s *Shard) point(slot uint32, fields Projection) (Point, error) {
	p := Point{ID: s.table.ids[slot]}
	if len(fields.Vectors) > 0 {
		p.Vectors = make([][]float32, len(s.table.dims))
		for _, v := range fields.Vectors {
			p.Vectors[v] = s.vectorOf(slot, v)
		}
	}
	if !fields.Payload {
		return p, nil
	}
	var err error
	p.Payload, err = fields.payload(s.payloadOf(slot))
	return p, err
}

// payload decodes what is asked for of a payload, and no more when that is named.
func (f Projection) payload(stored []byte) (Payload, error) {
	if len(f.Include) == 0 {
		payload, err := unmarshalPayload(stored)
		for _, key := range f.Exclude {
			delete(payload, key)
		}
		return payload, err
	}
	payload := make(Payload, len(f.Include))
	for _, key := range f.Include {
		v, err := path{key}.value(stored)
		if err != nil {
			return nil, err
		}
		if v != nil {
			payload[key] = v
		}
	}
	return payload, nil
}

// selected gives the slots of a selection: those of ids in the order of the ids, each once, and those of a filter in ascending order.
func (s *Shard) selected(points Selection) ([]uint32, error) {
	if points.IDs == nil {
		matched, err := s.match(points.Filter, s.table.alive)
		return slices.Collect(matched.all()), err
	}
	var slots []uint32
	seen := make(map[uint32]bool, len(points.IDs))
	for _, id := range points.IDs {
		if slot, ok := s.table.slots[id]; ok && !seen[slot] {
			seen[slot] = true
			slots = append(slots, slot)
		}
	}
	return slots, nil
}
