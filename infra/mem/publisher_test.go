package mem_test

import (
	"context"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
	"github.com/rebased/rebased/infra/mem"
	"github.com/rebased/rebased/infra/porttest"
)

func TestPublisherKeepsItsPromises(t *testing.T) {
	porttest.Publisher(t, func(*testing.T) porttest.Receiver {
		p := &mem.Publisher{}
		fails := func(err error) func() {
			return func() {
				p.Answer = func(context.Context, publish.Message) (publish.Receipt, error) { return publish.Receipt{}, err }
			}
		}
		return porttest.Receiver{
			Publisher: p, To: rebased.Handoff{Webhook: &rebased.WebhookSpec{URL: "https://ci.test"}}, Received: p.Messages, Asks: 7 * time.Second,
			Busy:    fails(&rebased.Error{Kind: rebased.Throttled, Op: "publish", RetryAfter: 7 * time.Second}),
			Down:    fails(rebased.E(rebased.Unavailable, "it is down")),
			Refuses: fails(rebased.E(rebased.NotFound, "it is gone")),
			Hangs: func() <-chan struct{} {
				taken := make(chan struct{})
				p.Answer = func(ctx context.Context, _ publish.Message) (publish.Receipt, error) {
					close(taken)
					<-ctx.Done()
					return publish.Receipt{}, ctx.Err()
				}
				return taken
			},
			Says: func(said string) {
				p.Answer = func(context.Context, publish.Message) (publish.Receipt, error) {
					return publish.Receipt{Result: publish.ResultOf([]byte(said), 0)}, nil
				}
			},
		}
	})
}
