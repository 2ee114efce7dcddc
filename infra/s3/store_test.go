package s3

import (
	"context"
	"os"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/porttest"

	"crypto/rand"
)

// TestObjectsOnARealServer runs the conformance suite on the bucket that the environment names.
func TestObjectsOnARealServer(t *testing.T) {
	store := realStore(t)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	porttest.Objects(t, func(t *testing.T) rebased.Objects { return realStore(t) })
}

// realStore opens a prefix of its own in the bucket that the environment names, emptied after the test.
func realStore(tb testing.TB) *Store {
	tb.Helper()
	uri := os.Getenv("REBASED_STORE")
	if uri == "" || os.Getenv("AWS_ENDPOINT_URL_S3") == "" {
		tb.Skip("set REBASED_STORE and AWS_ENDPOINT_URL_S3 (and credentials) to run this on a real S3 server")
	}
	store, err := Open(tb.Context(), uri+"/test-"+rand.Text())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { empty(tb, store) })
	return store
}

func empty(tb testing.TB, store *Store) {
	ctx := context.Background()
	var keys []string
	for entry, err := range store.List(ctx, "") {
		if err != nil {
			tb.Error(err)
			return
		}
		keys = append(keys, entry.Key)
	}
	for _, key := range keys {
		if err := store.Delete(ctx, key); err != nil {
			tb.Error(err)
		}
	}
}

// BenchmarkPutIfAbsent stores small objects as the response store does, 64 at once.
func BenchmarkPutIfAbsent(b *testing.B) {
	store := realStore(b)
	body := make([]byte, 1500)
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			key := rand.Text()
			if _, err := store.PutIfAbsent(b.Context(), "responses/"+key[:2]+"/"+key, body); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}
