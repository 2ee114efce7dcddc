package qdrant

import (
	"context"
	"maps"
	"slices"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased/infra/local/qdrant/internal/shard"
)

// collectionsService serves qdrant.Collections. The calls that it lacks are answered Unimplemented by the type that it embeds.
type collectionsService struct {
	pb.UnimplementedCollectionsServer
	catalog *catalog
}

func (s *collectionsService) Create(_ context.Context, req *pb.CreateCollection) (*pb.CollectionOperationResponse, error) {
	if err := validConfig(req); err != nil {
		return nil, err
	}
	return changed(true, s.catalog.create(req))
}

func (s *collectionsService) Delete(_ context.Context, req *pb.DeleteCollection) (*pb.CollectionOperationResponse, error) {
	if err := validName(req.GetCollectionName()); err != nil {
		return nil, err
	}
	return changed(s.catalog.drop(req.GetCollectionName()))
}

func (s *collectionsService) UpdateAliases(_ context.Context, req *pb.ChangeAliases) (*pb.CollectionOperationResponse, error) {
	return changed(true, s.catalog.changeAliases(req.GetActions()))
}

func changed(result bool, err error) (*pb.CollectionOperationResponse, error) {
	if err != nil {
		return nil, err
	}
	return &pb.CollectionOperationResponse{Result: result}, nil
}

func (s *collectionsService) List(context.Context, *pb.ListCollectionsRequest) (*pb.ListCollectionsResponse, error) {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	resp := &pb.ListCollectionsResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.catalog.open)) {
		resp.Collections = append(resp.Collections, &pb.CollectionDescription{Name: name})
	}
	return resp, nil
}

func (s *collectionsService) CollectionExists(_ context.Context, req *pb.CollectionExistsRequest) (*pb.CollectionExistsResponse, error) {
	if err := validName(req.GetCollectionName()); err != nil {
		return nil, err
	}
	_, err := s.catalog.resolve(req.GetCollectionName())
	return &pb.CollectionExistsResponse{Result: &pb.CollectionExists{Exists: err == nil}}, nil
}

func (s *collectionsService) ListAliases(context.Context, *pb.ListAliasesRequest) (*pb.ListAliasesResponse, error) {
	return &pb.ListAliasesResponse{Aliases: s.catalog.aliases("")}, nil
}

func (s *collectionsService) ListCollectionAliases(_ context.Context, req *pb.ListCollectionAliasesRequest) (*pb.ListAliasesResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	return &pb.ListAliasesResponse{Aliases: s.catalog.aliases(col.name)}, nil
}

func (s *collectionsService) Get(_ context.Context, req *pb.GetCollectionInfoRequest) (*pb.GetCollectionInfoResponse, error) {
	col, err := s.catalog.resolve(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	schema := map[string]*pb.PayloadSchemaInfo{}
	for key, f := range col.shard.Fields() {
		kind := pb.PayloadSchemaType_Keyword
		if f.Type == shard.Integer {
			kind = pb.PayloadSchemaType_Integer
		}
		schema[key] = &pb.PayloadSchemaInfo{DataType: kind, Points: new(uint64(f.Points))} //nolint:gosec // a count
	}
	return &pb.GetCollectionInfoResponse{Result: &pb.CollectionInfo{
		Status:              pb.CollectionStatus_Green,
		OptimizerStatus:     &pb.OptimizerStatus{Ok: true},
		SegmentsCount:       1,
		PointsCount:         new(uint64(col.shard.Len())), //nolint:gosec // a count
		IndexedVectorsCount: new(uint64(0)),
		PayloadSchema:       schema,
		Config: &pb.CollectionConfig{
			Params: &pb.CollectionParams{
				ShardNumber:   1,
				OnDiskPayload: col.config.GetOnDiskPayload(),
				VectorsConfig: col.config.GetVectorsConfig(),
			},
			HnswConfig: col.config.GetHnswConfig(),
		},
	}}, nil
}
