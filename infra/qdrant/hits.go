package qdrant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
)

// hits is the answer to a query, read point by point: as messages its points take some 700 bytes each, as hits 24, and there may be a million.
type hits struct {
	datasets map[string]int32 // source key -> place in the query
	rows     []retrieve.Hit
}

// firstHits is for how many hits there is room at first.
const firstHits = 4096

// hitsCodec decodes hits; every other message it leaves to the codec that it stands on.
type hitsCodec struct{ encoding.CodecV2 }

// Name implements encoding.CodecV2. Without a name the content type of calls stays what it is.
func (hitsCodec) Name() string { return "" }

// Unmarshal implements encoding.CodecV2.
func (c hitsCodec) Unmarshal(data mem.BufferSlice, v any) error {
	into, ok := v.(*hits)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	reader := data.Reader()
	defer reader.Close() //nolint:errcheck // it only frees the buffers
	return into.read(reader)
}

// fieldResult is the number of QueryResponse.result, the points.
const fieldResult = 1

// read takes the points from an encoded QueryResponse and passes over its other fields.
func (h *hits) read(r *mem.Reader) error {
	var message []byte
	for r.Remaining() > 0 {
		tag, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		number, kind := protowire.DecodeTag(tag)
		size, err := sizeOf(r, kind)
		if err != nil {
			return err
		}
		if size > uint64(r.Remaining()) { //nolint:gosec // never negative
			return io.ErrUnexpectedEOF
		}
		if number != fieldResult || kind != protowire.BytesType {
			if _, err := r.Discard(int(size)); err != nil { //nolint:gosec // at most what remains
				return err
			}
			continue
		}
		message = append(message[:0], make([]byte, size)...)
		if _, err := io.ReadFull(r, message); err != nil {
			return err
		}
		if err := h.add(message); err != nil {
			return err
		}
	}
	return nil
}

// sizeOf says how many bytes the value of a field has from here on.
func sizeOf(r *mem.Reader, kind protowire.Type) (uint64, error) {
	switch kind {
	case protowire.VarintType:
		_, err := binary.ReadUvarint(r)
		return 0, err
	case protowire.Fixed32Type:
		return 4, nil
	case protowire.Fixed64Type:
		return 8, nil
	case protowire.BytesType:
		return binary.ReadUvarint(r)
	case protowire.StartGroupType, protowire.EndGroupType:
	}
	return 0, errors.New("a field of no known type")
}

// add decodes one ScoredPoint. A dataset that was not asked for becomes -1, which retrieval refuses.
func (h *hits) add(message []byte) error {
	var point qdrant.ScoredPoint
	if err := proto.Unmarshal(message, &point); err != nil {
		return err
	}
	row, err := rebased.RowID(point.GetId().GetUuid()).Key()
	if err != nil {
		return fmt.Errorf("a point's id: %w", err)
	}
	dataset, asked := h.datasets[point.GetPayload()[fieldSource].GetStringValue()]
	if !asked {
		dataset = -1
	}
	h.rows = append(h.rows, retrieve.Hit{Row: row, Dataset: dataset, Score: point.GetScore()})
	return nil
}
