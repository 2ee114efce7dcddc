package llm

import (
	"github.com/rebased/rebased"
)

// Uncapped is the limit that is none.
const Uncapped = -1

// Amount is what calls come to, in both units that a budget can cap.
type Amount struct {
	Pico   int64 `json:"pico"` // picodollars: 1 USD is 1e12
	Tokens int64 `json:"tokens"`
}

// Add returns the sum.
func (a Amount) Add(b Amount) Amount { return Amount{a.Pico + b.Pico, a.Tokens + b.Tokens} }

// Sub returns the difference.
func (a Amount) Sub(b Amount) Amount { return Amount{a.Pico - b.Pico, a.Tokens - b.Tokens} }

// Within tells whether a is at most limit, in each unit where limit is not Uncapped.
func (a Amount) Within(limit Amount) bool {
	return (limit.Pico == Uncapped || a.Pico <= limit.Pico) && (limit.Tokens == Uncapped || a.Tokens <= limit.Tokens)
}

func amountOf(price rebased.Price, m Metered, batch bool) Amount {
	return Amount{Pico: price.Cost(m.Usage, m.Cached.Read, m.Cached.Written, batch), Tokens: m.Usage.InputTokens + m.Usage.OutputTokens}
}

// AmountOf is what an answer cost.
func AmountOf(price rebased.Price, a Answer) Amount {
	return amountOf(price, Metered{}.add(a), a.Batch)
}

// boundAmount prices the most that calls may use: input at the dearer of its prices.
func boundAmount(price rebased.Price, u rebased.Usage) Amount {
	written := int64(0)
	if price.CacheWrite > price.Input {
		written = u.InputTokens
	}
	return Amount{Pico: price.Cost(u, 0, written, false), Tokens: u.InputTokens + u.OutputTokens}
}

// promptOverhead bounds what a provider's chat template adds to system text and prompt, in tokens.
const promptOverhead = 128

// Bound is the most that a request may use. A token is at least one byte, so that bytes bound the tokens of any tokenizer.
func Bound(r Request) rebased.Usage {
	return rebased.Usage{InputTokens: int64(len(r.System) + len(r.Prompt) + len(r.Schema) + promptOverhead), OutputTokens: int64(r.MaxTokens)}
}
