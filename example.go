package rebased

// Lineage says where a row comes from; it goes with the row from retrieval to the training file.
type Lineage struct {
	DatasetID
	Row       RowID    `json:"row_id"`
	License   string   `json:"license"`
	Revision  string   `json:"revision"`
	Rank      int      `json:"rank"`
	Score     float32  `json:"score"`
	ScoreIn   float32  `json:"score_in"`
	ScoreOut  float32  `json:"score_out"`
	ScoreData float32  `json:"score_data"`
	Responses []string `json:"responses"` // keys of the stored answers that were used, in order
	Teacher   string   `json:"teacher"`   // model as the provider reported it
}

// LineageOf starts the lineage of a candidate.
func LineageOf(c Candidate) Lineage {
	return Lineage{
		DatasetID: c.Dataset, Row: c.ID, License: c.License, Revision: c.Revision, Rank: c.Rank,
		Score: c.Total, ScoreIn: c.In, ScoreOut: c.Out, ScoreData: c.Data,
	}
}

// Example is one training row: what the student sees and what it should say.
type Example struct {
	Input  string `json:"input"`
	Output string `json:"output"` // with mode rationale, the reasoning that ends in the answer
	Answer string `json:"answer"` // the short final answer; equals Output where there is no reasoning
	Lineage
	Usage Usage `json:"usage"` // of the answers used, whoever paid
	// Rejected are outputs that end in wrong answers, for preference training. nil = none were looked for.
	Rejected []string  `json:"rejected,omitzero"`
	Judged   Judgement `json:"judged,omitzero"`
}

// Judgement is what a judge said of an example; the zero value: it was not asked.
type Judgement struct {
	Score float32 `json:"score"` // 1 to 10
	Usage Usage   `json:"usage"` // of its answers, beside the example's
}

// Usage counts tokens as the provider reported them.
type Usage struct {
	InputTokens  int64 `json:"input"`
	OutputTokens int64 `json:"output"`
}

// Add returns the sum of two usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{InputTokens: u.InputTokens + v.InputTokens, OutputTokens: u.OutputTokens + v.OutputTokens}
}

// Reason is why a row is not used.
type Reason string

// The reasons of rejects, by step.
const (
	ReasonUnusable      Reason = "unusable_answer" // transform or reason: no usable answer after all re-asks
	ReasonRefused       Reason = "refused"         // the provider's content policy
	ReasonTooLong       Reason = "too_long"        // prompt over the model's context, or the answer cut at max_tokens
	ReasonBadRequest    Reason = "bad_request"     // any other 4xx of the provider
	ReasonUnavailable   Reason = "unavailable"     // the provider failed until the attempts were spent
	ReasonEmpty         Reason = "empty"           // input or output empty after trimming
	ReasonConstraint    Reason = "constraint"      // transform: an example that the task's constraints do not allow, after all re-asks
	ReasonDisagreed     Reason = "disagreed"       // the reasoning ends in another answer
	ReasonJudged        Reason = "judged"          // the judge's score is below the task's threshold
	ReasonDuplicate     Reason = "duplicate"       // equal to a kept row after normalisation
	ReasonNearDuplicate Reason = "near_duplicate"  // true Jaccard to a kept row at or above the threshold
	ReasonConflict      Reason = "conflict"        // equal input to a kept row, another output
)

// Reasons of good rows that a version does not take.
const (
	ReasonSurplus Reason = "surplus" // beyond the wanted number
	ReasonBalance Reason = "balance" // beyond what the version may have of its answer
	ReasonLeaked  Reason = "leaked"  // shares text with a benchmark
)

// ReasonSemanticDuplicate is a row whose vector's cosine to that of a kept row is at or above the threshold.
const ReasonSemanticDuplicate Reason = "semantic_duplicate"

// Reject is a row that is not used, with what was paid for it.
type Reject struct {
	Lineage
	Step     string `json:"step"` // transform, reason, judge, dedupe
	Reason   Reason `json:"reason"`
	Detail   string `json:"detail"`   // one line for a person
	Attempts int    `json:"attempts"` // calls sent for this row, stored answers included
	Input    string `json:"input"`    // as far as the row came
	Output   string `json:"output"`
	Of       RowID  `json:"of"` // the kept row that this one repeats, or a given one as Removal of dedupe says; "" otherwise
	Usage    Usage  `json:"usage"`
	// CostUSD is Usage at the model's price, and Judged.Usage at the judge's, without what a prompt cache or a batch saved; 0 when no price is known.
	CostUSD float64   `json:"cost_usd"`
	Judged  Judgement `json:"judged,omitzero"`
}

// Reject makes a reject of the example, with all that was made of it and paid for it.
func (e *Example) Reject(step string, reason Reason, detail string) Reject {
	return Reject{
		Lineage: e.Lineage, Step: step, Reason: reason, Detail: detail, Attempts: len(e.Responses), Input: e.Input, Output: e.Output,
		Usage: e.Usage, Judged: e.Judged,
	}
}

// Calls counts teacher calls of a build.
type Calls struct {
	Made   int `json:"made"`   // answered by the provider now
	Reused int `json:"reused"` // answered from the response store
	Failed int `json:"failed"` // sent, no usable reply (throttled, cut, refused)
}

// Add returns the sum of two counts.
func (c Calls) Add(d Calls) Calls {
	return Calls{Made: c.Made + d.Made, Reused: c.Reused + d.Reused, Failed: c.Failed + d.Failed}
}
