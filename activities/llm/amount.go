package llm

import (
	"github.com/rebased/rebased"
)

func amountOf(price rebased.Price, m Metered, batch bool) rebased.Amount {
	return rebased.Amount{Pico: price.Cost(m.Usage, m.Cached.Read, m.Cached.Written, batch), Tokens: m.Usage.InputTokens + m.Usage.OutputTokens}
}

// AmountOf is what an answer cost.
func AmountOf(price rebased.Price, a Answer) rebased.Amount {
	return amountOf(price, Metered{}.add(a), a.Batch)
}

// boundAmount prices the most that calls may use: input at the dearer of its prices.
func boundAmount(price rebased.Price, u rebased.Usage, batch bool) rebased.Amount {
	written := int64(0)
	if price.CacheWrite > price.Input {
		written = u.InputTokens
	}
	return rebased.Amount{Pico: price.Cost(u, 0, written, batch), Tokens: u.InputTokens + u.OutputTokens}
}

// promptOverhead bounds what a provider's chat template adds to system text and prompt, in tokens.
const promptOverhead = 128

// Bound is the most that a request may use. A token is at least one byte, so that bytes bound the tokens of any tokenizer.
func Bound(r Request) rebased.Usage {
	return rebased.Usage{InputTokens: int64(len(r.System) + len(r.Prompt) + len(r.Schema) + promptOverhead), OutputTokens: int64(r.MaxTokens)}
}
