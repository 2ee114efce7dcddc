package handoff

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rebased/rebased"
)

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
	Build      string // that released the version
	ReleasedAt time.Time
	Earlier    *Delivery // what came of an earlier one; nil = nothing is known
	Due        bool
}

// Order reads what a target is to be told of a released version. Error: NotFound when it was never released, be there a rejection of it, or was collected.
func (v Versions) Order(ctx context.Context, task, version, target string) (Order, error) {
	record, err := v.Record(ctx, task, version)
	if err != nil && rebased.KindOf(err) != rebased.NotFound {
		return Order{}, err
	}
	release := record.madeBy()
	switch {
	case release == nil:
		return Order{}, rebased.E(rebased.NotFound, "version %s of task %s was never released: approve its build, or build again", version, task)
	case record.Collected != nil: // its files are about to go
		return Order{}, v.missing(ctx, task, version)
	}
	order := Order{Build: release.Build, ReleasedAt: release.ReleasedAt, Due: record.due(target)}
	if d, known := record.Deliveries[target]; known {
		order.Earlier = &d
	}
	if said := record.refused(); said != "" && order.Due { // before a worker came to it
		order.Due, order.Earlier = false, &Delivery{State: DeliveryUndelivered, Error: said}
	}
	return order, nil
}

// Refused is Invalid for a version that was put aside after its last release: it was rolled back, or a later build's making of it was rejected.
func (v Versions) Refused(ctx context.Context, task, version string) error {
	record, err := v.Record(ctx, task, version)
	if err != nil {
		return err
	}
	if said := record.refused(); said != "" {
		return rebased.E(rebased.Invalid, "%s", said)
	}
	return nil
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
