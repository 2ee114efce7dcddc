package llm_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// price makes a picodollar of a token of input, and two of one of output.
var price = rebased.Price{Input: 1, Output: 2, CacheRead: 1, CacheWrite: 1}

// paid answers with 10 tokens of input and 5 of output: 15 tokens, 20 picodollars.
func paid(_ int, r llm.Request) (llm.Answer, error) {
	time.Sleep(100 * time.Millisecond)
	return llm.Answer{Text: "to " + r.Prompt, Model: "m-1", Usage: rebased.Usage{InputTokens: 10, OutputTokens: 5}}, nil
}

// granted is a bench whose account may spend so much.
func granted(objects rebased.Objects, grant rebased.Amount, reply func(int, llm.Request) (llm.Answer, error)) *bench {
	b := newBench(objects, reply)
	b.params.Account, b.params.Price, b.params.Grant = "task/build/transform/0", price, &grant
	return b
}

// bound is what one call of these tests may use at most: 128 tokens of overhead, a prompt of one byte, 10 of max_tokens.
var bound = rebased.Amount{Pico: 129 + 20, Tokens: 139}

func tokens(n int64) rebased.Amount { return rebased.Amount{Pico: rebased.Uncapped, Tokens: n} }

func (b *bench) bill(t *testing.T, prompts ...string) (bill llm.Bill) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if _, bill, err = b.run(t.Context(), prompts...); err != nil {
			t.Fatal(err)
		}
	})
	return bill
}

func TestAGrantIsNeverPassedAndUsedUpToTheLastCallThatFits(t *testing.T) {
	for name, c := range map[string]struct {
		grant rebased.Amount
		calls int
	}{
		"nothing":         {tokens(0), 0},
		"less than one":   {tokens(138), 0},
		"just one":        {tokens(139), 1},
		"two, by refunds": {tokens(139 + 15), 2},
		"some":            {tokens(500), 1 + (500-139)/15},
		"money":           {rebased.Amount{Pico: 149 + 20*4, Tokens: rebased.Uncapped}, 5},
		"all":             {tokens(100_000), 10},
	} {
		b := granted(mem.NewObjects(), c.grant, paid)
		bill := b.bill(t, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		want := min(c.calls, 10)
		if len(b.teacher.asked) != want || bill.Spent != (rebased.Amount{Pico: int64(20 * want), Tokens: int64(15 * want)}) {
			t.Errorf("%s: %d calls, spent %+v, want %d", name, len(b.teacher.asked), bill.Spent, want)
		}
		if short := bill.Short != nil; short != (want < 10) || short && *bill.Short != bound {
			t.Errorf("%s: short of %+v", name, bill.Short)
		}
	}
}

func TestStoredAnswersNeedNoGrant(t *testing.T) {
	objects := mem.NewObjects()
	granted(objects, tokens(10_000), paid).bill(t, "a", "b")
	again := granted(objects, tokens(0), paid)
	again.params.Account = "task/other/transform/0"
	bill := again.bill(t, "a", "b")
	if bill.Short != nil || bill.Spent != (rebased.Amount{}) || bill.Calls != (rebased.Calls{Reused: 2}) {
		t.Errorf("got %+v", bill)
	}
}

func TestTheNextAttemptKnowsWhatWasSpent(t *testing.T) {
	objects := mem.NewObjects()
	first := granted(objects, tokens(139+15), paid).bill(t, "0", "1", "2", "3")
	next := granted(objects, tokens(139+3*15), paid).bill(t, "0", "1", "2", "3")
	if first.Spent.Tokens != 2*15 || first.Short == nil || next.Spent.Tokens != 4*15 || next.Short != nil || next.Calls.Made != 4 {
		t.Errorf("first %+v, next %+v", first, next)
	}
}

// A worker dies at random moments: what was sent counts at its bound unless its answer is stored, and with it no attempt passes the grant.
func TestCallsThatACrashLeftWithoutAnAnswerCountAtTheirBound(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // a seed
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // moments of a test
	for range 30 {
		objects := mem.NewObjects()
		var sent atomic.Int64
		count := func(n int, r llm.Request) (llm.Answer, error) {
			sent.Add(1)
			return paid(n, r)
		}
		const grant = 5_000
		for attempt := range 6 {
			dying := &mortal{Objects: objects}
			b := granted(dying, tokens(grant), count)
			b.Jitter = random.Float64
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if attempt < 5 {
					time.AfterFunc(time.Duration(random.IntN(500))*time.Millisecond, func() {
						dying.dead.Store(true) // nothing reaches the bucket any more
						cancel()
					})
				}
				_, bill, err := b.run(ctx, numbers(300)...)
				cancel()
				if attempt == 5 && (err != nil || bill.Short == nil || bill.Spent.Tokens > grant) {
					t.Errorf("the last attempt: %+v, %v", bill, err)
				}
				synctest.Wait()
				time.Sleep(time.Hour) // what was being stored gives up
			})
		}
		if n := sent.Load(); n*15 > grant {
			t.Errorf("%d calls were sent, %d tokens billed under a grant of %d", n, n*15, grant)
		}
	}
}

