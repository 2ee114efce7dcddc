package qdrant

import (
	"maps"
	"slices"
	"strings"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/qdrant/internal/shard"
)

const (
	maxName       = 255
	maxDimensions = 65536
)

// collection is a shard together with what its creator said about it.
type collection struct {
	name    string
	config  *pb.CreateCollection
	vectors []vector // by name
	shard   *shard.Shard
}

// vector is a named vector of a collection.
type vector struct {
	name  string
	size  int
	multi bool
}

func newCollection(name string, config *pb.CreateCollection) *collection {
	c := &collection{name: name, config: config}
	params := config.GetVectorsConfig().GetParamsMap().GetMap()
	for _, name := range slices.Sorted(maps.Keys(params)) {
		p := params[name]
		c.vectors = append(c.vectors, vector{name, int(p.GetSize()), p.GetMultivectorConfig() != nil}) //nolint:gosec // validated
	}
	return c
}

func (c *collection) shardVectors() []shard.Vector {
	vectors := make([]shard.Vector, len(c.vectors))
	for i, v := range c.vectors {
		cosine := c.config.GetVectorsConfig().GetParamsMap().GetMap()[v.name].GetDistance() == pb.Distance_Cosine
		vectors[i] = shard.Vector{Name: v.name, Dimensions: v.size, Cosine: cosine}
	}
	return vectors
}

// vector finds the place of a vector by its name.
func (c *collection) vector(name string) (int, error) {
	for i, v := range c.vectors {
		if v.name == name {
			return i, nil
		}
	}
	return 0, rebased.E(rebased.Invalid, "Not existing vector name error: %s", name)
}

// validName checks the name of a collection or an alias.
func validName(name string) error {
	if name == "" || len(name) > maxName {
		return rebased.E(rebased.Invalid, "a collection name of %d bytes; it must have 1 to %d", len(name), maxName)
	}
	if i := strings.IndexAny(name, "<>:\"/\\|?*\x00\x1f"); i >= 0 {
		return rebased.E(rebased.Invalid, "collection name cannot contain %q char", name[i])
	}
	return nil
}

// validConfig checks what is asked of a new collection.
func validConfig(config *pb.CreateCollection) error {
	if err := validName(config.GetCollectionName()); err != nil {
		return err
	}
	params := config.GetVectorsConfig().GetParamsMap().GetMap()
	if len(params) == 0 {
		return rebased.E(rebased.Invalid, "vectors_config names no vector")
	}
	for name, p := range params {
		switch {
		case name == "":
			return rebased.E(rebased.Invalid, "a vector without a name")
		case p.GetSize() < 1 || p.GetSize() > maxDimensions:
			return rebased.E(rebased.Invalid, "vector %s has size %d; it must be from 1 to %d", name, p.GetSize(), maxDimensions)
		case p.GetDistance() == pb.Distance_UnknownDistance:
			return rebased.E(rebased.Invalid, "vector %s has no distance", name)
		}
	}
	return nil
}
