package mem

import (
	"context"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
)

var _ llm.Batcher = (*Batcher)(nil)

// Batcher is a Teacher that takes batches too. The zero value ends a batch, with all its requests answered, as soon as it is asked about.
type Batcher struct {
	Teacher
	NoBatches bool             // it knows none
	Unnamed   bool             // it keeps no names of batches
	Now       func() time.Time // nil = time.Now

	// Stands, when set, says how a batch stands whose end is asked about; requests is how many it holds.
	Stands func(id string, requests int) llm.BatchState
	// Looked, when set, is asked first when a batch is asked about; an error that it gives is the answer.
	Looked func() error
	// Leaves, when set, says why a request of a batch is not answered; "" = it is.
	Leaves func(r llm.Request) string
	// Taken, when set, is asked once a batch was taken; an error that it gives is what the caller hears.
	Taken func(id string) error

	mu      sync.Mutex
	batches []*batch
}

// batch is one that was taken.
type batch struct {
	id, name string
	made     time.Time
	requests []llm.Request
	results  []llm.BatchResult // nil until it has ended
	canceled bool
}

// Submitted counts the batches that were taken, and those of them that were canceled.
func (b *Batcher) Submitted() (taken, canceled int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.batches {
		if of.canceled {
			canceled++
		}
	}
	return len(b.batches), canceled
}

// Submit implements llm.Batcher.
func (b *Batcher) Submit(ctx context.Context, name string, requests []llm.Request) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	for _, r := range requests {
		if b.Fail == nil {
			break
		}
		if err := b.Fail(r); err != nil {
			return "", err
		}
	}
	b.mu.Lock()
	of := &batch{id: "batch-" + strconv.Itoa(len(b.batches)+1), name: name, made: b.now(), requests: requests}
	b.batches = append(b.batches, of)
	b.mu.Unlock()
	if b.Taken != nil {
		if err := b.Taken(of.id); err != nil {
			return "", err
		}
	}
	return of.id, nil
}

func (b *Batcher) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// Find implements llm.Batcher.
func (b *Batcher) Find(_ context.Context, name string, requests int, since time.Time) (found []llm.Found, err error) {
	if b.NoBatches {
		return nil, rebased.E(rebased.NotFound, "no batches here")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.batches {
		switch {
		case of.made.Before(since):
		case !b.Unnamed && of.name == name:
			found = append(found, llm.Found{ID: of.id, Named: true})
		case b.Unnamed && len(of.requests) == requests:
			found = append(found, llm.Found{ID: of.id})
		}
	}
	return found, nil
}

// Look implements llm.Batcher.
func (b *Batcher) Look(_ context.Context, id string) (llm.BatchState, error) {
	of, err := b.find(id)
	if err != nil {
		return llm.BatchState{}, err
	}
	if b.Looked != nil {
		if err := b.Looked(); err != nil {
			return llm.BatchState{}, err
		}
	}
	state := llm.BatchState{Ended: true}
	if b.Stands != nil {
		state = b.Stands(id, len(of.requests))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if state.Ended && !state.Full && state.Failure == "" && of.results == nil {
		b.answer(of)
	}
	return state, nil
}

// answer gives the results of a batch. The caller holds mu.
func (b *Batcher) answer(of *batch) {
	of.results = []llm.BatchResult{}
	for _, r := range of.requests {
		result := llm.BatchResult{Key: r.Key()}
		if b.Leaves != nil {
			result.Reason = b.Leaves(r)
			result.Refused = result.Reason != "" && result.Reason != "expired" && result.Reason != "canceled"
		}
		if result.Reason == "" {
			answer := b.give(r)
			result.Answer = &answer
		}
		of.results = append(of.results, result)
	}
}

// Results implements llm.Batcher.
func (b *Batcher) Results(_ context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return func(yield func(llm.BatchResult, error) bool) {
		of, err := b.find(id)
		if err != nil {
			yield(llm.BatchResult{}, err)
			return
		}
		for _, result := range of.results {
			if !yield(result, nil) {
				return
			}
		}
	}
}

// CancelBatch implements llm.Batcher.
func (b *Batcher) CancelBatch(_ context.Context, id string) error {
	of, err := b.find(id)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if of.results == nil {
		of.canceled = true
	}
	return nil
}

func (b *Batcher) find(id string) (*batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.batches {
		if of.id == id {
			return of, nil
		}
	}
	return nil, rebased.E(rebased.NotFound, "no batch %s", id)
}
