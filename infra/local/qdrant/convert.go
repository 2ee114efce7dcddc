package qdrant

import (
	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/qdrant/internal/shard"
)

var errNoLimit = rebased.E(rebased.Invalid, "limit: value 0 invalid, must be 1 or larger")

// point reads a point of an upsert.
func (c *collection) point(p *pb.PointStruct) (shard.Point, error) {
	id, err := shard.NewID(p.GetId())
	if err != nil {
		return shard.Point{}, err
	}
	read := shard.Point{ID: id, Payload: p.GetPayload(), Vectors: make([][]float32, len(c.vectors))}
	for name, v := range p.GetVectors().GetVectors().GetVectors() {
		i, err := c.vector(name)
		if err != nil {
			return read, err
		}
		if read.Vectors[i], err = c.vectors[i].cells(v.GetDense(), v.GetMultiDense()); err != nil {
			return read, err
		}
	}
	return read, nil
}

// cells reads a vector, of which one of the two forms is set: its cells one after another.
func (v vector) cells(dense *pb.DenseVector, multi *pb.MultiDenseVector) ([]float32, error) {
	rows := multi.GetVectors()
	if dense != nil {
		rows = []*pb.DenseVector{dense}
	}
	if err := v.fits(len(rows), v.size, dense == nil); err != nil {
		return nil, err
	}
	cells := make([]float32, 0, len(rows)*v.size)
	for _, row := range rows {
		if err := v.fits(1, len(row.GetData()), false); err != nil {
			return nil, err
		}
		cells = append(cells, row.GetData()...)
	}
	return cells, nil
}

// nearest reads a query.
func (c *collection) nearest(req *pb.QueryPoints) (shard.Nearest, error) {
	q := shard.Nearest{Filter: req.GetFilter(), Offset: req.GetOffset(), Limit: defaultLimit, Above: req.ScoreThreshold}
	if req.Limit != nil {
		if q.Limit = req.GetLimit(); q.Limit == 0 {
			return q, errNoLimit
		}
	}
	near := req.GetQuery().GetNearest()
	if near == nil {
		return q, unimplemented("qdrant.QueryPoints without query.nearest")
	}
	var err error
	if q.Vector, err = c.vector(req.GetUsing()); err != nil {
		return q, err
	}
	q.Query, err = c.vectors[q.Vector].cells(near.GetDense(), near.GetMultiDense())
	return q, err
}

// selection reads which points a write concerns.
func selection(points *pb.PointsSelector) (shard.Selection, error) {
	switch p := points.GetPointsSelectorOneOf().(type) {
	case *pb.PointsSelector_Points:
		ids, err := pointIDs(p.Points.GetIds())
		return shard.Selection{IDs: ids}, err
	case *pb.PointsSelector_Filter:
		return shard.Selection{Filter: p.Filter}, nil
	}
	return shard.Selection{}, rebased.E(rebased.Invalid, "the request selects no points, neither by ids nor by a filter")
}

// pointIDs reads a list of ids; it is never nil.
func pointIDs(list []*pb.PointId) ([]shard.ID, error) {
	ids := make([]shard.ID, len(list))
	for i, p := range list {
		var err error
		if ids[i], err = shard.NewID(p); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// fields reads what of the points an answer is to carry. byDefault says whether a request that is silent about the payload means it.
func (c *collection) fields(payload *pb.WithPayloadSelector, vectors *pb.WithVectorsSelector, byDefault bool) (shard.Projection, error) {
	f := shard.Projection{Payload: byDefault}
	switch p := payload.GetSelectorOptions().(type) {
	case *pb.WithPayloadSelector_Enable:
		f.Payload = p.Enable
	case *pb.WithPayloadSelector_Include:
		f.Include = p.Include.GetFields()
		f.Payload = len(f.Include) > 0
	case *pb.WithPayloadSelector_Exclude:
		f.Payload, f.Exclude = true, p.Exclude.GetFields()
	}
	switch v := vectors.GetSelectorOptions().(type) {
	case *pb.WithVectorsSelector_Enable:
		for i := range c.vectors {
			if v.Enable {
				f.Vectors = append(f.Vectors, i)
			}
		}
	case *pb.WithVectorsSelector_Include:
		for _, name := range v.Include.GetNames() {
			i, err := c.vector(name)
			if err != nil {
				return f, err
			}
			f.Vectors = append(f.Vectors, i)
		}
	}
	return f, nil
}

func (c *collection) retrieved(hits []shard.Hit) []*pb.RetrievedPoint {
	points := make([]*pb.RetrievedPoint, len(hits))
	for i, h := range hits {
		points[i] = &pb.RetrievedPoint{Id: h.ID.Proto(), Payload: h.Payload, Vectors: c.output(h.Vectors)}
	}
	return points
}

func (c *collection) scored(hits []shard.Hit) []*pb.ScoredPoint {
	points := make([]*pb.ScoredPoint, len(hits))
	for i, h := range hits {
		points[i] = &pb.ScoredPoint{Id: h.ID.Proto(), Payload: h.Payload, Score: h.Score, Vectors: c.output(h.Vectors)}
	}
	return points
}

// output writes the vectors of a point; nil when none were asked for.
func (c *collection) output(vectors [][]float32) *pb.VectorsOutput {
	if vectors == nil {
		return nil
	}
	named := make(map[string]*pb.VectorOutput, len(vectors))
	for i, cells := range vectors {
		if cells == nil {
			continue
		}
		v := c.vectors[i]
		if !v.multi {
			named[v.name] = &pb.VectorOutput{Vector: &pb.VectorOutput_Dense{Dense: &pb.DenseVector{Data: cells}}}
			continue
		}
		rows := make([]*pb.DenseVector, len(cells)/v.size)
		for r := range rows {
			rows[r] = &pb.DenseVector{Data: cells[r*v.size:][:v.size]}
		}
		named[v.name] = &pb.VectorOutput{Vector: &pb.VectorOutput_MultiDense{MultiDense: &pb.MultiDenseVector{Vectors: rows}}}
	}
	return &pb.VectorsOutput{VectorsOptions: &pb.VectorsOutput_Vectors{Vectors: &pb.NamedVectorsOutput{Vectors: named}}}
}
