package qdrant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/qdrant/go-client/qdrant"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/retrieve"
)

var _ retrieve.Vectors = (*Index)(nil)

// vectorText is the one vector of a text's point; its id is the text's key, and it has no payload.
const vectorText = "text"

// textStep is how many such points are asked for in one message: of the largest vectors (65,536 dimensions) they are 64 MB.
const textStep = 256

// texts names the collection that keeps the vectors of texts by an encoder: its identity as far as a name takes it, so that people see whose it
// is, and a hash of the identity. It belongs to no corpus.
func texts(encoder string) string {
	sum := sha256.Sum256([]byte(encoder))
	named := strings.Trim(unnamed.ReplaceAllString(encoder, "-"), "-")
	return "rebased-texts-" + named[:min(len(named), maxNamed)] + "-" + hex.EncodeToString(sum[:8])
}

// unnamed is what no collection's name has, and maxNamed how much of an identity one has.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9._]+`)

const maxNamed = 120

// Vectors implements retrieve.Vectors.
func (x *Index) Vectors(ctx context.Context, encoder string, of []rebased.TextKey) (map[rebased.TextKey][]float32, error) {
	found := make(map[rebased.TextKey][]float32, len(of))
	keys := make([]string, len(of))
	byID := make(map[string]rebased.TextKey, len(of))
	for i, key := range of {
		keys[i] = textID(key)
		byID[keys[i]] = key
	}
	err := x.get(ctx, texts(encoder), keys, textStep, textStep, vectorText, func(p *qdrant.RetrievedPoint) {
		found[byID[p.GetId().GetUuid()]] = p.GetVectors().GetVectors().GetVectors()[vectorText].GetDense().GetData()
	})
	if rebased.KindOf(err) == rebased.NotFound { // nothing was kept yet
		return nil, nil
	}
	return found, err
}

func textID(key rebased.TextKey) string { return string(rebased.RowKey(key).ID()) }

// Keep implements retrieve.Vectors.
func (x *Index) Keep(ctx context.Context, encoder string, vectors map[rebased.TextKey][]float32) error {
	points := make([]*qdrant.PointStruct, 0, len(vectors))
	size := 0
	for key, v := range vectors {
		size = len(v)
		points = append(points, &qdrant.PointStruct{
			Id: qdrant.NewIDUUID(textID(key)), Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{vectorText: qdrant.NewVectorDense(v)}),
		})
	}
	if size == 0 {
		return nil
	}
	err := x.upsert(ctx, texts(encoder), points)
	if rebased.KindOf(err) != rebased.NotFound {
		return err
	}
	params := exact(size)
	params.OnDisk = new(true) // they are read by key alone
	if err := x.create(ctx, texts(encoder), vectorText, params, Collection{Shards: x.how.Shards, Replicas: x.how.Replicas, Consistency: x.how.Consistency}); err != nil {
		return err
	}
	return x.upsert(ctx, texts(encoder), points)
}
