package indextest

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// Heap runs what a benchmark measures once and reports the most that the heap had meanwhile over what it had before, in MB: what was live at
// the end of a collection, and all that was allocated.
func Heap(b *testing.B, run func()) {
	b.Helper()
	runtime.GC()
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	before, most := make([]uint64, len(samples)), make([]uint64, len(samples))
	look := func() {
		metrics.Read(samples)
		for i, s := range samples {
			most[i] = max(most[i], s.Value.Uint64())
		}
	}
	look()
	copy(before, most)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				look()
			case <-stop:
				return
			}
		}
	}()
	run()
	close(stop)
	<-stopped
	for i, unit := range []string{"live-MB", "heap-MB"} {
		b.ReportMetric(float64(most[i]-before[i])/1e6, unit)
	}
}
