package shard

import (
	"context"
	"fmt"
	"maps"
	"math"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
)

// Point is a point as it is written and read.
type Point struct {
	ID      ID
	Payload Payload
	// Marshalled is the payload as a qdrant.Struct, taken in place of Payload when a point is written that has none. It is not checked.
	Marshalled []byte
	// Vectors has one entry for each vector of the collection: its cells one after another, empty when the point has none.
	Vectors [][]float32
}

// Upsert writes points, in place of those of the same ids. It takes the vectors over and normalises them where the collection says so.
func (s *Shard) Upsert(ctx context.Context, points []Point) error {
	entries := make([]entry, len(points))
	for i, p := range points {
		payload := p.Marshalled
		if p.Payload != nil {
			var err error
			if payload, err = p.Payload.marshal(); err != nil {
				return rebased.E(rebased.Invalid, "payload of point %d of the request: %w", i, err)
			}
		}
		if err := s.prepare(p.Vectors); err != nil {
			return err
		}
		entries[i] = entry{p.ID, payload, p.Vectors}
	}
	return s.write(ctx, func() (recordKind, []entry, error) { return recordPoints, entries, nil })
}

// Selection names points by their ids or by a filter.
type Selection struct {
	IDs    []ID
	Filter *pb.Filter // used when IDs is nil
}

// Delete removes the selected points; ids that are not there are no error.
func (s *Shard) Delete(ctx context.Context, points Selection) error {
	return s.write(ctx, func() (recordKind, []entry, error) {
		slots, err := s.selected(points)
		entries := make([]entry, len(slots))
		for i, slot := range slots {
			entries[i] = entry{id: s.table.ids[slot]}
		}
		return recordDelete, entries, err
	})
}

// SetPayload sets some fields of the payload of the selected points and leaves the others as they are. An id that is not there is NotFound, and
// nothing is changed.
func (s *Shard) SetPayload(ctx context.Context, points Selection, set Payload) error {
	return s.write(ctx, func() (recordKind, []entry, error) {
		for _, id := range points.IDs {
			if _, ok := s.table.slots[id]; !ok {
				return 0, nil, rebased.E(rebased.NotFound, "No point with id %v found", id)
			}
		}
		slots, err := s.selected(points)
		if err != nil {
			return 0, nil, err
		}
		entries := make([]entry, len(slots))
		for i, slot := range slots {
			payload, err := s.merged(slot, set)
			if err != nil {
				return 0, nil, err
			}
			entries[i] = entry{id: s.table.ids[slot], payload: payload}
		}
		return recordPayloads, entries, nil
	})
}

func (s *Shard) merged(slot uint32, set Payload) ([]byte, error) {
	payload, err := unmarshalPayload(s.payloadOf(slot))
	if err != nil {
		return nil, err
	}
	if payload == nil {
		payload = Payload{}
	}
	maps.Copy(payload, set)
	return payload.marshal()
}

// AddField makes a payload index. An index of the same type that is there already is a success. It is not part of the log: the caller keeps the
// list of indexes and gives it to Open.
func (s *Shard) AddField(key string, kind FieldType) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if f, ok := s.table.fields[key]; ok && f.kind == kind {
		return nil
	}
	f := newField(key, kind)
	for slot := range s.table.alive.all() {
		if err := f.add(slot, s.payloadOf(slot)); err != nil {
			return err
		}
	}
	s.table.fields[key] = f
	return nil
}

// write appends the record that plan gives under the lock, applies it and waits until it is on disk.
func (s *Shard) write(ctx context.Context, plan func() (recordKind, []entry, error)) error {
	position, err := s.writeLocked(ctx, plan)
	if err != nil {
		return err
	}
	s.compactIfWorthwhile()
	return s.log.sync(position)
}

func (s *Shard) writeLocked(ctx context.Context, plan func() (recordKind, []entry, error)) (position int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	kind, entries, err := plan()
	if err != nil {
		return 0, err
	}
	return s.appendLocked(kind, entries)
}

// appendLocked writes and applies entries, in several records when they are many, and gives the position of the last.
func (s *Shard) appendLocked(kind recordKind, entries []entry) (position int64, err error) {
	for len(entries) > 0 {
		n, bytes := 0, 0
		for n < len(entries) && bytes < recordTarget {
			bytes += entries[n].size(s.table.dims)
			n++
		}
		var segment *segment
		var offset int64
		record := encodeRecord(s.buffer, kind, entries[:n], s.table.dims)
		if segment, offset, position, err = s.log.append(record); err != nil {
			return 0, fmt.Errorf("write the log: %w", err)
		}
		if cap(record) <= keptBuffer {
			s.buffer = record
		}
		if err := s.apply(segment, offset, kind); err != nil {
			return 0, err
		}
		entries = entries[n:]
	}
	return position, nil
}

// prepare checks vectors and brings them to the form in which they are stored.
func (s *Shard) prepare(vectors [][]float32) error {
	for i, cells := range vectors {
		if err := s.cfg.Vectors[i].prepare(cells); err != nil {
			return err
		}
	}
	return nil
}

// prepare checks the cells of a vector and, for the cosine, normalises each in place.
func (v Vector) prepare(cells []float32) error {
	if len(cells)%v.Dimensions != 0 {
		return rebased.E(rebased.Invalid, "vector %q has %d numbers, no multiple of its %d dimensions", v.Name, len(cells), v.Dimensions)
	}
	for _, x := range cells {
		if x-x != 0 {
			return rebased.E(rebased.Invalid, "vector %q holds a number that is not finite", v.Name)
		}
	}
	if v.Cosine {
		for ; len(cells) > 0; cells = cells[v.Dimensions:] {
			normalize(cells[:v.Dimensions])
		}
	}
	return nil
}

// normalize brings a vector to unit length, in Qdrant's way: one that is zero or within 1e-6 of unit length stays as it is.
func normalize(v []float32) {
	square := dot(v, v)
	if square < 1.1920929e-7 || math.Abs(float64(square-1)) <= 1e-6 {
		return
	}
	length := float32(math.Sqrt(float64(square)))
	for i := range v {
		v[i] /= length
	}
}
