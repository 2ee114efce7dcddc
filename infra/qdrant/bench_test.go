package qdrant_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/retrieve"
	"github.com/rebased/rebased/infra/encoder/static"
)

// hubOnServer is the real rows, imported into memory, with an index on the server under a name of its own.
type hubOnServer struct {
	*indextest.World
	indextest.Hub
	corpus  rebased.Corpus
	indexer *index.Indexer
	ranker  *retrieve.Ranker
}

func newHubOnServer(b *testing.B) *hubOnServer {
	b.Helper()
	x := server(b)
	h := &hubOnServer{World: indextest.NewWorld(), Hub: indextest.OpenHub(b)}
	encoder, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	h.corpus = h.Import(b, fmt.Sprintf("bench-%016x", rand.Uint64()), "r1", h.Splits...)
	h.indexer, err = index.New(index.Config{Writer: x, Encoder: encoder, Rows: h.Rows, Datasets: h.Datasets, Objects: h.Objects})
	if err != nil {
		b.Fatal(err)
	}
	h.ranker, err = retrieve.New(retrieve.Config{Index: x, Encoder: encoder, Rows: h.Rows, Datasets: h.Datasets, Objects: h.Objects})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// update indexes the corpus, as many batches at once as there are processors, and says how many cells were encoded.
func (h *hubOnServer) update(b *testing.B) (record rebased.Index, cells int) {
	b.Helper()
	record, plan, err := h.indexer.Begin(b.Context(), h.corpus, false)
	if err != nil {
		b.Fatal(err)
	}
	results := make([]index.BatchResult, len(plan.Batches))
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range plan.Batches {
		group.Go(func() error {
			batch, err := plan.Batch(h.corpus, i)
			if err == nil {
				results[i], err = h.indexer.Batch(ctx, record, batch, func(int) {})
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	if record, err = h.indexer.Finish(b.Context(), h.corpus, plan, false); err != nil {
		b.Fatal(err)
	}
	for _, r := range results {
		cells += r.Cells
	}
	return record, cells
}

// BenchmarkIndex encodes and writes the real rows. Run it with -benchtime 1x: a second round finds all parts indexed.
func BenchmarkIndex(b *testing.B) {
	h := newHubOnServer(b)
	for b.Loop() {
		_, cells := h.update(b)
		b.ReportMetric(float64(cells), "cells")
	}
}

// BenchmarkRank retrieves 3,000 of the real rows.
func BenchmarkRank(b *testing.B) {
	h := newHubOnServer(b)
	record, _ := h.update(b)
	for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
		b.Run(mode, func(b *testing.B) {
			task := h.Task(b, "squad")
			task.Retrieve.Mode = mode
			for b.Loop() {
				ranking, err := h.ranker.Rank(b.Context(), task, h.corpus, record, func(int) {})
				if err != nil || ranking.Len() != 3000 {
					b.Fatalf("%d candidates, %v", ranking.Len(), err)
				}
				if _, err := ranking.Read(b.Context(), 0, ranking.Len()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
