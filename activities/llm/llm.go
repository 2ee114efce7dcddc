// Package llm is the one place where a teacher is called. transform and reason bring prompts and parsers; the runner brings stored answers,
// retries, re-asks and typed outcomes.
//
// Every answer costs money, so it is stored before it is read: Store keeps it under its content address, and whoever needs the same answer
// again (a retry, a restarted worker, the next night) finds it there and does not pay. A call is retried here and nowhere else.
package llm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"time"

	"github.com/rebased/rebased"
)

// Request is one question to a teacher. It holds everything that changes the answer and nothing that does not.
type Request struct {
	Endpoint    string  `json:"endpoint"` // identity of the endpoint, for instance its base URL
	Model       string  `json:"model"`
	Temperature float64 `json:"temperature"`
	MaxTokens   int     `json:"max_tokens"`
	System      string  `json:"system"`
	Prompt      string  `json:"prompt"`
	// Shared is how many bytes of Prompt's beginning are equal in all requests of a step: what a provider can keep between calls. It does not
	// change the answer and is not part of the key.
	Shared int `json:"shared"`
	// Schema is the JSON Schema that the answer should keep to, "" = none. A server that does not know schemas is asked without.
	Schema string `json:"schema"`
	Sample int    `json:"sample"` // 0 to k-1, for several answers to one prompt
	Ask    int    `json:"ask"`    // 0; re-asks after an unusable answer are 1 and 2
}

// Key is the content address of the answer to a request: hex SHA-256.
type Key string

// Key derives the content address.
func (r Request) Key() Key {
	h := sha256.New()
	writeFields(h.Write, r.Endpoint, r.Model, r.System, r.Prompt)
	writeInts(h.Write, int64(math.Float64bits(r.Temperature)), int64(r.MaxTokens), int64(r.Sample), int64(r.Ask)) //nolint:gosec // bits, not a number
	writeFields(h.Write, r.Schema)
	return Key(hex.EncodeToString(h.Sum(nil)))
}

// Scope groups the answers that one step of one task asks for: all that the key covers but prompt, sample and ask.
func (r Request) Scope() string {
	h := sha256.New()
	writeFields(h.Write, r.Endpoint, r.Model, r.System)
	writeInts(h.Write, int64(math.Float64bits(r.Temperature)), int64(r.MaxTokens)) //nolint:gosec // bits, not a number
	writeFields(h.Write, r.Schema)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func writeFields(write func([]byte) (int, error), fields ...string) {
	for _, f := range fields {
		writeInts(write, int64(len(f)))
		_, _ = write([]byte(f)) // a hash never fails
	}
}

func writeInts(write func([]byte) (int, error), values ...int64) {
	var b [8]byte
	for _, v := range values {
		binary.LittleEndian.PutUint64(b[:], uint64(v)) //nolint:gosec // bits, not a number
		_, _ = write(b[:])
	}
}

// Finish says why a teacher stopped writing.
type Finish string

// The finish reasons that change what is done with an answer; any other is FinishStop.
const (
	FinishStop    Finish = "stop"
	FinishLength  Finish = "length"  // cut at MaxTokens
	FinishRefused Finish = "refused" // by content policy
)

// Answer is what a teacher said, as it is stored.
type Answer struct {
	Text   string        `json:"text"`
	Model  string        `json:"model"` // as the provider reported it
	Finish Finish        `json:"finish"`
	Usage  rebased.Usage `json:"usage"`
	Cached Cached        `json:"cached,omitzero"` // part of Usage.InputTokens
	At     int64         `json:"at"`              // Unix milliseconds
	By     string        `json:"by,omitempty"`    // the account that paid
	Batch  bool          `json:"batch,omitempty"` // answered in a provider's batch, at its price
	// Rate is what the provider's headers said about its limits; it is used at once and not stored.
	Rate RateLimit `json:"-"`
}

// Cached counts the input tokens that a provider's prompt cache changed the price of.
type Cached struct {
	Read    int64 `json:"read"`
	Written int64 `json:"written"`
}

// RateLimit is how much a provider lets through, as its headers say; the zero value says nothing.
type RateLimit struct{ Requests, Tokens Window }

// Window is one limit of a provider.
type Window struct {
	Limit     int64         // in all; 0 = not said
	Remaining int64         // that may be sent now
	Reset     time.Duration // until Remaining is Limit again
}

// Teacher sends one request once. It does not retry. Errors carry a rebased.Kind: Throttled (with RetryAfter), Unavailable, Unauthorized,
// Exhausted (a quota is spent), Invalid (any other 4xx), or Rejected wrapping ErrTooLong or ErrRefused.
type Teacher interface {
	// Endpoint identifies the server: answers of equal endpoint, model and prompt can stand for each other.
	Endpoint() string
	Ask(ctx context.Context, r Request) (Answer, error)
}

// What a provider may reject a prompt for.
var (
	ErrTooLong = errors.New("the prompt is longer than the model's context")
	ErrRefused = errors.New("the provider's content policy refused the prompt")
)

// Shard is what a step that asks a teacher made of a shard: each row that went in is among the examples or the rejects, both in its order. When
// Bill.Short is set there are neither: the grant was spent before the end.
type Shard struct {
	Bill
	Examples []rebased.Example
	Rejects  []rebased.Reject
	Tokens   rebased.Usage // of the answers of this step, those of rejects included
}
