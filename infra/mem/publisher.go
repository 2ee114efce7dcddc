package mem

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
)

// Publisher is a publish.Publisher whose target is a list. It takes what is handed to the webhook of a task.
type Publisher struct {
	// Answer says what comes of a message; nil = it is taken.
	Answer func(context.Context, publish.Message) (publish.Receipt, error)
	Refuse error // of Check; nil = none

	mu       sync.Mutex
	messages [][]byte
}

var _ publish.Publisher = (*Publisher)(nil)

// Check implements publish.Publisher.
func (p *Publisher) Check(_ context.Context, to rebased.Handoff) error {
	if to.Webhook == nil {
		return rebased.E(rebased.Invalid, "the task names no webhook")
	}
	return p.Refuse
}

// Publish implements publish.Publisher.
func (p *Publisher) Publish(ctx context.Context, to rebased.Handoff, m publish.Message) (publish.Receipt, error) {
	if err := p.Check(ctx, to); err != nil {
		return publish.Receipt{}, err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return publish.Receipt{}, err
	}
	p.mu.Lock()
	p.messages = append(p.messages, body)
	p.mu.Unlock()
	if p.Answer != nil {
		return p.Answer(ctx, m)
	}
	return publish.Receipt{}, nil
}

// Messages are those that came so far, as JSON.
func (p *Publisher) Messages() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([][]byte(nil), p.messages...)
}
