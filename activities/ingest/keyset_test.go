package ingest

import (
	"math/rand/v2"
	"testing"
)

func TestAKeySetKnowsWhatItHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var set keySet
	known := map[uint64]bool{}
	keys := []uint64{0, 1, 1<<64 - 1}
	for range 100_000 {
		keys = append(keys, random.Uint64())
	}
	keys = append(keys, keys[:50_000]...)
	for _, key := range keys {
		if got, want := set.add(key), known[max(key, 1)]; got != want {
			t.Fatalf("key %x: known %v, want %v", key, got, want)
		}
		known[max(key, 1)] = true
	}
	slots := 0
	for _, shard := range set.shards {
		slots += len(shard)
	}
	if slots*8 > 14*len(known) {
		t.Errorf("%d bytes for %d keys", slots*8, len(known))
	}
}
