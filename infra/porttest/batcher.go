package porttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

// BatcherWorld is a teacher with batches and what the suite needs to know of it.
type BatcherWorld struct {
	Batcher  llm.Batcher
	Requests []llm.Request // three, that it answers
	Named    bool          // batches carry the name that they were submitted under
}

// Batcher holds the promises of llm.Batcher over a provider that works. open gives a new one whose batches end as soon as they are looked at.
func Batcher(t *testing.T, open func(t *testing.T) BatcherWorld) {
	t.Run("the answers of a batch are those of the requests alone", func(t *testing.T) {
		w := open(t)
		results := w.brought(t, w.submit(t, "a", w.Requests))
		if len(results) != len(w.Requests) {
			t.Fatalf("%d results for %d requests", len(results), len(w.Requests))
		}
		for _, r := range w.Requests {
			alone, err := w.Batcher.Ask(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			got := results[r.Key()].Answer
			if got == nil || got.Text != alone.Text || got.Model != alone.Model || got.Usage != alone.Usage || got.Finish != alone.Finish {
				t.Errorf("in a batch %+v, alone %+v", got, alone)
			}
		}
	})
	t.Run("a batch is found by its name, or by its size", func(t *testing.T) {
		w := open(t)
		before := time.Now().Add(-time.Minute)
		other := w.submit(t, "other", w.Requests[:2])
		id := w.submit(t, "this", w.Requests)
		w.submit(t, "another", w.Requests[:1])
		found, err := w.Batcher.Find(t.Context(), "this", len(w.Requests), before)
		if err != nil || len(found) != 1 || found[0] != (llm.Found{ID: id, Named: w.Named}) {
			t.Errorf("found %+v, %v, want %s and not %s", found, err, id, other)
		}
		if found, err := w.Batcher.Find(t.Context(), "this", len(w.Requests), time.Now().Add(time.Hour)); err != nil || len(found) != 0 {
			t.Errorf("found %+v, %v, though none is so young", found, err)
		}
		if found, err := w.Batcher.Find(t.Context(), "none", 99, before); err != nil || len(found) != 0 {
			t.Errorf("found %+v, %v, though none is such", found, err)
		}
	})
	t.Run("more batches than one page lists are looked through", func(t *testing.T) {
		w := open(t)
		id := w.submit(t, "first", w.Requests)
		for range 150 {
			w.submit(t, "later", w.Requests[:1])
		}
		found, err := w.Batcher.Find(t.Context(), "first", len(w.Requests), time.Now().Add(-time.Minute))
		if err != nil || len(found) != 1 || found[0].ID != id {
			t.Errorf("found %+v, %v, want %s", found, err, id)
		}
	})
	t.Run("a batch that is not there is NotFound", func(t *testing.T) {
		w := open(t)
		_, err := w.Batcher.Look(t.Context(), "batch_none")
		_, results := w.results(t.Context(), "batch_none")
		for _, err := range []error{err, results, w.Batcher.CancelBatch(t.Context(), "batch_none")} {
			if rebased.KindOf(err) != rebased.NotFound {
				t.Errorf("error is %v", err)
			}
		}
	})
	t.Run("a batch that has ended can be canceled and stays as it is", func(t *testing.T) {
		w := open(t)
		id := w.submit(t, "a", w.Requests)
		w.brought(t, id)
		if err := w.Batcher.CancelBatch(t.Context(), id); err != nil {
			t.Error(err)
		}
		for key, r := range w.brought(t, id) {
			if r.Answer == nil {
				t.Errorf("%s is not answered any more: %s", key, r.Reason)
			}
		}
	})
	t.Run("an end of the context is its own error", func(t *testing.T) {
		w := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Batcher.Submit(ctx, "a", w.Requests); !errors.Is(err, context.Canceled) || rebased.KindOf(err) != "" && rebased.KindOf(err) != rebased.Unavailable {
			t.Errorf("error is %v", err)
		}
	})
}

func (w BatcherWorld) submit(t *testing.T, name string, requests []llm.Request) string {
	t.Helper()
	id, err := w.Batcher.Submit(t.Context(), name, requests)
	if err != nil || id == "" {
		t.Fatalf("submitted as %q, %v", id, err)
	}
	return id
}

// brought gives the results of a batch that ends when it is looked at.
func (w BatcherWorld) brought(t *testing.T, id string) map[llm.Key]llm.BatchResult {
	t.Helper()
	if state, err := w.Batcher.Look(t.Context(), id); err != nil || state != (llm.BatchState{Ended: true}) {
		t.Fatalf("it stands at %+v, %v", state, err)
	}
	results, err := w.results(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func (w BatcherWorld) results(ctx context.Context, id string) (map[llm.Key]llm.BatchResult, error) {
	out := map[llm.Key]llm.BatchResult{}
	for r, err := range w.Batcher.Results(ctx, id) {
		if err != nil {
			return out, err
		}
		out[r.Key] = r
	}
	return out, nil
}
