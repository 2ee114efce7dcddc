package qdrant_test

import (
	"testing"

	adapter "github.com/rebased/rebased/infra/qdrant"

	"github.com/rebased/rebased/infra/porttest"
)

// TestTheProductsAdapterKeepsItsPromises runs the conformance suite of the vector index through the product's client of this server.
func TestTheProductsAdapterKeepsItsPromises(t *testing.T) {
	r := start(t, t.TempDir())
	porttest.Index(t, func(t *testing.T) porttest.VectorIndex {
		x, err := adapter.Open(adapter.Config{URL: "http://" + r.address, APIKey: apiKey})
		check(t, err)
		t.Cleanup(func() { check(t, x.Close()) })
		return x
	})
}
