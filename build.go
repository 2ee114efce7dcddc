package rebased

import "time"

// State is where a build stands.
type State string

// The states of a build.
const (
	StateRunning          State = "running"
	StateAwaitingApproval State = "awaiting_approval"
	StatePaused           State = "paused"
	StateBudgetExhausted  State = "budget_exhausted" // the next call may pass the budget
	StateReleased         State = "released"
	StateUnchanged        State = "unchanged"  // the version equals the latest: nothing new was made
	StateRejected         State = "rejected"   // a person said no
	StateSuperseded       State = "superseded" // another version, decided later, was released first; or a night took this build's place while it waited
	StateSkipped          State = "skipped"    // a night that found a build of its task still running: nothing was asked or made
	StateFailed           State = "failed"
	StateCanceled         State = "canceled"
)

// Waits reports whether the build waits for a person.
func (s State) Waits() bool {
	return s == StateAwaitingApproval || s == StatePaused || s == StateBudgetExhausted
}

// Final reports whether the build has ended.
func (s State) Final() bool { return s != StateRunning && !s.Waits() }

// Counts are the rows and calls of a build so far. Retrieved = Rows + the sum of Rejected once the build has ended.
type Counts struct {
	Retrieved int            `json:"retrieved"`
	Rows      int            `json:"rows"`
	Rejected  map[Reason]int `json:"rejected"`
	Skipped   map[string]int `json:"skipped"` // kept out before retrieval was done: excluded, license, quota, mirror, leaked
	Calls     Calls          `json:"calls"`
	Tokens    Usage          `json:"tokens"` // of the answers used, whoever paid
}

// BuildResult is what a build says at its end; the JSON form is a contract.
type BuildResult struct {
	Build   string  `json:"build"`
	Task    string  `json:"task"`
	Version string  `json:"version"` // "" when none was made
	State   State   `json:"state"`
	CostUSD float64 `json:"cost_usd"`
	URI     string  `json:"uri"` // of the version, s3://…
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail,omitempty"` // why it failed or waits, one line
	// SupersededBy is the build of the task that took its place while it waited for a person.
	SupersededBy string `json:"superseded_by,omitempty"`
	// DecidedBy is who released or rejected a version that waited for approval; Detail says why it was rejected.
	DecidedBy string `json:"decided_by,omitempty"`
	Counts
}

// Progress answers the query "progress" while a build runs.
type Progress struct {
	State      State  `json:"state"`
	Phase      string `json:"phase"` // plan, retrieve, transform, dedupe, handoff, approval, release, trigger
	Detail     string `json:"detail,omitempty"`
	ShardsDone int    `json:"shards_done"`
	Shards     int    `json:"shards"`
	Asked      int    `json:"asked"`             // rows that steps which ask a teacher are done with, in shards that are done with the step
	ToAsk      int    `json:"to_ask"`            // at most so many in all: a row counts once for each such step
	Batches    int    `json:"batches,omitempty"` // of the provider, that are waited for
	Version    string `json:"version,omitempty"`
	// Since is when the deadline for the approval of Version began to run; zero = none runs.
	Since time.Time `json:"since,omitzero"`
	Spent Spend     `json:"spent"` // by the shards that are done, what may have been billed included
	Cap   Spend     `json:"cap"`   // the budget; 0 = none
	Counts
}

// Asks reports whether the build may yet ask a teacher: its version is not made.
func (p Progress) Asks() bool {
	switch p.Phase {
	case "handoff", "approval", "release", "trigger":
		return false
	}
	return !p.State.Final()
}

// Spend is money and tokens.
type Spend struct {
	USD    float64 `json:"usd"`
	Tokens int64   `json:"tokens"`
}
