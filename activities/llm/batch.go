package llm

import (
	"context"
	"iter"
	"time"
)

// Batcher is a teacher whose provider also takes many requests at once and answers them within a day, for less. Answers are matched with
// requests by key. Errors carry a rebased.Kind, as those of Teacher do; a server without batches is NotFound.
type Batcher interface {
	Teacher
	// Submit hands in requests of different keys as one batch and gives the provider's id of it. An error of kind Unavailable that is not marked
	// ErrNotBilled leaves open whether the provider has the batch: Find tells.
	Submit(ctx context.Context, name string, requests []Request) (id string, err error)
	// Find lists the batches created since a time that may be the one submitted under a name, with so many requests.
	Find(ctx context.Context, name string, requests int, since time.Time) ([]Found, error)
	// Look says how a batch stands. NotFound: the provider does not know it (any more).
	Look(ctx context.Context, id string) (BatchState, error)
	// Results yields what came of the requests of a batch that has ended, in any order; of some, nothing may be said.
	Results(ctx context.Context, id string) iter.Seq2[BatchResult, error]
	// CancelBatch asks the provider to stop. What was answered by then is among the results once the batch has ended. A batch that has ended
	// stays as it is.
	CancelBatch(ctx context.Context, id string) error
}

// Found is a batch that may be the one looked for.
type Found struct {
	ID string
	// Named says that it carries the name: it is the one. Where a provider keeps no names, the keys of its results tell once it has ended.
	Named bool
}

// BatchState is how a batch stands.
type BatchState struct {
	Ended bool
	// Full says that the provider took nothing of the batch since too much is in its queue: it can be submitted again later.
	Full bool
	// Failure is why the batch failed as a whole; "" = it did not.
	Failure string
}

// BatchResult is what came of one request of a batch.
type BatchResult struct {
	Key    Key
	Answer *Answer // nil = it was not answered; not billed either, unless Unknown
	Reason string  // why not, in the provider's words
	// Refused says that it was refused for what it asks; Unknown, that it may have been billed all the same.
	Refused, Unknown bool
}

// Requests are the first requests for n questions: those that a run sends before any answer is known to be of no use.
func Requests[T any](endpoint string, p Params, n int, question func(i int) Question[T]) []Request {
	requests := make([]Request, n)
	for i := range requests {
		q := question(i)
		requests[i] = p.request(endpoint, q.Prompt)
		requests[i].Shared, requests[i].Sample = q.Shared, q.Sample
	}
	return requests
}
