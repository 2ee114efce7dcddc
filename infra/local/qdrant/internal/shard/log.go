package shard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// segmentLog is the log of a shard. append, roll and drop are called under the shard's write lock, get under either lock; sync needs none.
type segmentLog struct {
	dir      string
	capacity int64
	segments []*segment // in order; the last one is written to
	flush    flusher
}

// torn says what an opened log lost behind its last whole record: the rest of a write that was never acknowledged.
type torn struct {
	path  string
	at    int64 // where the segment was cut
	bytes int64 // how many bytes were cut off
}

// openLog opens the log of a folder, checks every record and cuts what is behind the last whole one. A damaged record in any but the last
// segment is an error, because only the last can hold unfinished writes.
func openLog(dir string, capacity int64) (*segmentLog, *torn, error) {
	numbers, err := segmentNumbers(dir)
	if err != nil {
		return nil, nil, err
	}
	l := &segmentLog{dir: dir, capacity: capacity}
	for i, number := range numbers {
		size := int64(0)
		if i == len(numbers)-1 {
			size = capacity
		}
		s, err := openSegment(dir, number, max(size, segmentHeader))
		if err != nil {
			return nil, nil, errors.Join(err, l.close())
		}
		l.segments = append(l.segments, s)
	}
	if len(l.segments) == 0 {
		if err := l.roll(capacity); err != nil {
			return nil, nil, err
		}
	}
	cut, err := l.check()
	if err != nil {
		return nil, nil, errors.Join(err, l.close())
	}
	l.flush.start(l.last().file, l.bytes())
	return l, cut, nil
}

// segmentNumbers lists the segments of a folder, which follow each other without a gap.
func segmentNumbers(dir string) ([]uint32, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		return nil, err
	}
	var numbers []uint32
	for _, name := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), segmentSuffix), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s is not a segment of this log; move it away", name)
		}
		numbers = append(numbers, uint32(number))
	}
	slices.Sort(numbers)
	for i := 1; i < len(numbers); i++ {
		if numbers[i] != numbers[i-1]+1 {
			return nil, fmt.Errorf("%s: segment %d is missing; restore the folder from a copy", dir, numbers[i-1]+1)
		}
	}
	return numbers, nil
}

// check verifies all segments, several at a time.
func (l *segmentLog) check() (*torn, error) {
	whole := make([]int64, len(l.segments))
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, s := range l.segments {
		limit <- struct{}{}
		wg.Go(func() {
			whole[i] = wholeRecords(s)
			<-limit
		})
	}
	wg.Wait()
	for i, s := range l.segments[:len(l.segments)-1] {
		if whole[i] != s.size {
			return nil, fmt.Errorf("%s is damaged at byte %d; restore the folder from a copy", s.path, whole[i])
		}
	}
	s, end := l.last(), whole[len(whole)-1]
	if end == s.size {
		return nil, nil
	}
	cut := &torn{path: s.path, at: end, bytes: s.size - end}
	return cut, s.truncate(end)
}

// wholeRecords gives the offset behind the last whole record of a segment.
func wholeRecords(s *segment) int64 {
	content := s.content()
	offset := segmentHeader
	for offset < len(content) {
		_, size, err := nextRecord(content[offset:])
		if err != nil || !verifyRecord(content[offset:offset+size]) {
			break
		}
		offset += size
	}
	return int64(offset)
}

func (l *segmentLog) last() *segment { return l.segments[len(l.segments)-1] }

// get finds the segment of a span.
func (l *segmentLog) get(number uint32) *segment { return l.segments[number-l.segments[0].number] }

// bytes is the size of all segments.
func (l *segmentLog) bytes() int64 {
	n := int64(0)
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// append writes a record and says where it is. It is on disk once sync has returned for the position given.
func (l *segmentLog) append(record []byte) (s *segment, offset int64, position int64, err error) {
	if !l.last().fits(len(record)) {
		if err := l.roll(int64(len(record)) + segmentHeader); err != nil {
			return nil, 0, 0, err
		}
	}
	s = l.last()
	offset, err = s.append(record)
	if err != nil {
		return nil, 0, 0, err
	}
	return s, offset, l.flush.wrote(len(record)), nil
}

// roll makes the last segment durable and starts the next one, with room for at least so many bytes.
func (l *segmentLog) roll(room int64) error {
	number := uint32(1)
	if len(l.segments) > 0 {
		if err := l.last().file.Sync(); err != nil {
			return l.flush.fail(err)
		}
		number = l.last().number + 1
	}
	s, err := createSegment(l.dir, number, max(room, l.capacity))
	if err != nil {
		return err
	}
	l.segments = append(l.segments, s)
	l.flush.rolled(s.file)
	return nil
}

// drop removes the segments up to a number, oldest first, each durably before the next.
func (l *segmentLog) drop(upTo uint32) error {
	for len(l.segments) > 1 && l.segments[0].number <= upTo {
		s := l.segments[0]
		l.segments = l.segments[1:]
		if err := errors.Join(s.close(), os.Remove(s.path), syncDir(l.dir)); err != nil {
			return err
		}
	}
	return nil
}

// sync returns once all up to a position is on disk.
func (l *segmentLog) sync(position int64) error { return l.flush.wait(position) }

func (l *segmentLog) close() error {
	var errs []error
	for _, s := range l.segments {
		errs = append(errs, s.close())
	}
	l.segments = nil
	return errors.Join(errs...)
}
