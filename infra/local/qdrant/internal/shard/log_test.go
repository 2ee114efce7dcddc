package shard

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	pb "github.com/qdrant/go-client/qdrant"
)

func numbered(n int) Point {
	return Point{ID: ID{lo: uint64(n)}, Payload: pb.NewValueMap(map[string]any{"part": n}), Vectors: [][]float32{make([]float32, 19), nil}}
}

func TestATornTailIsCutOffAndTheRestStays(t *testing.T) {
	cfg := config(t, t.TempDir())
	s := open(t, cfg)
	for n := range 3 {
		check(t, s.Upsert(t.Context(), []Point{numbered(n)}))
	}
	path, before := s.log.last().path, s.log.segments[0].size
	check(t, s.Upsert(t.Context(), []Point{numbered(3)}))
	check(t, s.Close())
	whole, err := os.ReadFile(path)
	check(t, err)
	for _, c := range []struct {
		name   string
		damage func([]byte) []byte
		want   int
	}{
		{"nothing", func(b []byte) []byte { return b }, 4},
		{"half a record", func(b []byte) []byte { return b[:before+40] }, 3},
		{"half a header", func(b []byte) []byte { return b[:before+7] }, 3},
		{"a flipped bit", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, 3},
		{"zeros behind", func(b []byte) []byte { return append(b, make([]byte, 100)...) }, 4},
		{"a length beyond the file", func(b []byte) []byte { b[before+8] ^= 8; return b }, 3},
		{"no header", func(b []byte) []byte { return b[:5] }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, os.WriteFile(path, c.damage(append([]byte(nil), whole...)), 0o600))
			s := open(t, cfg)
			if s.Len() != c.want {
				t.Errorf("%d points, want %d", s.Len(), c.want)
			}
			check(t, s.Upsert(t.Context(), []Point{numbered(9)}))
			if s = reopen(t, s); s.Len() != c.want+1 {
				t.Errorf("%d points after one more write and a restart, want %d", s.Len(), c.want+1)
			}
			check(t, s.Close())
		})
	}
}

func TestDamageThatIsNoTornTailStopsTheStart(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.SegmentBytes = minSegmentBytes
	s := open(t, cfg)
	for n := range 100 {
		check(t, s.Upsert(t.Context(), []Point{numbered(n)}))
	}
	if len(s.log.segments) < 3 {
		t.Fatalf("%d segments; the test needs 3", len(s.log.segments))
	}
	first, second := s.log.segments[0].path, s.log.segments[1].path
	check(t, s.Close())
	b, err := os.ReadFile(first)
	check(t, err)
	b[200] ^= 1
	check(t, os.WriteFile(first, b, 0o600))
	if _, err := Open(cfg); err == nil {
		t.Error("a damaged record amid the log was accepted")
	}
	b[200] ^= 1
	check(t, os.WriteFile(first, b, 0o600))
	check(t, os.Rename(second, filepath.Join(t.TempDir(), "kept")))
	if _, err := Open(cfg); err == nil {
		t.Error("a missing segment was accepted")
	}
}

func TestCompactionKeepsThePointsAndFreesTheRest(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.SegmentBytes = 64 << 10
	s := open(t, cfg)
	s.stopCompaction() // it is called by hand here
	for range 20 {
		var points []Point
		for n := range 40 {
			points = append(points, numbered(n))
		}
		check(t, s.Upsert(t.Context(), points))
	}
	check(t, s.Delete(t.Context(), Selection{IDs: []ID{{lo: 7}}}))
	check(t, s.SetPayload(t.Context(), Selection{IDs: []ID{{lo: 8}}}, Payload{"part": pb.NewValueInt(1000)}))
	s.compaction.stop = make(chan struct{})
	before := s.log.bytes()
	check(t, s.compact())
	after := s.log.bytes()
	if after > before/10 || len(s.table.ids) != 39 {
		t.Errorf("%d bytes became %d with %d slots; 39 of 800 points live", before, after, len(s.table.ids))
	}
	for range 2 {
		n, err := s.Count(&pb.Filter{Must: []*pb.Condition{pb.NewMatchInt("part", 1000)}})
		check(t, err)
		if s.Len() != 39 || n != 1 {
			t.Errorf("%d points, %d with the payload that was set; want 39, 1", s.Len(), n)
		}
		s = reopen(t, s)
	}
}

func TestAPayloadSetDuringACompactionKeepsAPointWithoutVectors(t *testing.T) {
	s := open(t, config(t, t.TempDir()))
	s.stopCompaction() // it is called by hand here
	check(t, s.Upsert(t.Context(), []Point{{ID: ID{lo: 1}}}))
	upTo := s.log.last().number
	check(t, s.log.roll(minSegmentBytes))
	check(t, s.SetPayload(t.Context(), Selection{IDs: []ID{{lo: 1}}}, Payload{"part": pb.NewValueInt(5)}))
	_, position, _, err := s.rewriteBatch(0, upTo)
	check(t, err)
	check(t, s.log.sync(position))
	check(t, s.endCompaction(upTo))
	if s = reopen(t, s); s.Len() != 1 {
		t.Errorf("%d points after the restart, want 1", s.Len())
	}
}

