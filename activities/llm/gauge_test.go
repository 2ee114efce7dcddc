package llm_test

import (
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

func TestAGaugeTellsHowTheCallsFare(t *testing.T) {
	var b *bench
	var under, held llm.Flow // while the first call is under way, and the second
	b = newBench(mem.NewObjects(), func(n int, _ llm.Request) (llm.Answer, error) {
		switch n {
		case 1:
			under = b.Gauge.Flow()
			return llm.Answer{}, &rebased.Error{Kind: rebased.Throttled, RetryAfter: 2 * time.Second}
		case 2:
			held = b.Gauge.Flow()
			return llm.Answer{}, &rebased.Error{Kind: rebased.Unavailable}
		}
		return llm.Answer{Text: "good", Finish: llm.FinishStop, Usage: rebased.Usage{InputTokens: 30, OutputTokens: 5}}, nil
	})
	b.Gauge, b.params.Account, b.params.Price = &llm.Gauge{}, "squad/1/transform/0", rebased.Price{Input: 100, Output: 1000}
	if _, _, err := b.ask(t, "a"); err != nil {
		t.Fatal(err)
	}
	if under.InFlight != 1 || under.Most != 4 || under.Throttled != 0 {
		t.Errorf("at the first call: %+v", under)
	}
	if held.InFlight != 1 || held.Throttled != 1 {
		t.Errorf("at the second: %+v", held)
	}
	got := b.Gauge.Flow()
	want := llm.Flow{Answered: 1, Throttled: 1, Failed: 1, Spent: rebased.Amount{Pico: 8000, Tokens: 35}, Most: got.Most, Rate: got.Rate}
	if got != want {
		t.Errorf("at the end: %+v\nwant       %+v", got, want)
	}

	b.Gauge, b.params.Settled = &llm.Gauge{}, rebased.Amount{Pico: 3000, Tokens: 10} // the next attempt finds the answer stored
	if _, _, err := b.ask(t, "a"); err != nil {
		t.Fatal(err)
	}
	if got := b.Gauge.Flow(); got.Answered != 0 || got.Spent != (rebased.Amount{Pico: 5000, Tokens: 25}) {
		t.Errorf("in the next attempt: %+v", got)
	}
}
