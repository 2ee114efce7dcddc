package handoff

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
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

// Delivery is what became of the hand-off of a version to one target.
type Delivery struct {
	State    string          `json:"state"`
	At       time.Time       `json:"at"`
	Attempts int             `json:"attempts,omitempty"` // 0 = not known
	ID       string          `json:"id,omitempty"`       // what the target calls it: a workflow's id and run, a Nexus operation, a message of a queue
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// States of a delivery.
const (
	DeliveryStarted     = "started"     // the target has it and works; its end is not known
	DeliveryDone        = "delivered"   // the target has it and is done
	DeliveryFailed      = "failed"      // the target had it and failed
	DeliveryUndelivered = "undelivered" // the target does not have it: the next build that makes the version delivers it
)

// Bad tells whether somebody should look at it.
func (d Delivery) Bad() bool { return d.State == DeliveryFailed || d.State == DeliveryUndelivered }

// madeBy is the last release by a build; nil when there is none.
func (r Record) madeBy() *Release {
	for i := range slices.Backward(r.Releases) {
		if r.Releases[i].Made() {
			return &r.Releases[i]
		}
	}
	return nil
}

// due tells whether a target still has to be handed the version by itself: it was not yet, or did not get it.
func (r Record) due(target string) bool {
	d, known := r.Deliveries[target]
	if known {
		return d.State == DeliveryUndelivered
	}
	return target != rebased.TargetWorkflow || !slices.ContainsFunc(r.Releases, func(r Release) bool { return r.Handoff != "" })
}

// undelivered says what is due of the targets, and what went wrong, a sentence each.
func (r Record) undelivered(targets []string) (due, wrong []string) {
	for _, target := range targets {
		if r.due(target) {
			due = append(due, target)
		}
		if d := r.Deliveries[target]; d.Bad() {
			wrong = append(wrong, fmt.Sprintf("hand-off to %s %s: %s", target, d.State, d.Error))
		}
	}
	return due, wrong
}

// Order is a hand-off to be made.
type Order struct {
	Message Message   // without the version's URI
	Earlier *Delivery // what came of an earlier one; nil = nothing is known
	Due     bool
}

// Order reads what a target is to be told of a released version. Error: NotFound when it was never released.
func (v Versions) Order(ctx context.Context, task, version, target string) (Order, error) {
	record, err := v.Record(ctx, task, version)
	if err != nil {
		return Order{}, err
	}
	release := record.madeBy()
	if release == nil {
		return Order{}, rebased.E(rebased.NotFound, "%s: no build released this version", rebased.ReleaseKey(task, version))
	}
	order := Order{Due: record.due(target), Message: Message{
		Task: task, Version: version, Build: release.Build, Manifest: rebased.VersionKey(task, version, manifestName),
		ReleasedAt: release.ReleasedAt, IdempotencyKey: "handoff/" + task + "/" + version,
	}}
	if d, known := record.Deliveries[target]; known {
		order.Earlier = &d
	}
	return order, nil
}

// Delivered records what became of a hand-off, in place of what was known of this target. It is idempotent.
func (v Versions) Delivered(ctx context.Context, task, version, target string, d Delivery) error {
	key := rebased.ReleaseKey(task, version)
	return v.swap(ctx, key, func(there []byte) ([]byte, error) {
		var record Record
		if err := json.Unmarshal(there, &record); err != nil {
			return nil, rebased.E(rebased.Invalid, "%s: %w", key, err)
		}
		deliveries := maps.Clone(record.Deliveries)
		if deliveries == nil {
			deliveries = map[string]Delivery{}
		}
		deliveries[target] = d
		record.Deliveries = deliveries
		if release := record.madeBy(); release != nil && target == rebased.TargetWorkflow && d.ID != "" {
			release.Handoff = d.ID
		}
		body := encodeJSON(record)
		if bytes.Equal(body, there) {
			return nil, nil
		}
		return body, nil
	})
}