// mortal is a bucket that a dead worker does not reach: its writes are lost without a word.
type mortal struct {
	rebased.Objects
	dead atomic.Bool
}

func (m *mortal) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	if m.dead.Load() {
		return "etag", nil
	}
	return m.Objects.PutIfAbsent(ctx, key, body)
}

func TestARequestThatMayHaveBeenBilledCountsAtItsBoundAndOneThatWasNotDoesNot(t *testing.T) {
	unbilled := &rebased.Error{Kind: rebased.Unavailable, Err: fmt.Errorf("HTTP 500: %w", llm.ErrNotBilled)}
	for name, c := range map[string]struct {
		err  error
		want int64
	}{
		"cut":       {rebased.E(rebased.Unavailable, "cut"), 139 + 15},
		"HTTP 500":  {unbilled, 15},
		"throttled": {rebased.E(rebased.Throttled, "wait"), 15},
	} {
		objects := mem.NewObjects()
		fails := func(n int, r llm.Request) (llm.Answer, error) {
			if n == 1 {
				return llm.Answer{}, c.err
			}
			return paid(n, r)
		}
		bill := granted(objects, tokens(1_000), fails).bill(t, "a")
		books := granted(objects, tokens(1_000), fails).bill(t)
		if bill.Spent.Tokens != c.want || books.Spent.Tokens != c.want {
			t.Errorf("%s: spent %d, in the books %d, want %d", name, bill.Spent.Tokens, books.Spent.Tokens, c.want)
		}
	}
}

func TestARefusedRequestCostsNothing(t *testing.T) {
	objects := mem.NewObjects()
	refuse := func(int, llm.Request) (llm.Answer, error) {
		return llm.Answer{}, &rebased.Error{Kind: rebased.Rejected, Err: llm.ErrTooLong}
	}
	bill := granted(objects, tokens(1_000), refuse).bill(t, "a", "b")
	books := granted(objects, tokens(1_000), refuse).bill(t)
	if bill.Spent != (rebased.Amount{}) || books.Spent != (rebased.Amount{}) {
		t.Errorf("spent %+v, in the books %+v", bill.Spent, books.Spent)
	}
}

// What waits for its turn is not in the books: a crash would count it as billed.
func TestOnlyWhatIsAboutToBeSentStandsInTheBooks(t *testing.T) {
	objects := mem.NewObjects()
	dying := &mortal{Objects: objects}
	b := granted(dying, tokens(1_000_000), paid)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { // in the middle of the first calls
			dying.dead.Store(true)
			cancel()
		})
		_, _, _ = b.run(ctx, numbers(300)...)
		cancel()
		time.Sleep(time.Hour)
	})
	const share, most = 4, 1 + 4 + 4/2
	spent := granted(objects, tokens(1_000_000), paid).bill(t).Spent.Tokens / bound.Tokens
	if spent < share || spent > most {
		t.Errorf("%d calls count as billed, want %d to %d", spent, share, most)
	}
}
