// Package publish is the port of hand-offs: what a target is told of a released version, and how it is reached. Adapters stand behind Publisher; what comes
// of a hand-off is kept by activities/handoff.
package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// Message tells a target of a released version: what each is given, as JSON.
type Message struct {
	Task           string    `json:"task"`
	Version        string    `json:"version"`
	Build          string    `json:"build"`       // that released it
	URI            string    `json:"uri"`         // of the version's folder, s3://…
	Manifest       string    `json:"manifest"`    // key of its manifest in the bucket
	ReleasedAt     time.Time `json:"released_at"` // UTC
	IdempotencyKey string    `json:"idempotency_key"`
}

// Publisher brings messages to targets of one kind.
type Publisher interface {
	// Check says, without a connection, what keeps this worker from reaching the target: a setting that is missing, an address that is not allowed.
	Check(ctx context.Context, to rebased.Handoff) error
	// Publish brings a message to the target, at least once: another call brings the same again, under the same idempotency key. Errors: Throttled and
	// Unavailable where a later call may be taken, after RetryAfter; any other kind where it would be refused again.
	Publish(ctx context.Context, to rebased.Handoff, m Message) (Receipt, error)
}

// Receipt is what a target gave back.
type Receipt struct {
	ID     string          // that it knows the message by; "" = none
	Result json.RawMessage // ResultOf what it said; nil = nothing
	Failed string          // it has the message and failed with it, in a sentence; "" = it did not
}

// maxResult bounds what is kept of a result, in bytes.
const maxResult = 16 << 10

// ResultOf is what is kept of what a target gave back: JSON as it is, anything else as a string; of more than 16 KiB the beginning, as a string that
// says how much there was. size is that of all, where said is a part of it. nil = it said nothing.
func ResultOf(said []byte, size int) json.RawMessage {
	said = bytes.TrimSpace(said)
	size = max(size, len(said))
	switch {
	case len(said) == 0:
		return nil
	case size <= maxResult && json.Valid(said):
		return slices.Clone(said)
	}
	text := strings.ToValidUTF8(string(said[:min(len(said), maxResult)]), "\uFFFD")
	if size > maxResult {
		text += fmt.Sprintf("… (%d bytes)", size)
	}
	out, err := json.Marshal(text)
	if err != nil { // a string always encodes
		return nil
	}
	return out
}

// Key is the idempotency key of a version.
func Key(task, version string) string { return "handoff/" + task + "/" + version }
