package llm

import (
	"context"
	"errors"
	"sync"

	"github.com/rebased/rebased"
)

// ledger keeps one shard within its grant: spent + reserved never exceeds it.
type ledger struct {
	grant *rebased.Amount // nil = no budget

	mu              sync.Mutex
	spent, reserved rebased.Amount
	changed         chan struct{}   // closed at the next settlement
	short           *rebased.Amount // the most that was asked for and did not fit
}

func newLedger(grant *rebased.Amount, spent rebased.Amount) *ledger {
	return &ledger{grant: grant, spent: spent, changed: make(chan struct{})}
}

// errShort ends a run whose grant does not let a single further call through.
var errShort = errors.New("the grant is spent")

// reserve sets the bound of a call aside, or waits until the calls under way have shown that it fits. It gives errShort when it does not.
func (l *ledger) reserve(ctx context.Context, bound rebased.Amount) error {
	for {
		l.mu.Lock()
		if l.grant == nil || l.spent.Add(l.reserved).Add(bound).Within(*l.grant) {
			l.reserved = l.reserved.Add(bound)
			l.mu.Unlock()
			return nil
		}
		if l.reserved == (rebased.Amount{}) {
			need := bound
			if l.short != nil {
				need = rebased.Amount{Pico: max(need.Pico, l.short.Pico), Tokens: max(need.Tokens, l.short.Tokens)}
			}
			l.short = &need
			l.mu.Unlock()
			return errShort
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settle replaces a reservation by what was spent.
func (l *ledger) settle(bound, actual rebased.Amount) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved = l.reserved.Sub(bound)
	l.spent = l.spent.Add(actual)
	close(l.changed)
	l.changed = make(chan struct{})
}
