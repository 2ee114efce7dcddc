package activities

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/activities/publish"
)

// Delivery is what became of a hand-off to one target.
type Delivery = handoff.Delivery

// Message is what a target is told of a released version.
type Message = publish.Message

// Publishers reach the targets that are no workflows, by their names.
type Publishers map[string]publish.Publisher

// check says what keeps this worker from handing versions of a task off.
func (p Publishers) check(ctx context.Context, to rebased.Handoff) error {
	for _, target := range to.Targets() {
		if publisher, ok := p[target]; ok {
			if err := publisher.Check(ctx, to); err != nil {
				return fmt.Errorf("handoff.%s: %w", target, err)
			}
		}
	}
	return nil
}

// OrderInput says which version is handed to which target.
type OrderInput struct {
	Task    string `json:"task"`
	Version string `json:"version"`
	Target  string `json:"target"`
}

// Order is a hand-off to be made.
type Order struct {
	To      rebased.Handoff `json:"to"` // of the version's own task file
	Message Message         `json:"message"`
	Earlier *Delivery       `json:"earlier,omitempty"` // what came of an earlier one; nil = nothing is known
	Due     bool            `json:"due"`               // it is to be made without a person's word
}

// Order reads what a target is to be told of a released version.
func (a *Handoff) Order(ctx context.Context, in OrderInput) (Order, error) {
	out, err := a.order(ctx, in)
	return out, translate(ctx, err)
}

func (a *Handoff) order(ctx context.Context, in OrderInput) (Order, error) {
	order, err := a.versions().Order(ctx, in.Task, in.Version, in.Target)
	if err != nil {
		return Order{}, err
	}
	key := rebased.VersionKey(in.Task, in.Version, "task.yaml")
	data, _, err := a.Objects.Get(ctx, key)
	if err != nil {
		return Order{}, fmt.Errorf("read the version's task: %w", err)
	}
	task, err := a.Tasks.Decode(key, data)
	if err != nil {
		return Order{}, err
	}
	return Order{To: task.Handoff, Earlier: order.Earlier, Due: order.Due, Message: Message{
		Task: in.Task, Version: in.Version, Build: order.Build, URI: a.uri(in.Task, in.Version), Manifest: rebased.VersionKey(in.Task, in.Version, "manifest.json"),
		ReleasedAt: order.ReleasedAt, IdempotencyKey: publish.Key(in.Task, in.Version),
	}}, nil
}

// DeliverInput is a message for a target.
type DeliverInput struct {
	Target  string          `json:"target"`
	To      rebased.Handoff `json:"to"`
	Message Message         `json:"message"`
	Again   bool            `json:"again,omitempty"` // a person wants it, whatever was decided about the version
}

// Deliver brings a message to a target. What the target refuses for good is a result, of state undelivered; an error is tried again, and has the number
// of the attempt as its details.
func (a *Handoff) Deliver(ctx context.Context, in DeliverInput) (Delivery, error) {
	work, _, stop := heartbeat(ctx)
	defer stop()
	attempt := int(activity.GetInfo(ctx).Attempt)
	out := Delivery{State: handoff.DeliveryDone, Attempts: attempt}
	receipt, err := a.deliver(work, in)
	if err = translate(ctx, err); err == nil {
		if out.ID, out.Result, out.Error = receipt.ID, receipt.Result, receipt.Failed; out.Error != "" {
			out.State = handoff.DeliveryFailed
		}
		return out, nil
	}
	failure, ok := errors.AsType[*temporal.ApplicationError](err)
	switch {
	case !ok:
		return Delivery{}, err
	case failure.NonRetryable():
		out.State, out.Error = handoff.DeliveryUndelivered, rebased.Quote(failure.Message(), "")
		return out, nil
	}
	options := temporal.ApplicationErrorOptions{NextRetryDelay: failure.NextRetryDelay(), Details: []any{attempt}}
	return Delivery{}, temporal.NewApplicationErrorWithOptions(failure.Message(), failure.Type(), options)
}

func (a *Handoff) deliver(ctx context.Context, in DeliverInput) (publish.Receipt, error) {
	publisher, ok := a.Publishers[in.Target]
	if !ok {
		return publish.Receipt{}, rebased.E(rebased.Invalid, "this worker does not know the target %s of a hand-off", strconv.Quote(in.Target))
	}
	if err := publisher.Check(ctx, in.To); err != nil {
		return publish.Receipt{}, err
	}
	if !in.Again { // a target may have been down for days
		if err := a.versions().Refused(ctx, in.Message.Task, in.Message.Version); err != nil {
			return publish.Receipt{}, err
		}
	}
	return publisher.Publish(ctx, in.To, in.Message)
}

// DeliveredInput says what became of a hand-off.
type DeliveredInput struct {
	OrderInput
	Delivery Delivery `json:"delivery"`
	// Said is how the result of a workflow or an operation begins, up to MaxSaid bytes of Size in all; none = it is in Delivery, or there is none.
	Said []byte `json:"said,omitempty"`
	Size int    `json:"size,omitempty"`
}

// MaxSaid is more than the record keeps of a result.
const MaxSaid = 32 << 10

// Delivered writes it into the release record, and gives what now stands there.
func (a *Handoff) Delivered(ctx context.Context, in DeliveredInput) (Delivery, error) {
	out := in.Delivery
	if in.Size > 0 {
		out.Result = publish.ResultOf(in.Said, in.Size)
	}
	return out, translate(ctx, a.versions().Delivered(ctx, in.Task, in.Version, in.Target, out))
}

// States of a delivery.
const (
	DeliveryStarted     = handoff.DeliveryStarted
	DeliveryDone        = handoff.DeliveryDone
	DeliveryFailed      = handoff.DeliveryFailed
	DeliveryUndelivered = handoff.DeliveryUndelivered
)
