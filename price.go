package rebased

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
