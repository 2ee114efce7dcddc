package qdrant

import (
	"context"
	"iter"
	"slices"

	"github.com/qdrant/go-client/qdrant"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
)

const (
	describeStep = 256  // descriptions in one message
	idStep       = 1000 // ids in one message
)

// Ensure implements index.Writer.
func (x *Index) Ensure(ctx context.Context, collection string, dimensions int) error {
	rows := exact(dimensions)
	rows.MultivectorConfig = &qdrant.MultiVectorConfig{Comparator: qdrant.MultiVectorComparator_MaxSim}
	if err := x.create(ctx, collection, vectorCells, rows, x.how); err != nil {
		return err
	}
	few := Collection{Shards: min(x.how.Shards, 1), Replicas: x.how.Replicas, Consistency: x.how.Consistency}
	return x.create(ctx, descriptions(collection), vectorDescription, exact(dimensions), few)
}

// exact describes vectors that are only searched one by one: dot product, and no graph (m = 0).
func exact(dimensions int) *qdrant.VectorParams {
	return &qdrant.VectorParams{
		Size:       uint64(dimensions), //nolint:gosec // an encoder has some dimensions
		Distance:   qdrant.Distance_Dot,
		HnswConfig: &qdrant.HnswConfigDiff{M: new(uint64(0))},
	}
}

// create makes a collection with one named vector and an index for the field that is filtered by. The field is indexed in any case: an
// earlier call may have died before it.
func (x *Index) create(ctx context.Context, collection, vector string, params *qdrant.VectorParams, how Collection) error {
	there, err := x.exists(ctx, collection)
	if err != nil {
		return err
	}
	if !there {
		request := &qdrant.CreateCollection{
			CollectionName: collection,
			VectorsConfig:  qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{vector: params}),
		}
		how.apply(request, params)
		_, err = x.collections.Create(ctx, request)
		if err != nil { // another worker may have been faster
			if there, check := x.exists(ctx, collection); check != nil || !there {
				return err
			}
		}
	}
	_, err = x.points.CreateFieldIndex(ctx, &qdrant.CreateFieldIndexCollection{
		CollectionName: collection, Wait: new(true), FieldName: fieldSource, FieldType: qdrant.FieldType_FieldTypeKeyword.Enum(),
	})
	return err
}

func (x *Index) exists(ctx context.Context, collection string) (bool, error) {
	answer, err := x.collections.CollectionExists(ctx, &qdrant.CollectionExistsRequest{CollectionName: collection})
	return answer.GetResult().GetExists(), err
}

// Upsert implements index.Writer.
func (x *Index) Upsert(ctx context.Context, collection string, points []index.Point) error {
	made := make([]*qdrant.PointStruct, len(points))
	shared := make(payloads)
	for i, p := range points {
		made[i] = shared.point(p)
	}
	return x.upsert(ctx, collection, made)
}

func (x *Index) upsert(ctx context.Context, collection string, points []*qdrant.PointStruct) error {
	if len(points) == 0 {
		return nil
	}
	l, err := x.limits(ctx, collection)
	if err != nil {
		return err
	}
	for step := range slices.Chunk(points, within(len(points), l.upsert)) {
		if _, err := x.points.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: collection, Wait: new(true), Points: step}); err != nil {
			return err
		}
	}
	return nil
}

// Alias implements index.Writer.
func (x *Index) Alias(ctx context.Context, alias, collection string) error {
	_, err := x.collections.UpdateAliases(ctx, &qdrant.ChangeAliases{Actions: []*qdrant.AliasOperations{
		qdrant.NewAliasCreate(alias, collection), qdrant.NewAliasCreate(descriptions(alias), descriptions(collection)),
	}})
	return err
}

// Drop implements index.Writer.
func (x *Index) Drop(ctx context.Context, collection string) error {
	for _, name := range []string{collection, descriptions(collection)} {
		if _, err := x.collections.Delete(ctx, &qdrant.DeleteCollection{CollectionName: name}); err != nil && rebased.KindOf(err) != rebased.NotFound {
			return err
		}
	}
	return nil
}

