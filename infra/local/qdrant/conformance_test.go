package qdrant_test

import (
	"testing"

	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/porttest"
	adapter "github.com/rebased/rebased/infra/qdrant"
)

// TestTheProductsAdapterKeepsItsPromises runs the conformance suite of the vector index through the product's client of this server.
func TestTheProductsAdapterKeepsItsPromises(t *testing.T) {
	r := start(t, t.TempDir())
	open := func(t *testing.T) *adapter.Index {
		x, err := adapter.Open(adapter.Config{URL: "http://" + r.address, APIKey: apiKey})
		check(t, err)
		t.Cleanup(func() { check(t, x.Close()) })
		return x
	}
	porttest.Index(t, func(t *testing.T) porttest.VectorIndex { return open(t) })
	porttest.Vectors(t, func(t *testing.T) retrieve.Vectors { return open(t) })
}
