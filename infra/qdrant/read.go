package qdrant

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/qdrant/go-client/qdrant"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/protobuf/proto"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
)

const (
	// getStep is how many points with vectors are asked for in one message: of the largest size that Qdrant takes they are 48 MB.
	getStep = 12
	// getMost is how many are asked for where the first ones are so small that as many have getBytes at most. Messages of 12 rows of 7 cells cost
	// a ranking half as much CPU again.
	getMost  = 64
	getBytes = 16 << 20
	// getters is how many such messages are under way at once.
	getters = 4
)

// Query implements retrieve.Index. The server gives rows of equal scores in no order, so that they are put in order here.
func (x *Index) Query(ctx context.Context, q retrieve.Query) ([]retrieve.Hit, error) {
	if len(q.Datasets) == 0 || q.Limit < 1 {
		return nil, nil
	}
	l, err := x.limits(ctx, q.Collection)
	if err != nil {
		return nil, err
	}
	if err := l.allow(q, x.how); err != nil {
		return nil, err
	}
	answer := hits{datasets: make(map[string]int32, len(q.Datasets)), rows: make([]retrieve.Hit, 0, min(q.Limit, firstHits))}
	keys := make([]string, len(q.Datasets))
	for i, d := range q.Datasets {
		keys[i] = sourceKey(d)
		answer.datasets[keys[i]] = int32(i) //nolint:gosec // datasets are not that many
	}
	// This is what the client library does, but for the answer's form in memory.
	err = x.conn.Invoke(ctx, qdrant.Points_Query_FullMethodName, &qdrant.QueryPoints{
		CollectionName: q.Collection,
		Query:          qdrant.NewQueryMulti(q.Vectors),
		Using:          new(vectorCells),
		Filter:         anyOf(keys, l.values),
		Params:         x.how.search(l),
		Limit:          new(uint64(q.Limit)),
		WithPayload:    qdrant.NewWithPayloadInclude(fieldSource),
	}, &answer, grpc.ForceCodecV2(hitsCodec{encoding.GetCodecV2(grpcproto.Name)}))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(answer.rows, func(a, b retrieve.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), bytes.Compare(a.Row[:], b.Row[:]))
	})
	return answer.rows, nil
}

// anyOf lets rows of these datasets through, in conditions of at most so many values.
func anyOf(keys []string, most int) *qdrant.Filter {
	if most == 0 || len(keys) <= most {
		return &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatchKeywords(fieldSource, keys...)}}
	}
	filter := &qdrant.Filter{}
	for step := range slices.Chunk(keys, most) {
		filter.Should = append(filter.Should, qdrant.NewMatchKeywords(fieldSource, step...))
	}
	return filter
}

// Rows implements retrieve.Index.
func (x *Index) Rows(ctx context.Context, collection string, ids []rebased.RowID) (map[rebased.RowID]retrieve.Stored, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = string(id)
	}
	found := make(map[rebased.RowID]retrieve.Stored, len(ids))
	err := x.get(ctx, collection, keys, getStep, getMost, vectorCells, func(p *qdrant.RetrievedPoint) {
		found[rebased.RowID(p.GetId().GetUuid())] = stored(p)
	})
	return found, err
}

// Descriptions implements retrieve.Index.
func (x *Index) Descriptions(
	ctx context.Context, collection string, datasets []rebased.DatasetID,
) (map[rebased.DatasetID][]float32, error) {
	sources := make(map[string]rebased.DatasetID, len(datasets))
	keys := make([]string, len(datasets))
	for i, d := range datasets {
		keys[i] = sourceKey(d)
		sources[keys[i]] = d
	}
	found := make(map[rebased.DatasetID][]float32, len(datasets))
	err := x.get(ctx, descriptions(collection), keys, getStep, getMost, vectorDescription, func(p *qdrant.RetrievedPoint) {
		found[sources[p.GetId().GetUuid()]] = p.GetVectors().GetVectors().GetVectors()[vectorDescription].GetDense().GetData()
	})
	return found, err
}

// get reads points with one of their vectors, a few in each message, or up to most where the first ones are small; use is called by one
// goroutine at a time.
func (x *Index) get(
	ctx context.Context, collection string, keys []string, few, most int, vector string, use func(*qdrant.RetrievedPoint),
) error {
	l, err := x.limits(ctx, collection)
	if err != nil {
		return err
	}
	var using sync.Mutex
	one := func(ctx context.Context, keys []string) (size int, err error) {
		answer, err := x.points.Get(ctx, getPoints(collection, keys, vector))
		if err != nil {
			return 0, err
		}
		using.Lock()
		defer using.Unlock()
		for _, p := range answer.GetResult() {
			use(p)
		}
		return proto.Size(answer), nil
	}
	step := within(few, l.list)
	if few < most && len(keys) > step {
		size, err := one(ctx, keys[:step])
		if err != nil {
			return err
		}
		keys, step = keys[step:], within(min(max(getBytes/(size/step+1), few), most), l.list)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(getters)
	for some := range slices.Chunk(keys, step) {
		group.Go(func() error {
			_, err := one(ctx, some)
			if err == nil || !tooLarge(err.Error()) || len(some) <= few {
				return err
			}
			for less := range slices.Chunk(some, few) { // so a server refuses an answer over its limit: these points are larger than the first ones
				if _, err := one(ctx, less); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func getPoints(collection string, keys []string, vector string) *qdrant.GetPoints {
	ids := make([]*qdrant.PointId, len(keys))
	for i, key := range keys {
		ids[i] = qdrant.NewIDUUID(key)
	}
	return &qdrant.GetPoints{
		CollectionName: collection, Ids: ids, WithPayload: qdrant.NewWithPayloadEnable(true), WithVectors: qdrant.NewWithVectorsInclude(vector),
	}
}
