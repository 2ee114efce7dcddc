package shard

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// blockWords is how many words of the bitset, of 64 slots each, a worker takes at a time.
const blockWords = 8

// nearest scores the allowed slots against a query and gives the best k. Slots without the vector, and those whose score is not above the
// threshold, if there is one, are left out.
func (s *Shard) nearest(ctx context.Context, q Nearest, allowed bitset, k int) ([]scored, error) {
	blocks := (len(allowed) + blockWords - 1) / blockWords
	workers := max(1, min(runtime.GOMAXPROCS(0), blocks))
	found := make([]best, workers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		found[w].k = k
		wg.Go(func() {
			for ctx.Err() == nil {
				first := int(next.Add(1)-1) * blockWords
				if first >= len(allowed) {
					return
				}
				s.scoreBlock(q, allowed, first, min(first+blockWords, len(allowed)), &found[w])
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, other := range found[1:] {
		for _, hit := range other.kept {
			found[0].offer(hit)
		}
	}
	return found[0].sorted(), nil
}

func (s *Shard) scoreBlock(q Nearest, allowed bitset, first, last int, found *best) {
	dimensions := s.table.dims[q.Vector]
	spans := s.table.vectors[q.Vector]
	for slot := range allowed.words(first, last) {
		at := spans[slot]
		if at.n == 0 {
			continue
		}
		score := maxSim(q.Query, s.log.get(at.segment).floats(at, dimensions), dimensions)
		if q.Above == nil || score > *q.Above {
			found.offer(scored{score, s.table.ids[slot], slot})
		}
	}
}

// lowest gives the k allowed slots of the lowest ids that are at least from, in the order of their ids.
func (s *Shard) lowest(allowed bitset, from ID, k int) []scored {
	found := best{k: k}
	for slot := range allowed.all() {
		if id := s.table.ids[slot]; id.Compare(from) >= 0 {
			found.offer(scored{id: id, slot: slot})
		}
	}
	return found.sorted()
}