func TestACompactionIsOnDiskBeforeTheOldSegmentsGo(t *testing.T) {
	s := open(t, config(t, t.TempDir()))
	s.stopCompaction() // it is called by hand here
	s.compaction.stop = make(chan struct{})
	s.cfg.SegmentBytes = 1 << 20 // so that it is worthwhile
	var points []Point
	for i := range compactBatch>>20 + 2 {
		points = append(points, Point{ID: ID{lo: uint64(i)}, Payload: Payload{"long": pb.NewValueString(strings.Repeat("x", 1<<20))}})
	}
	check(t, s.Upsert(t.Context(), points))
	check(t, s.Upsert(t.Context(), points))
	last := len(points) - 2 // one batch of those that live, one in which all are dead
	check(t, s.Delete(t.Context(), Selection{IDs: []ID{points[last].ID, points[last+1].ID}}))
	check(t, s.compact())
	if f := &s.log.flush; s.log.segments[0].number == 1 || f.synced != f.written {
		t.Errorf("%d of %d bytes are on disk, and the first segment is %d", f.synced, f.written, s.log.segments[0].number)
	}
}

// TestAnInterruptedCompactionLosesNothing stops it before it removes anything and after each segment that it removes.
func TestAnInterruptedCompactionLosesNothing(t *testing.T) {
	for dropped := range 5 {
		cfg := config(t, t.TempDir())
		cfg.SegmentBytes = minSegmentBytes
		s := open(t, cfg)
		s.stopCompaction() // it is called by hand here
		for n := range 100 {
			check(t, s.Upsert(t.Context(), []Point{numbered(n)}))
		}
		var even []ID
		for n := 0; n < 100; n += 2 {
			even = append(even, ID{lo: uint64(n)})
		}
		check(t, s.Delete(t.Context(), Selection{IDs: even}))
		upTo := s.log.last().number
		if upTo < 4 {
			t.Fatalf("%d segments; the test needs 4", upTo)
		}
		check(t, s.log.roll(minSegmentBytes))
		_, position, more, err := s.rewriteBatch(0, upTo)
		check(t, err)
		if more {
			t.Fatal("100 points did not fit a batch")
		}
		check(t, s.log.sync(position))
		check(t, s.log.drop(uint32(dropped)))
		s = reopen(t, s)
		n, err := s.Count(&pb.Filter{Must: []*pb.Condition{pb.NewHasID(pb.NewIDNum(1), pb.NewIDNum(2), pb.NewIDNum(59))}})
		check(t, err)
		if s.Len() != 50 || n != 2 {
			t.Errorf("with %d segments removed: %d points, %d of the numbers 1, 2 and 59; want 50 and 2", dropped, s.Len(), n)
		}
		check(t, s.Close())
	}
}

func TestAWriteReturnsWhenItIsOnDisk(t *testing.T) {
	s := open(t, config(t, t.TempDir()))
	durable := func(what string) {
		t.Helper()
		if f := &s.log.flush; f.synced != f.written || f.written == 0 {
			t.Errorf("after %s %d of %d bytes are on disk", what, f.synced, f.written)
		}
	}
	check(t, s.Upsert(t.Context(), []Point{numbered(1), numbered(2)}))
	durable("an upsert")
	check(t, s.SetPayload(t.Context(), Selection{IDs: []ID{{lo: 1}}}, Payload{"part": pb.NewValueInt(2)}))
	durable("a change of a payload")
	check(t, s.Delete(t.Context(), Selection{IDs: []ID{{lo: 1}}}))
	durable("a deletion")
}

func TestAWriteOfManyBytesIsSeveralRecords(t *testing.T) {
	s := open(t, config(t, t.TempDir()))
	long := pb.NewValueString(strings.Repeat("x", 1<<20))
	points := make([]Point, recordTarget>>20+1)
	for i := range points {
		points[i] = Point{ID: ID{lo: uint64(i)}, Payload: Payload{"long": long}}
	}
	check(t, s.Upsert(t.Context(), points))
	_, size, err := nextRecord(s.log.last().content()[segmentHeader:])
	check(t, err)
	if rest := s.log.last().size - int64(segmentHeader+size); rest < 1<<20 {
		t.Errorf("the first record has %d bytes and leaves %d to others", size, rest)
	}
	if s = reopen(t, s); s.Len() != len(points) {
		t.Errorf("%d points, want %d", s.Len(), len(points))
	}
}

func TestWritesDuringACompactionAreKept(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.SegmentBytes = minSegmentBytes
	s := open(t, cfg)
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			for round := range 60 {
				n := writer*10 + round%10
				if err := s.Upsert(t.Context(), []Point{numbered(n), numbered(n + 100)}); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), Selection{IDs: []ID{{lo: uint64(n + 100)}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range 2 {
		if s.Len() != 40 {
			t.Errorf("%d points, want 40", s.Len())
		}
		s = reopen(t, s)
	}
}

func TestAFailedFsyncEndsAllAcknowledgements(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	check(t, err)
	var f flusher
	f.start(file, 0)
	check(t, f.wait(0))
	check(t, file.Close())
	position := f.wrote(10)
	if err := f.wait(position); !errors.Is(err, os.ErrClosed) {
		t.Errorf("wait gave %v, want the error of the fsync", err)
	}
	if f.wait(position) == nil || f.wait(0) == nil {
		t.Error("after a failed fsync a write was acknowledged")
	}
}

func TestWaitingWritesShareAnFsync(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	check(t, err)
	t.Cleanup(func() { check(t, file.Close()) })
	var f flusher
	f.start(file, 0)
	f.wrote(10)
	position := f.wrote(10)
	check(t, f.wait(5))
	if f.synced != position {
		t.Errorf("an fsync for byte 5 left %d of %d bytes to the next", f.synced, position)
	}
}
