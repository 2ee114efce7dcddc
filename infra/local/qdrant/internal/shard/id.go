package shard

import (
	"cmp"
	"encoding/binary"
	"strconv"

	"github.com/google/uuid"
	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
)

// idBytes is the size of an ID in a record.
const idBytes = 24

// ID names a point: a number or a UUID. Its zero value is the number 0.
type ID struct {
	uuid   bool
	hi, lo uint64
}

// NewID reads the id of a request. A UUID may be written in any of the forms of RFC 9562, with or without hyphens.
func NewID(p *pb.PointId) (ID, error) {
	switch v := p.GetPointIdOptions().(type) {
	case *pb.PointId_Num:
		return ID{lo: v.Num}, nil
	case *pb.PointId_Uuid:
		u, err := uuid.Parse(v.Uuid)
		if err != nil {
			return ID{}, rebased.E(rebased.Invalid, "unable to parse UUID: %s", v.Uuid)
		}
		return ID{uuid: true, hi: binary.BigEndian.Uint64(u[:8]), lo: binary.BigEndian.Uint64(u[8:])}, nil
	}
	return ID{}, rebased.E(rebased.Invalid, "a point has no id")
}

// Proto gives the id as an answer carries it: UUIDs in lower case with hyphens.
func (id ID) Proto() *pb.PointId {
	if !id.uuid {
		return pb.NewIDNum(id.lo)
	}
	return pb.NewIDUUID(id.String())
}

// String gives the number or the UUID.
func (id ID) String() string {
	if !id.uuid {
		return strconv.FormatUint(id.lo, 10)
	}
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], id.hi)
	binary.BigEndian.PutUint64(u[8:], id.lo)
	return u.String()
}

// Compare orders ids as Qdrant does: numbers first, then UUIDs by their bytes, which is also the order of their text.
func (id ID) Compare(other ID) int {
	switch {
	case id.uuid != other.uuid && other.uuid:
		return -1
	case id.uuid != other.uuid:
		return 1
	case id.hi != other.hi:
		return cmp.Compare(id.hi, other.hi)
	}
	return cmp.Compare(id.lo, other.lo)
}

func (id ID) appendTo(b []byte) []byte {
	var kind uint64
	if id.uuid {
		kind = 1
	}
	b = binary.LittleEndian.AppendUint64(b, kind)
	b = binary.LittleEndian.AppendUint64(b, id.hi)
	return binary.LittleEndian.AppendUint64(b, id.lo)
}

func readID(b []byte) ID {
	return ID{
		uuid: binary.LittleEndian.Uint64(b) == 1,
		hi:   binary.LittleEndian.Uint64(b[8:]),
		lo:   binary.LittleEndian.Uint64(b[16:]),
	}
}
