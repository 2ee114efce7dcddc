package qdrant

import (
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
	fieldPart    = "part"  // SHA-256
	fieldRow     = "row"   // place in the part
	fieldCells   = "cells" // for each vector the place of its cell in the row
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
	payload := make(map[string]*qdrant.Value, 7)
	maps.Copy(payload, p.dataset(from.Dataset))
	cells := make([]*qdrant.Value, len(from.Cells))
	for i, cell := range from.Cells {
		cells[i] = qdrant.NewValueInt(int64(cell))
	}
	payload[fieldPart] = qdrant.NewValueString(from.Part)
	payload[fieldRow] = qdrant.NewValueInt(int64(from.Row))
	payload[fieldCells] = qdrant.NewValueList(&qdrant.ListValue{Values: cells})
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

// stored reads a row's point.
func stored(p *qdrant.RetrievedPoint) retrieve.Stored {
	payload := p.GetPayload()
	s := retrieve.Stored{Part: payload[fieldPart].GetStringValue(), Row: int(payload[fieldRow].GetIntegerValue())}
	for _, cell := range payload[fieldCells].GetListValue().GetValues() {
		s.Cells = append(s.Cells, int(cell.GetIntegerValue()))
	}
	for _, v := range p.GetVectors().GetVectors().GetVectors()[vectorCells].GetMultiDense().GetVectors() {
		s.Vectors = append(s.Vectors, v.GetData())
	}
	return s
}
