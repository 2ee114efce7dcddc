package rebased

import "math"

// Price is what a model costs, in picodollars a token (1 USD = 1e12 picodollars; 0.15 USD a million tokens = 150000). The zero value says that
// no price is known.
type Price struct {
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Batch      int64 `json:"batch"` // factor of the provider's batches, in thousandths; 0 = 1000
}

// Cost is the price of a usage of which some input tokens were read from or written to the provider's prompt cache, rounded up.
func (p Price) Cost(u Usage, cacheRead, cacheWritten int64, batch bool) int64 {
	sum := (u.InputTokens-cacheRead-cacheWritten)*p.Input + cacheRead*p.CacheRead + cacheWritten*p.CacheWrite + u.OutputTokens*p.Output
	if batch && p.Batch > 0 {
		const whole = 1000
		sum = (sum*p.Batch + whole - 1) / whole
	}
	return sum
}

// Uncapped is the limit that is none.
const Uncapped = -1

// Amount is what calls come to, in both units that a budget can cap.
type Amount struct {
	Pico   int64 `json:"pico"` // picodollars: 1 USD is 1e12
	Tokens int64 `json:"tokens"`
}

// MaxBudgetUSD is the largest budget: picodollars are counted in 64 bits.
const MaxBudgetUSD = 1_000_000

// picosPerUSD is how many picodollars are a dollar.
const picosPerUSD = 1e12

// USD is the money in dollars.
func (a Amount) USD() float64 { return float64(a.Pico) / picosPerUSD }

// PicosOf turns dollars into picodollars.
func PicosOf(usd float64) int64 { return int64(math.Round(usd * picosPerUSD)) }

// Add returns the sum.
func (a Amount) Add(b Amount) Amount { return Amount{a.Pico + b.Pico, a.Tokens + b.Tokens} }

// Sub returns the difference.
func (a Amount) Sub(b Amount) Amount { return Amount{a.Pico - b.Pico, a.Tokens - b.Tokens} }

// Within tells whether a is at most limit, in each unit where limit is not Uncapped.
func (a Amount) Within(limit Amount) bool {
	return (limit.Pico == Uncapped || a.Pico <= limit.Pico) && (limit.Tokens == Uncapped || a.Tokens <= limit.Tokens)
}
