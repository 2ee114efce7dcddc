package shard

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"unsafe"
)

// A record is
//
//	checksum uint32, kind uint32, length uint64 | body of length bytes, a multiple of 8
//
// The checksum, CRC-32C, covers all behind it. The body of points and payloads is
//
//	count uint32, 0 uint32
//	count × (id 24 bytes, payload length uint32, cells uint32 a vector of the collection, zeros up to a multiple of 8)
//	payloads, each a marshalled qdrant.Struct, zeros up to a multiple of 8
//	vectors, in the order of the points and of the collection's vectors
//
// and that of a deletion has the ids alone. All numbers are little-endian.
type recordKind uint32

const (
	recordPoints   recordKind = 1 // points with payload and vectors, in place of what was there
	recordPayloads recordKind = 2 // new payloads of points that keep their vectors
	recordDelete   recordKind = 3
)

const (
	recordHeader = 16
	recordTarget = 32 << 20 // a record is closed when its points reach this size
	keptBuffer   = 16 << 20 // of memory is kept from one record for the next
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entry is one point of a record that is about to be written.
type entry struct {
	id      ID
	payload []byte      // marshalled qdrant.Struct
	vectors [][]float32 // one for each vector of the collection, cells one after another; empty = the point has none
}

// size is what the entry takes in a record.
func (e entry) size(dims []int) int {
	n := entryBytes(len(dims)) + len(e.payload)
	for _, v := range e.vectors {
		n += 4 * len(v)
	}
	return n
}

// entryBytes is the size of a point's fixed part.
func entryBytes(vectors int) int { return align8(idBytes + 4 + 4*vectors) }

func align8(n int) int { return (n + 7) &^ 7 }

// encodeRecord makes a record in the memory of a buffer, or in more where that is too small. dims are the dimensions of the collection's vectors.
func encodeRecord(buffer []byte, kind recordKind, entries []entry, dims []int) []byte {
	size := recordHeader + 8 + 16 // with room for padding
	for _, e := range entries {
		size += e.size(dims)
	}
	b := slices.Grow(buffer[:0], size)[:recordHeader]
	b = binary.LittleEndian.AppendUint64(b, uint64(len(entries)))
	for _, e := range entries {
		b = e.id.appendTo(b)
		if kind != recordDelete {
			b = appendLengths(b, e, dims)
		}
	}
	for _, e := range entries {
		b = append(b, e.payload...)
	}
	b = pad8(b)
	for _, e := range entries {
		for _, v := range e.vectors {
			b = append(b, rawFloats(v)...)
		}
	}
	return sealRecord(pad8(b), kind)
}

func appendLengths(b []byte, e entry, dims []int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.payload))) //nolint:gosec // bounded by the message size
	for i, dim := range dims {
		var cells uint32
		if len(e.vectors) > 0 {
			cells = uint32(len(e.vectors[i]) / dim) //nolint:gosec // bounded by the message size
		}
		b = binary.LittleEndian.AppendUint32(b, cells)
	}
	return pad8(b)
}

func pad8(b []byte) []byte {
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// rawFloats is the memory of a vector, which on a little-endian machine is its form on disk.
func rawFloats(v []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v)) //nolint:gosec // read only, same lifetime
}

// sealRecord fills in the header.
func sealRecord(b []byte, kind recordKind) []byte {
	binary.LittleEndian.PutUint32(b[4:], uint32(kind))
	binary.LittleEndian.PutUint64(b[8:], uint64(len(b)-recordHeader)) //nolint:gosec // never negative
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

var errTorn = errors.New("not a whole record")

// nextRecord reads the header of the record at the start of b and checks its length; the checksum is left to verifyRecord.
func nextRecord(b []byte) (kind recordKind, size int, err error) {
	if len(b) < recordHeader {
		return 0, 0, errTorn
	}
	kind = recordKind(binary.LittleEndian.Uint32(b[4:]))
	length := binary.LittleEndian.Uint64(b[8:])
	known := kind == recordPoints || kind == recordPayloads || kind == recordDelete
	if !known || length < 8 || length%8 != 0 || length > uint64(len(b)-recordHeader) { //nolint:gosec // never negative
		return 0, 0, errTorn
	}
	return kind, recordHeader + int(length), nil //nolint:gosec // at most len(b)
}

func verifyRecord(record []byte) bool {
	return crc32.Checksum(record[4:], castagnoli) == binary.LittleEndian.Uint32(record)
}

// stored is one point of a record that lies in a segment.
type stored struct {
	id      ID
	payload span
	vectors []span // one for each vector of the collection; reused between calls of visit
}

// visitRecord calls visit for each point of the record at an offset of a segment.
func visitRecord(s *segment, offset int64, kind recordKind, dims []int, visit func(stored)) {
	body := s.mapped[offset+recordHeader:]
	count := int(binary.LittleEndian.Uint32(body))
	body = body[8:]
	width := entryBytes(len(dims))
	if kind == recordDelete {
		width = idBytes
	}
	payloadAt := offset + recordHeader + 8 + int64(count*width)
	payloads := int64(0)
	if kind != recordDelete {
		for i := range count {
			payloads += int64(binary.LittleEndian.Uint32(body[i*width+idBytes:]))
		}
	}
	vectorAt := (payloadAt + payloads + 7) &^ 7
	p := stored{vectors: make([]span, len(dims))}
	for i := range count {
		e := body[i*width:]
		p.id = readID(e)
		if kind != recordDelete {
			p.payload = span{s.number, uint32(payloadAt), binary.LittleEndian.Uint32(e[idBytes:])} //nolint:gosec // segments are under 4 GiB
			payloadAt += int64(p.payload.n)
			for k, dim := range dims {
				cells := binary.LittleEndian.Uint32(e[idBytes+4+4*k:])
				p.vectors[k] = span{s.number, uint32(vectorAt), cells} //nolint:gosec // segments are under 4 GiB
				vectorAt += int64(cells) * int64(dim) * 4
			}
		}
		visit(p)
	}
}
