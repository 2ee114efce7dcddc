package rebased

// Estimate is what a build would ask and pay, found without asking anything; the JSON form is a contract.
type Estimate struct {
	Task       string         `json:"task"`
	Corpus     string         `json:"corpus"`
	Revision   string         `json:"revision"`
	Model      string         `json:"model"`
	Candidates int            `json:"candidates"` // rows that were retrieved
	Target     int            `json:"target"`     // rows that are wanted; 0 = all that can be made
	Skipped    map[string]int `json:"skipped"`    // rows kept out, by reason
	Encoded    int            `json:"encoded"`    // texts that the encoder of retrieve.rerank had not encoded before; they are kept
	Steps      []StepEstimate `json:"steps"`
	Tokens     Usage          `json:"tokens"` // expected
	Bound      Usage          `json:"bound"`  // with each call at its bound, as a budget sets it aside; asking again for unusable answers comes on top
	Priced     bool           `json:"priced"` // whether a price is known of the model, and the judge's; without one both costs are 0
	CostUSD    float64        `json:"cost_usd"`
	BoundUSD   float64        `json:"bound_usd"`
	Budget     Budget         `json:"budget"`
}

// StepEstimate is what one step that asks a teacher would ask.
type StepEstimate struct {
	Step   string `json:"step"`
	Stored int    `json:"stored"` // answers that are there and cost nothing
	Calls  int    `json:"calls"`  // expected
	Most   int    `json:"most"`   // where a row may be asked about several times, when it is each time
	Tokens Usage  `json:"tokens"` // of Calls
	Bound  Usage  `json:"bound"`  // of Most
}

// Covered tells whether the budget covers a build at its bound, which it then cannot exhaust but by asking again for unusable answers.
func (e Estimate) Covered() bool {
	b := e.Budget
	return (b.USD == 0 || e.BoundUSD <= b.USD) && (b.Tokens == 0 || e.Bound.InputTokens+e.Bound.OutputTokens <= b.Tokens)
}
