package porttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/publish"
)

// Receiver is a target of hand-offs with the publisher that reaches it. What a kind of target has no way to do is nil.
type Receiver struct {
	Publisher publish.Publisher
	To        rebased.Handoff
	Received  func() [][]byte // messages that came so far, as JSON

	Busy    func()                         // the target has no time now
	Asks    time.Duration                  // how long a busy target asks to wait; 0 = it does not say
	Down    func()                         // it fails on its own
	Refuses func()                         // it takes nothing, for good
	Hangs   func() (taken <-chan struct{}) // it takes the message and says nothing more
	Says    func(string)                   // with a message that it takes
}

// message is a message of the n-th version.
func message(n int) publish.Message {
	version := fmt.Sprintf("%012x", n)
	return publish.Message{
		Task: "squad", Version: version, Build: "20260101-000000", URI: "s3://bucket/datasets/squad/" + version + "/",
		Manifest: "datasets/squad/" + version + "/manifest.json", ReleasedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		IdempotencyKey: "handoff/squad/" + version,
	}
}

// Publisher holds the promises of publish.Publisher. open gives a target that takes everything until it is told otherwise.
func Publisher(t *testing.T, open func(t *testing.T) Receiver) {
	publish := func(t *testing.T, r Receiver, n int) publish.Receipt {
		t.Helper()
		receipt, err := r.Publisher.Publish(t.Context(), r.To, message(n))
		if err != nil || receipt.Failed != "" {
			t.Fatalf("%+v, %v", receipt, err)
		}
		return receipt
	}
	t.Run("AMessageArrivesWhole", func(t *testing.T) {
		r := open(t)
		if err := r.Publisher.Check(t.Context(), r.To); err != nil {
			t.Fatal(err)
		}
		publish(t, r, 1)
		wantMessages(t, r, 1)
	})
	t.Run("PublishedAgainItComesAgainUnderTheSameKey", func(t *testing.T) {
		r := open(t)
		publish(t, r, 1)
		publish(t, r, 1)
		wantMessages(t, r, 1, 1)
	})
	t.Run("SeveralGoroutinesAreServed", func(t *testing.T) {
		r := open(t)
		var all sync.WaitGroup
		for n := range racers {
			all.Go(func() {
				if _, err := r.Publisher.Publish(t.Context(), r.To, message(n)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := len(r.Received()); got != racers {
			t.Errorf("%d of %d messages came", got, racers)
		}
	})
	t.Run("ATaskWithoutTheTargetIsRefused", func(t *testing.T) {
		r := open(t)
		if err := r.Publisher.Check(t.Context(), rebased.Handoff{}); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("check: %v", err)
		}
		if _, err := r.Publisher.Publish(t.Context(), rebased.Handoff{}, message(1)); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("publish: %v", err)
		}
	})
	for _, c := range []struct {
		name   string
		behave func(Receiver) func()
		again  bool
	}{
		{"ABusyTargetIsAskedAgain", func(r Receiver) func() { return r.Busy }, true},
		{"ATargetThatIsDownIsAskedAgain", func(r Receiver) func() { return r.Down }, true},
		{"ATargetThatRefusesIsNotAskedAgain", func(r Receiver) func() { return r.Refuses }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t)
			behave := c.behave(r)
			if behave == nil {
				t.Skip("a target of this kind does not do that")
			}
			behave()
			_, err := r.Publisher.Publish(t.Context(), r.To, message(1))
			kind := rebased.KindOf(err)
			if again := kind == rebased.Throttled || kind == rebased.Unavailable; err == nil || kind == "" || again != c.again {
				t.Errorf("got %q: %v", kind, err)
			}
		})
	}
	t.Run("ATargetSaysWhenToComeAgain", func(t *testing.T) {
		r := open(t)
		if r.Asks == 0 {
			t.Skip("a target of this kind does not do that")
		}
		r.Busy()
		_, err := r.Publisher.Publish(t.Context(), r.To, message(1))
		if got := rebased.RetryAfterOf(err); got != r.Asks {
			t.Errorf("come again after %v, want %v: %v", got, r.Asks, err)
		}
	})
	t.Run("ACanceledContextEndsTheCall", func(t *testing.T) {
		r := open(t)
		taken := r.Hangs()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := r.Publisher.Publish(ctx, r.To, message(1))
			ended <- err
		}()
		<-taken
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want the context's", err)
		}
	})
	t.Run("WhatTheTargetSaysIsKeptAndBounded", func(t *testing.T) {
		r := open(t)
		if r.Says == nil {
			t.Skip("a target of this kind does not do that")
		}
		r.Says(`{"run": 7}`)
		if got := publish(t, r, 1); string(got.Result) != `{"run": 7}` {
			t.Errorf("kept %s", got.Result)
		}
		long := make([]byte, 1<<20)
		for i := range long {
			long[i] = 'a' + byte(i%26)
		}
		r.Says(string(long))
		var text string
		if got := publish(t, r, 1); json.Unmarshal(got.Result, &text) != nil || len(text) < 1000 || len(got.Result) > 20<<10 {
			t.Errorf("kept %d bytes", len(got.Result))
		}
	})
}

func wantMessages(t *testing.T, r Receiver, want ...int) {
	t.Helper()
	got := r.Received()
	if len(got) != len(want) {
		t.Fatalf("%d messages came, want %d", len(got), len(want))
	}
	for i, n := range want {
		var m publish.Message
		if err := json.Unmarshal(got[i], &m); err != nil || m != message(n) {
			t.Errorf("message %d is %s, %v", i, got[i], err)
		}
	}
}
