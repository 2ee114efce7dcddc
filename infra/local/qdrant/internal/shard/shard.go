package shard

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/rebased/rebased"
)

// Vector is one of the named vectors that the points of a collection may have.
type Vector struct {
	Name       string
	Dimensions int
	// Cosine stores the vectors normalised, so that their inner product is the cosine.
	Cosine bool
}

// Config describes a shard. Vectors must be the same, in the same order, each time a shard is opened.
type Config struct {
	Dir     string // made when it is not there
	Vectors []Vector
	Fields  map[string]FieldType // payload indexes by key
	Logger  *slog.Logger
	// SegmentBytes is the size at which a new segment begins, and with it the least garbage that starts a compaction, a quarter of it.
	// 0 = 256 MiB.
	SegmentBytes int64
}

const (
	defaultSegmentBytes = 256 << 20
	minSegmentBytes     = 4 << 10
	maxSegmentBytes     = 1 << 30
)

func (c *Config) validate() error {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = defaultSegmentBytes
	}
	switch {
	case c.Dir == "":
		return errors.New("shard: Dir is empty; name a folder")
	case c.Logger == nil:
		return errors.New("shard: Logger is nil")
	case c.SegmentBytes < minSegmentBytes || c.SegmentBytes > maxSegmentBytes:
		return fmt.Errorf("shard: SegmentBytes is %d; it must be from %d to %d", c.SegmentBytes, minSegmentBytes, maxSegmentBytes)
	}
	for _, v := range c.Vectors {
		if v.Dimensions < 1 {
			return fmt.Errorf("shard: vector %q has %d dimensions; it needs at least 1", v.Name, v.Dimensions)
		}
	}
	return nil
}

// Shard holds the points of one collection. Its methods may be called at the same time; reads see all writes that have returned, and may see
// one that has not yet.
type Shard struct {
	cfg Config

	mu     sync.RWMutex
	log    *segmentLog
	table  *table
	buffer []byte // of the last record, for the next one
	closed bool

	compaction compaction
}

// Open opens the shard of a folder, or makes an empty one. What was written but never acknowledged may be cut off the log; that is logged.
func Open(cfg Config) (*Shard, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	log, cut, err := openLog(cfg.Dir, cfg.SegmentBytes)
	if err != nil {
		return nil, err
	}
	if cut != nil {
		cfg.Logger.Warn("cut an unfinished write off the log; it was never acknowledged", "segment", cut.path, "at", cut.at, "bytes", cut.bytes)
	}
	dims := make([]int, len(cfg.Vectors))
	for i, v := range cfg.Vectors {
		dims[i] = v.Dimensions
	}
	s := &Shard{cfg: cfg, log: log, table: newTable(dims)}
	for key, kind := range cfg.Fields {
		s.table.fields[key] = newField(key, kind)
	}
	if err := s.replay(); err != nil {
		return nil, errors.Join(err, log.close())
	}
	s.startCompaction()
	return s, nil
}

// replay applies all records of the log.
func (s *Shard) replay() error {
	for _, segment := range s.log.segments {
		for offset := int64(segmentHeader); offset < segment.size; {
			kind, size, err := nextRecord(segment.content()[offset:])
			if err != nil {
				return fmt.Errorf("%s at byte %d: %w", segment.path, offset, err)
			}
			if err := s.apply(segment, offset, kind); err != nil {
				return fmt.Errorf("%s at byte %d: %w", segment.path, offset, err)
			}
			offset += int64(size)
		}
	}
	return nil
}

// apply enters a record of the log into the table.
func (s *Shard) apply(segment *segment, offset int64, kind recordKind) error {
	var failed error
	visitRecord(segment, offset, kind, s.table.dims, func(p stored) {
		switch kind {
		case recordDelete:
			s.table.kill(p.id)
			return
		case recordPayloads:
			// A point that is not there has no vectors, or else a compaction has written it again further on.
			if old, ok := s.table.slots[p.id]; ok {
				for i := range p.vectors {
					p.vectors[i] = s.table.vectors[i][old]
				}
			}
		}
		slot := s.table.put(p.id, p.payload, p.vectors)
		for _, f := range s.table.fields {
			failed = errors.Join(failed, f.add(slot, segment.bytes(p.payload)))
		}
	})
	return failed
}

// payloadOf is the marshalled payload of a slot, in place.
func (s *Shard) payloadOf(slot uint32) []byte {
	at := s.table.payload[slot]
	return s.log.get(at.segment).bytes(at)
}

// vectorOf is a copy of a vector of a slot, its cells one after another; nil when the point has none.
func (s *Shard) vectorOf(slot uint32, vector int) []float32 {
	at := s.table.vectors[vector][slot]
	if at.n == 0 {
		return nil
	}
	return append([]float32(nil), s.log.get(at.segment).floats(at, s.table.dims[vector])...)
}

var errClosed = rebased.E(rebased.NotFound, "the collection was deleted, or the server is stopping")

// Len is the number of points.
func (s *Shard) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.live
}

// Close makes all that was written durable and lets go of the files. Calls that come later fail.
func (s *Shard) Close() error {
	s.stopCompaction()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.log.last().file.Sync(), s.log.close())
}
