package qdrant

import (
	"context"
	"time"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/qdrant/internal/shard"
)

// defaultLimit is how many points an answer has when the request does not say.
const defaultLimit = 10

// pointsService serves qdrant.Points. The calls that it lacks are answered Unimplemented by the type that it embeds.
type pointsService struct {
	pb.UnimplementedPointsServer
	catalog *catalog
}

func (s *pointsService) Upsert(ctx context.Context, req *pb.UpsertPoints) (*pb.PointsOperationResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	points := make([]shard.Point, len(req.GetPoints()))
	for i, p := range req.GetPoints() {
		if points[i], err = col.point(p); err != nil {
			return nil, err
		}
	}
	return completed(col.shard.Upsert(ctx, points))
}

func (s *pointsService) Delete(ctx context.Context, req *pb.DeletePoints) (*pb.PointsOperationResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	points, err := selection(req.GetPoints())
	if err != nil {
		return nil, err
	}
	return completed(col.shard.Delete(ctx, points))
}

func (s *pointsService) SetPayload(ctx context.Context, req *pb.SetPayloadPoints) (*pb.PointsOperationResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	points, err := selection(req.GetPointsSelector())
	if err != nil {
		return nil, err
	}
	return completed(col.shard.SetPayload(ctx, points, req.GetPayload()))
}

func (s *pointsService) CreateFieldIndex(_ context.Context, req *pb.CreateFieldIndexCollection) (*pb.PointsOperationResponse, error) {
	if req.GetFieldName() == "" || req.FieldType == nil {
		return nil, rebased.E(rebased.Invalid, "a payload index needs field_name and field_type")
	}
	kind := shard.Keyword
	if req.GetFieldType() == pb.FieldType_FieldTypeInteger {
		kind = shard.Integer
	}
	return completed(s.catalog.addField(req.GetCollectionName(), req.GetFieldName(), kind))
}

func completed(err error) (*pb.PointsOperationResponse, error) {
	if err != nil {
		return nil, err
	}
	return &pb.PointsOperationResponse{Result: &pb.UpdateResult{Status: pb.UpdateStatus_Completed}}, nil
}

func (s *pointsService) Get(_ context.Context, req *pb.GetPoints) (*pb.GetResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	ids, err := pointIDs(req.GetIds())
	if err != nil {
		return nil, err
	}
	fields, err := col.fields(req.GetWithPayload(), req.GetWithVectors(), false)
	if err != nil {
		return nil, err
	}
	hits, err := col.shard.Get(ids, fields)
	if err != nil {
		return nil, err
	}
	return &pb.GetResponse{Result: col.retrieved(hits)}, nil
}

func (s *pointsService) Scroll(_ context.Context, req *pb.ScrollPoints) (*pb.ScrollResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	limit := defaultLimit
	if req.Limit != nil {
		if limit = int(req.GetLimit()); limit == 0 {
			return nil, errNoLimit
		}
	}
	var from shard.ID
	if req.GetOffset() != nil {
		if from, err = shard.NewID(req.GetOffset()); err != nil {
			return nil, err
		}
	}
	fields, err := col.fields(req.GetWithPayload(), req.GetWithVectors(), true)
	if err != nil {
		return nil, err
	}
	hits, next, err := col.shard.Scroll(req.GetFilter(), from, limit, fields)
	if err != nil {
		return nil, err
	}
	resp := &pb.ScrollResponse{Result: col.retrieved(hits)}
	if next != nil {
		resp.NextPageOffset = next.Proto()
	}
	return resp, nil
}

func (s *pointsService) Count(_ context.Context, req *pb.CountPoints) (*pb.CountResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	n, err := col.shard.Count(req.GetFilter())
	if err != nil {
		return nil, err
	}
	return &pb.CountResponse{Result: &pb.CountResult{Count: uint64(n)}}, nil //nolint:gosec // a count
}

func (s *pointsService) Query(ctx context.Context, req *pb.QueryPoints) (*pb.QueryResponse, error) {
	hits, err := s.query(ctx, req)
	if err != nil {
		return nil, err
	}
	return &pb.QueryResponse{Result: hits}, nil
}

func (s *pointsService) QueryBatch(ctx context.Context, req *pb.QueryBatchPoints) (*pb.QueryBatchResponse, error) {
	ctx, cancel := limited(ctx, req.GetTimeout())
	defer cancel()
	resp := &pb.QueryBatchResponse{}
	for _, q := range req.GetQueryPoints() {
		if name := q.GetCollectionName(); name != "" && name != req.GetCollectionName() {
			return nil, rebased.E(rebased.Invalid, "a query of the batch names collection %s, the batch %s", name, req.GetCollectionName())
		}
		q.CollectionName = req.GetCollectionName()
		hits, err := s.query(ctx, q)
		if err != nil {
			return nil, err
		}
		resp.Result = append(resp.Result, &pb.BatchResult{Result: hits})
	}
	return resp, nil
}

func (s *pointsService) query(ctx context.Context, req *pb.QueryPoints) ([]*pb.ScoredPoint, error) {
	ctx, cancel := limited(ctx, req.GetTimeout())
	defer cancel()
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	q, err := col.nearest(req)
	if err != nil {
		return nil, err
	}
	fields, err := col.fields(req.GetWithPayload(), req.GetWithVectors(), false)
	if err != nil {
		return nil, err
	}
	hits, err := col.shard.Query(ctx, q, fields)
	if err != nil {
		return nil, err
	}
	return col.scored(hits), nil
}

// limited ends a search after the seconds that its request allows; 0 = no limit.
func limited(ctx context.Context, seconds uint64) (context.Context, context.CancelFunc) {
	const day = 24 * 60 * 60
	if seconds == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(min(seconds, day))*time.Second)
}
