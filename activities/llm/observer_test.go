package llm_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// heard is an observer that keeps what it is told.
type heard struct {
	mu     sync.Mutex
	calls  []llm.Call
	reused int
}

func (h *heard) Asked(_ context.Context, c llm.Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Took = c.Took.Truncate(time.Second)
	h.calls = append(h.calls, c)
}

func (h *heard) Reused(context.Context, llm.Payer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reused++
}

func (h *heard) Batched(context.Context, llm.Payer, llm.BatchEvent)  {}
func (h *heard) BatchAnswered(context.Context, llm.Payer, llm.Spent) {}

func TestAnObserverHearsOfEachRequestAndOfWhatIsNotPaid(t *testing.T) {
	objects := mem.NewObjects()
	throttled := rebased.E(rebased.Throttled, "slower")
	b := newBench(objects, func(n int, _ llm.Request) (llm.Answer, error) {
		time.Sleep(2 * time.Second)
		switch n {
		case 1:
			return llm.Answer{}, throttled
		case 2:
			return llm.Answer{Text: "bad", Usage: rebased.Usage{InputTokens: 10, OutputTokens: 1}}, nil
		}
		return llm.Answer{Text: "good", Usage: rebased.Usage{InputTokens: 20, OutputTokens: 2}}, nil
	})
	h := &heard{}
	b.Observer, b.params.Price = h, rebased.Price{Input: 3, Output: 5}
	b.params.Task, b.params.Step = "squad", "transform"
	if _, _, err := b.ask(t, "a"); err != nil {
		t.Fatal(err)
	}
	of := llm.Payer{Task: "squad", Step: "transform", Model: "m"}
	want := []llm.Call{
		{Payer: of, Took: 2 * time.Second, Err: throttled},
		{Payer: of, Took: 2 * time.Second, Retry: true, Spent: llm.Spent{InputTokens: 10, OutputTokens: 1, Pico: 35}},
		{Payer: of, Took: 2 * time.Second, ReAsk: true, Spent: llm.Spent{InputTokens: 20, OutputTokens: 2, Pico: 70}},
	}
	if len(h.calls) != len(want) {
		t.Fatalf("heard of %+v", h.calls)
	}
	for i := range want {
		if h.calls[i] != want[i] {
			t.Errorf("call %d: %+v, want %+v", i, h.calls[i], want[i])
		}
	}
	if _, _, err := b.ask(t, "a"); err != nil || len(h.calls) != len(want) || h.reused != 2 {
		t.Errorf("the second run: %d calls, %d reused, %v", len(h.calls), h.reused, err)
	}
}

// A worker that stops ends the sending of its runs: calls under way are answered and stored, no other is made.
func TestWhenSendingEndsCallsUnderWayAreAnsweredAndStored(t *testing.T) {
	objects := mem.NewObjects()
	stopped := errors.New("the worker is stopping")
	slow := func(_ int, r llm.Request) (llm.Answer, error) {
		time.Sleep(10 * time.Second)
		return llm.Answer{Text: r.Prompt}, nil
	}
	b := newBench(objects, slow)
	synctest.Test(t, func(t *testing.T) {
		sending, stop := context.WithCancelCause(t.Context())
		b.Sending = sending
		time.AfterFunc(3*time.Second, func() { stop(stopped) })
		if _, _, err := b.run(t.Context(), numbers(20)...); !errors.Is(err, stopped) {
			t.Errorf("the run ended with %v", err)
		}
	})
	if n := len(b.teacher.asked); n != 4 {
		t.Errorf("%d calls were made, 4 were under way", n)
	}
	again := newBench(objects, slow)
	if _, calls, err := again.ask(t, numbers(20)...); err != nil || calls != (rebased.Calls{Made: 16, Reused: 4}) {
		t.Errorf("the next worker: %+v, %v", calls, err)
	}
}
