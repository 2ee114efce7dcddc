package llm

import (
	"context"
	"time"

	"github.com/rebased/rebased"
)

// Observer is told what is asked of teachers and what comes of it, for metrics. Its methods are called from many goroutines and return at once. What
// they are told holds no prompt, answer or key.
type Observer interface {
	// Asked tells of a request that came back, answered or not.
	Asked(ctx context.Context, c Call)
	// Reused tells of an answer that was there: nothing is paid for it.
	Reused(ctx context.Context, p Payer)
	// Batched tells of a step in the life of a provider's batch.
	Batched(ctx context.Context, p Payer, e BatchEvent)
	// BatchAnswered tells of an answer that came in with a batch, once for each time that the batch's results are read.
	BatchAnswered(ctx context.Context, p Payer, s Spent)
}

// Payer says for which step of which task a model is asked.
type Payer struct{ Task, Step, Model string }

// Call is a request that came back.
type Call struct {
	Payer
	Took  time.Duration
	Retry bool  // the same request was sent before, and not answered
	ReAsk bool  // an answer of before was of no use
	Err   error // nil for an answer; its kind is that of Teacher.Ask
	Spent
}

// Spent is what an answer used.
type Spent struct {
	InputTokens, OutputTokens int64
	Pico                      int64 // picodollars; 0 where no price is known
}

func spentOn(price rebased.Price, a Answer) Spent {
	return Spent{InputTokens: a.Usage.InputTokens, OutputTokens: a.Usage.OutputTokens, Pico: AmountOf(price, a).Pico}
}

// BatchEvent is a step in the life of a batch.
type BatchEvent string

// The steps of a batch.
const (
	BatchSubmitted BatchEvent = "submitted"
	BatchEnded     BatchEvent = "ended"
	BatchCanceled  BatchEvent = "canceled"
	BatchLost      BatchEvent = "lost" // never found, unknown to the provider, or without an end: its requests are asked one by one
)

// unobserved is an Observer that nobody listens to.
type unobserved struct{}

func (unobserved) Asked(context.Context, Call)                 {}
func (unobserved) Reused(context.Context, Payer)               {}
func (unobserved) Batched(context.Context, Payer, BatchEvent)  {}
func (unobserved) BatchAnswered(context.Context, Payer, Spent) {}

func observer(o Observer) Observer {
	if o == nil {
		return unobserved{}
	}
	return o
}
