package llm

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"

	"github.com/rebased/rebased"
)

// The books. Under a budget a request is sent only once a line of the log says what it may cost at most, and for whose account. The line that
// settles it is the answer itself, or one that says that nothing was billed. So after a crash the log alone tells what an account has spent:
// the answers that it paid, and the bounds of what was sent and never settled.

// Metered is what answers used, as far as it is priced differently.
type Metered struct {
	Usage  rebased.Usage
	Cached Cached // part of Usage.InputTokens
}

func (m Metered) add(a Answer) Metered {
	return Metered{Usage: m.Usage.Add(a.Usage), Cached: Cached{Read: m.Cached.Read + a.Cached.Read, Written: m.Cached.Written + a.Cached.Written}}
}

// Account is what one account has used so far.
type Account struct {
	Online, Batch Metered       // of answers
	Open          rebased.Usage // bounds of sendings that have no outcome
}

// Amount is what the account comes to at a price.
func (a Account) Amount(price rebased.Price) rebased.Amount {
	return amountOf(price, a.Online, false).Add(amountOf(price, a.Batch, true)).Add(boundAmount(price, a.Open))
}

// account is the state behind an Account.
type account struct {
	online, batch Metered
	open          map[string]rebased.Usage // by Sent
}

// enter takes lines into the books. The caller holds mu.
func (l *Log) enter(lines []line) {
	for _, e := range lines {
		if e.By == "" {
			continue
		}
		a := l.accounts[e.By]
		if a == nil {
			a = &account{open: map[string]rebased.Usage{}}
			l.accounts[e.By] = a
		}
		switch {
		case e.Answer != nil && e.Answer.Batch:
			a.batch = a.batch.add(*e.Answer)
		case e.Answer != nil:
			a.online = a.online.add(*e.Answer)
		}
		if e.Bound != nil {
			a.open[e.Sent] = *e.Bound
		} else {
			delete(a.open, e.Sent)
		}
	}
}

// Account says what an account has used, as far as the log was read.
func (l *Log) Account(by string) Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[by]
	if a == nil {
		return Account{}
	}
	out := Account{Online: a.online, Batch: a.batch}
	for _, sent := range slices.Sorted(maps.Keys(a.open)) {
		out.Open = out.Open.Add(a.open[sent])
	}
	return out
}

// Intend enters that a request is about to be sent and returns, once that is durable, the name of the sending; when ctx ends before, the name all
// the same, since the line may be written.
func (l *Log) Intend(ctx context.Context, key Key, by string, bound rebased.Usage) (sent string, err error) {
	sent = rand.Text()
	w := l.enqueue(ctx, line{Key: key, By: by, Sent: sent, Bound: &bound})
	select {
	case <-w.done:
		return sent, nil
	case <-ctx.Done():
		return sent, ctx.Err()
	}
}

// Void enters that a sending was not billed. It does not wait.
func (l *Log) Void(ctx context.Context, key Key, by, sent string) {
	if sent != "" {
		l.enqueue(ctx, line{Key: key, By: by, Sent: sent, Void: true})
	}
}
