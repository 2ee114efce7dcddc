package qdrant

import (
	"encoding/base64"
	"encoding/binary"
	"maps"
	"strings"

	"github.com/qdrant/go-client/qdrant"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/retrieve"
)

// Names of vectors and payload fields.
const (
	vectorCells       = "cells"
	vectorDescription = "description"

	fieldSource  = "source"  // sourceKey of the dataset split; what queries filter by
	fieldDataset = "dataset" // dataset, config and split are there for people
	fieldConfig  = "config"
	fieldSplit   = "split"
	fieldCells   = "cells" // for each vector what its cell is, see packCells
)

// descriptions names the collection of descriptions that goes with a collection of rows.
func descriptions(collection string) string { return collection + "-datasets" }

// sourceKey is one short value for a dataset split, and the id of its point: the id that a row without cells would have there.
func sourceKey(d rebased.DatasetID) string { return string(rebased.NewRowID(d, nil, 0)) }

// payloads makes the payload of points; what points have in common is made once.
type payloads map[rebased.DatasetID]map[string]*qdrant.Value

func (p payloads) dataset(d rebased.DatasetID) map[string]*qdrant.Value {
	if p[d] == nil {
		p[d] = map[string]*qdrant.Value{
			fieldSource:  qdrant.NewValueString(sourceKey(d)),
			fieldDataset: text(d.Name),
			fieldConfig:  text(d.Config),
			fieldSplit:   text(d.Split),
		}
	}
	return p[d]
}

// text makes a string that the protocol takes.
func text(s string) *qdrant.Value { return qdrant.NewValueString(strings.ToValidUTF8(s, "\ufffd")) }

func (p payloads) point(from index.Point) *qdrant.PointStruct {
	payload := make(map[string]*qdrant.Value, 5)
	maps.Copy(payload, p.dataset(from.Dataset))
	payload[fieldCells] = qdrant.NewValueString(packCells(from))
	vectors := make(map[string]*qdrant.Vector, 1) // an empty map, not none: so a point may have no vector
	if len(from.Vectors) > 0 {
		vectors[vectorCells] = qdrant.NewVectorMulti(from.Vectors)
	}
	return &qdrant.PointStruct{Id: qdrant.NewIDUUID(string(from.ID)), Payload: payload, Vectors: qdrant.NewVectorsMap(vectors)}
}

func (p payloads) description(from index.Description) *qdrant.PointStruct {
	return &qdrant.PointStruct{
		Id:      qdrant.NewIDUUID(sourceKey(from.Dataset)),
		Payload: p.dataset(from.Dataset),
		Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{vectorDescription: qdrant.NewVectorDense(from.Vector)}),
	}
}

// packCells says of each vector's cell its place in the row (a varint), the hash of its text (8 bytes, big endian) and its letters (1 byte),
// all in base64: as lists of numbers they would cost server and client three times the CPU and bytes.
func packCells(p index.Point) string {
	packed := make([]byte, 0, 10*len(p.Cells))
	for i, cell := range p.Cells {
		packed = binary.AppendUvarint(packed, uint64(cell)) //nolint:gosec // a place
		packed = binary.BigEndian.AppendUint64(packed, p.Hashes[i])
		packed = append(packed, byte(p.Letters[i])) //nolint:gosec // at most 255
	}
	return base64.RawStdEncoding.EncodeToString(packed)
}

// unpackCells reads what packCells wrote, until it makes no sense: then there are fewer cells than vectors, which retrieval refuses.
func unpackCells(text string, s *retrieve.Stored) {
	packed, _ := base64.RawStdEncoding.DecodeString(text) //nolint:errcheck // see above
	for len(packed) > 0 {
		cell, n := binary.Uvarint(packed)
		if n <= 0 || len(packed) < n+9 {
			return
		}
		s.Cells = append(s.Cells, int(cell)) //nolint:gosec // retrieval checks it
		s.Hashes = append(s.Hashes, binary.BigEndian.Uint64(packed[n:]))
		s.Letters = append(s.Letters, int(packed[n+8]))
		packed = packed[n+9:]
	}
}

// stored reads a row's point.
func stored(p *qdrant.RetrievedPoint) (s retrieve.Stored) {
	unpackCells(p.GetPayload()[fieldCells].GetStringValue(), &s)
	for _, v := range p.GetVectors().GetVectors().GetVectors()[vectorCells].GetMultiDense().GetVectors() {
		s.Vectors = append(s.Vectors, v.GetData())
	}
	return s
}
