package shard

import (
	"fmt"
	"sync"
)

// compactBatch is how many bytes of points are written again before others get their turn at the shard.
const compactBatch = 4 << 20

// compaction is the goroutine that rewrites the log when more than half of it is dead.
type compaction struct {
	wake chan struct{}
	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

func (s *Shard) startCompaction() {
	c := &s.compaction
	c.wake, c.stop = make(chan struct{}, 1), make(chan struct{})
	c.done.Go(func() {
		for {
			select {
			case <-c.stop:
				return
			case <-c.wake:
				if err := s.compact(); err != nil {
					s.cfg.Logger.Error("compaction failed; the log keeps its dead points until the next one", "folder", s.cfg.Dir, "error", err)
				}
			}
		}
	})
	s.compactIfWorthwhile()
}

func (s *Shard) stopCompaction() {
	s.compaction.once.Do(func() { close(s.compaction.stop) })
	s.compaction.done.Wait()
}

// compactIfWorthwhile wakes the compaction when there is enough to gain; it does not wait for it.
func (s *Shard) compactIfWorthwhile() {
	s.mu.RLock()
	worthwhile := !s.closed && s.worthCompacting()
	s.mu.RUnlock()
	if worthwhile {
		select {
		case s.compaction.wake <- struct{}{}:
		default:
		}
	}
}

// worthCompacting says whether more than half of the log is dead, or of the table.
func (s *Shard) worthCompacting() bool {
	total, slots := s.log.bytes(), len(s.table.ids)
	dead := total - s.table.bytes
	return dead > total/2 && dead > s.cfg.SegmentBytes/4 || slots-s.table.live > s.table.live+1<<16
}

// compact writes the points that live in the present segments to new ones and removes the old. It holds the lock for a batch at a time.
func (s *Shard) compact() error {
	upTo, err := s.beginCompaction()
	if err != nil || upTo == 0 {
		return err
	}
	var end int64 // of what was written again
	for slot, more := uint32(0), true; more; {
		select {
		case <-s.compaction.stop:
			return nil // what was written twice is dead, and counted at the next opening
		default:
		}
		var position int64
		if slot, position, more, err = s.rewriteBatch(slot, upTo); err != nil {
			return err
		}
		end = max(end, position)
	}
	if err := s.log.sync(end); err != nil {
		return err
	}
	return s.endCompaction(upTo)
}

// beginCompaction starts a new segment and gives the number of the last one that is to go; 0 when there is nothing to do any more.
func (s *Shard) beginCompaction() (upTo uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.worthCompacting() {
		return 0, nil
	}
	upTo = s.log.last().number
	if err := s.log.roll(s.cfg.SegmentBytes); err != nil {
		return 0, fmt.Errorf("start a segment: %w", err)
	}
	return upTo, nil
}

// rewriteBatch appends again the points from a slot on that need one of the old segments. When more is false, none of the points does.
func (s *Shard) rewriteBatch(from, upTo uint32) (next uint32, position int64, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slots := uint32(len(s.table.ids)) //nolint:gosec // slots fit 32 bits
	var entries []entry
	bytes := int64(0)
	for next = from; next < slots && bytes < compactBatch; next++ {
		if !s.table.alive.has(next) || s.table.oldestSegment(next) > upTo {
			continue
		}
		bytes += s.table.size(next)
		e := entry{id: s.table.ids[next], payload: s.payloadOf(next)}
		for i, dim := range s.table.dims {
			at := s.table.vectors[i][next]
			var cells []float32
			if at.n > 0 {
				cells = s.log.get(at.segment).floats(at, dim)
			}
			e.vectors = append(e.vectors, cells)
		}
		entries = append(entries, e)
	}
	position, err = s.appendLocked(recordPoints, entries)
	return next, position, next < slots, err
}

// endCompaction removes the old segments, which no point needs any more, and the dead slots.
func (s *Shard) endCompaction(upTo uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.log.bytes()
	if err := s.log.drop(upTo); err != nil {
		return err
	}
	s.table = s.table.pack()
	s.cfg.Logger.Info("compacted the log", "folder", s.cfg.Dir, "bytes_before", before, "bytes_after", s.log.bytes(), "points", s.table.live)
	return nil
}
