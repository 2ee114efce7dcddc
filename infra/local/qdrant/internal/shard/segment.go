package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

const (
	segmentMagic  = "rbqseg01"
	segmentHeader = 16 // magic, then the segment's number
	segmentSuffix = ".seg"
)

// span is where a payload or the cells of a vector lie: n bytes or cells at an offset of a segment.
type span struct {
	segment uint32
	offset  uint32
	n       uint32
}

// segment is one file of the log, mapped for reading. It only ever grows; the mapping reaches beyond its end, up to its capacity.
type segment struct {
	number uint32
	path   string
	file   *os.File
	mapped []byte
	size   int64
}

func segmentPath(dir string, number uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%08d%s", number, segmentSuffix))
}

// createSegment makes an empty segment and checks that what is written to the file is seen through the mapping.
func createSegment(dir string, number uint32, capacity int64) (*segment, error) {
	path := segmentPath(dir, number)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // a file of our own folder
	if err != nil {
		return nil, err
	}
	s, err := mapSegment(file, path, number, capacity)
	if err != nil {
		return nil, err
	}
	header := binary.LittleEndian.AppendUint64([]byte(segmentMagic), uint64(number))
	if _, err := s.append(header); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if string(s.mapped[:segmentHeader]) != string(header) {
		return nil, errors.Join(fmt.Errorf("%s: the file system does not show writes through mmap; use a folder on a local disk", path), s.close())
	}
	return s, syncDir(dir)
}

// openSegment maps a segment that is there. A file too short to hold its header is an interrupted creation: the header is written again.
func openSegment(dir string, number uint32, capacity int64) (*segment, error) {
	path := segmentPath(dir, number)
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // a file of our own folder
	if err != nil {
		return nil, err
	}
	s, err := mapSegment(file, path, number, capacity)
	if err != nil {
		return nil, err
	}
	header := binary.LittleEndian.AppendUint64([]byte(segmentMagic), uint64(number))
	if s.size < segmentHeader {
		s.size = 0
		_, err = s.append(header)
	} else if string(s.mapped[:segmentHeader]) != string(header) {
		err = fmt.Errorf("%s is not segment %d of this version's log", path, number)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func mapSegment(file *os.File, path string, number uint32, capacity int64) (*segment, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	length := max(capacity, info.Size())
	mapped, err := syscall.Mmap(int(file.Fd()), 0, int(length), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map %s: %w", path, err), file.Close())
	}
	return &segment{number: number, path: path, file: file, mapped: mapped, size: info.Size()}, nil
}

// fits says whether n more bytes stay inside the mapping.
func (s *segment) fits(n int) bool { return s.size+int64(n) <= int64(len(s.mapped)) }

// append writes b behind the end and gives its offset. After a failed write the segment is as it was before.
func (s *segment) append(b []byte) (offset int64, err error) {
	if _, err := s.file.WriteAt(b, s.size); err != nil {
		return 0, errors.Join(err, s.file.Truncate(s.size))
	}
	offset = s.size
	s.size += int64(len(b))
	return offset, nil
}

// truncate cuts the segment to a size.
func (s *segment) truncate(size int64) error {
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	s.size = size
	return s.file.Sync()
}

// content is what was written so far.
func (s *segment) content() []byte { return s.mapped[:s.size:s.size] }

// bytes gives the payload at a span, in place.
func (s *segment) bytes(at span) []byte { return s.mapped[at.offset:][:at.n:at.n] }

// floats gives the cells at a span, in place, one after another.
func (s *segment) floats(at span, dimensions int) []float32 {
	n := int(at.n) * dimensions
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&s.mapped[at.offset])), n) //nolint:gosec // records align vectors to 8 bytes
}

func (s *segment) close() error {
	return errors.Join(syscall.Munmap(s.mapped), s.file.Close())
}

// syncDir makes created and removed files of a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
