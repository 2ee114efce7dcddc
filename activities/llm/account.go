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
	Online, Batch   Metered       // of answers
	Open, OpenBatch rebased.Usage // bounds of sendings that have no outcome
}

// Amount is what the account comes to at a price.
func (a Account) Amount(price rebased.Price) rebased.Amount {
	answered := amountOf(price, a.Online, false).Add(amountOf(price, a.Batch, true))
	return answered.Add(boundAmount(price, a.Open, false)).Add(boundAmount(price, a.OpenBatch, true))
}

// account is the state behind an Account.
type account struct {
	online, batch Metered
	open          map[string]sending // by Sent
}

// sending is the bound of a request without an outcome.
type sending struct {
	bound rebased.Usage
	batch bool
}

// enter takes lines into the books. The caller holds mu.
func (l *Log) enter(lines []line) {
	for _, e := range lines {
		if e.By == "" {
			continue
		}
		a := l.accounts[e.By]
		if a == nil {
			a = &account{open: map[string]sending{}}
			l.accounts[e.By] = a
		}
		switch {
		case e.Answer != nil && e.Answer.Batch:
			a.batch = a.batch.add(*e.Answer)
		case e.Answer != nil:
			a.online = a.online.add(*e.Answer)
		}
		if e.Bound != nil {
			a.open[e.Sent] = sending{*e.Bound, e.Batch}
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
		of := &out.Open
		if a.open[sent].batch {
			of = &out.OpenBatch
		}
		*of = of.Add(a.open[sent].bound)
	}
	return out
}

// Intend enters that a request is about to be sent and returns, once that is durable, the name of the sending; when ctx ends before, the name all
// the same, since the line may be written.
func (l *Log) Intend(ctx context.Context, key Key, by string, bound rebased.Usage) (sent string, err error) {
	sent = rand.Text()
	return sent, l.enqueue(ctx, line{Key: key, By: by, Sent: sent, Bound: &bound}).wait(ctx)
}

// intendBatch enters what the requests of a batch may cost, each under a sending of its own, and waits until that is durable. To enter it again
// changes nothing.
func (l *Log) intendBatch(ctx context.Context, name, by string, requests []Request) error {
	var last *write
	for _, r := range requests {
		bound, key := Bound(r), r.Key()
		last = l.enqueue(ctx, line{Key: key, By: by, Sent: sentInBatch(name, key), Bound: &bound, Batch: true})
	}
	return last.wait(ctx)
}

// sentInBatch names the sending of one request of a batch.
func sentInBatch(name string, key Key) string { return name + "-" + string(key) }

// Void enters that a sending was not billed. It does not wait.
func (l *Log) Void(ctx context.Context, key Key, by, sent string) {
	if sent != "" {
		l.enqueue(ctx, voided(key, by, sent))
	}
}

func voided(key Key, by, sent string) line { return line{Key: key, By: by, Sent: sent, Void: true} }