// Has implements index.Writer.
func (x *Index) Has(ctx context.Context, collection string, ids []rebased.RowKey) ([]bool, error) {
	l, err := x.limits(ctx, collection)
	if err != nil {
		return nil, err
	}
	has := make([]bool, 0, len(ids))
	for step := range slices.Chunk(ids, within(idStep, l.list)) {
		answer, err := x.points.Get(ctx, &qdrant.GetPoints{
			CollectionName: collection, Ids: pointIDs(step), WithPayload: qdrant.NewWithPayloadEnable(false), WithVectors: qdrant.NewWithVectorsEnable(false),
		})
		if err != nil {
			return nil, err
		}
		there := make(map[string]struct{}, len(step))
		for _, p := range answer.GetResult() {
			there[p.GetId().GetUuid()] = struct{}{}
		}
		for _, id := range step {
			_, ok := there[string(id.ID())]
			has = append(has, ok)
		}
	}
	return has, nil
}

// IDs implements index.Writer. A server scrolls in the order of the ids.
func (x *Index) IDs(ctx context.Context, collection string, from rebased.RowKey) iter.Seq2[rebased.RowKey, error] {
	return func(yield func(rebased.RowKey, error) bool) {
		l, err := x.limits(ctx, collection)
		if err != nil {
			yield(rebased.RowKey{}, err)
			return
		}
		for next := qdrant.NewIDUUID(string(from.ID())); next != nil; {
			answer, err := x.points.Scroll(ctx, &qdrant.ScrollPoints{
				CollectionName: collection, Offset: next, Limit: new(uint32(within(idStep, l.list))), //nolint:gosec // small

				WithPayload: qdrant.NewWithPayloadEnable(false), WithVectors: qdrant.NewWithVectorsEnable(false),
			})
			if err != nil {
				yield(rebased.RowKey{}, err)
				return
			}
			for _, p := range answer.GetResult() {
				if key, err := rebased.RowID(p.GetId().GetUuid()).Key(); !yield(key, err) || err != nil {
					return
				}
			}
			next = answer.GetNextPageOffset()
		}
	}
}

// Count implements index.Writer.
func (x *Index) Count(ctx context.Context, collection string) (int, error) {
	answer, err := x.points.Count(ctx, &qdrant.CountPoints{CollectionName: collection, Exact: new(true)})
	return int(answer.GetResult().GetCount()), err //nolint:gosec // fits
}

// CountDescriptions implements index.Writer.
func (x *Index) CountDescriptions(ctx context.Context, collection string) (int, error) {
	return x.Count(ctx, descriptions(collection))
}

// Delete implements index.Writer.
func (x *Index) Delete(ctx context.Context, collection string, ids []rebased.RowKey) error {
	for step := range slices.Chunk(ids, idStep) {
		_, err := x.points.Delete(ctx, &qdrant.DeletePoints{
			CollectionName: collection, Wait: new(true), Points: qdrant.NewPointsSelectorIDs(pointIDs(step)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func pointIDs(keys []rebased.RowKey) []*qdrant.PointId {
	ids := make([]*qdrant.PointId, len(keys))
	for i, key := range keys {
		ids[i] = qdrant.NewIDUUID(string(key.ID()))
	}
	return ids
}

// deleteExcept removes the points of a field's other values. Of a value that no condition names nothing would stay, so all are in one message.
func (x *Index) deleteExcept(ctx context.Context, collection, field string, kept []string) error {
	l, err := x.limits(ctx, collection)
	if err != nil {
		return err
	}
	others := &qdrant.Filter{}
	for step := range slices.Chunk(kept, max(1, within(len(kept), l.values))) {
		others.MustNot = append(others.MustNot, qdrant.NewMatchKeywords(field, step...))
	}
	if len(kept) == 0 {
		others.MustNot = append(others.MustNot, qdrant.NewMatchKeywords(field))
	}
	_, err = x.points.Delete(ctx, &qdrant.DeletePoints{
		CollectionName: collection, Wait: new(true), Points: qdrant.NewPointsSelectorFilter(others),
	})
	return err
}

// ReplaceDescriptions implements index.Writer.
func (x *Index) ReplaceDescriptions(ctx context.Context, collection string, replaced []index.Description) error {
	shared := make(payloads)
	kept := make([]string, 0, len(replaced))
	for step := range slices.Chunk(replaced, describeStep) {
		points := make([]*qdrant.PointStruct, len(step))
		for i, d := range step {
			points[i] = shared.description(d)
			kept = append(kept, sourceKey(d.Dataset))
		}
		if err := x.upsert(ctx, descriptions(collection), points); err != nil {
			return err
		}
	}
	return x.deleteExcept(ctx, descriptions(collection), fieldSource, kept)
}
