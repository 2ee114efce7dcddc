package llm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/infra/mem"
)

// scripted answers each request by a function and keeps what it was asked.
type scripted struct {
	mu    sync.Mutex
	asked []llm.Request
	at    []time.Time
	reply func(n int, r llm.Request) (llm.Answer, error) // n counts the requests from 1
}

func (s *scripted) Endpoint() string { return "http://teacher/v1" }

func (s *scripted) Ask(_ context.Context, r llm.Request) (llm.Answer, error) {
	s.mu.Lock()
	s.asked, s.at = append(s.asked, r), append(s.at, time.Now())
	n := len(s.asked)
	s.mu.Unlock()
	return s.reply(n, r)
}

// waits are the times between the requests.
func (s *scripted) waits() (waits []time.Duration) {
	for i := 1; i < len(s.at); i++ {
		waits = append(waits, s.at[i].Sub(s.at[i-1]))
	}
	return waits
}

// bench is a runner over a scripted teacher.
type bench struct {
	*llm.Runner
	teacher *scripted
	params  llm.Params
}

func newBench(objects rebased.Objects, reply func(n int, r llm.Request) (llm.Answer, error)) *bench {
	b := &bench{teacher: &scripted{reply: reply}, params: llm.Params{Model: "m", MaxTokens: 10}}
	b.params.Share = llm.Share{InFlight: 4, Capped: true}
	b.Runner = &llm.Runner{Teacher: b.teacher, Store: llm.NewStore(objects), Jitter: func() float64 { return 0.5 }}
	return b
}

func (b *bench) run(ctx context.Context, prompts ...string) ([]llm.Outcome[string], llm.Bill, error) {
	question := func(i int) llm.Question[string] {
		return llm.Question[string]{Prompt: prompts[i], Parse: func(a llm.Answer) (string, *llm.Problem) {
			if strings.HasPrefix(a.Text, "bad") {
				return "", &llm.Problem{rebased.ReasonUnusable, "it is bad"}
			}
			return a.Text, nil
		}}
	}
	return llm.Run(ctx, b.Runner, b.params, len(prompts), question, func(int) {})
}

// ask runs in time that passes at once.
func (b *bench) ask(t *testing.T, prompts ...string) (outcomes []llm.Outcome[string], calls rebased.Calls, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var bill llm.Bill
		outcomes, bill, err = b.run(t.Context(), prompts...)
		calls = bill.Calls
	})
	return outcomes, calls, err
}

// numbers are n prompts.
func numbers(n int) (prompts []string) {
	for i := range n {
		prompts = append(prompts, fmt.Sprint(i))
	}
	return prompts
}

func echo(_ int, r llm.Request) (llm.Answer, error) {
	return llm.Answer{Text: "to " + r.Prompt, Model: "m-1"}, nil
}

func TestOutcomesStandInTheOrderOfTheRows(t *testing.T) {
	b := newBench(mem.NewObjects(), echo)
	var prompts []string
	for i := range 100 {
		prompts = append(prompts, fmt.Sprint(i))
	}
	outcomes, calls, err := b.ask(t, prompts...)
	if err != nil || calls.Made != 100 {
		t.Fatalf("%+v, %v", calls, err)
	}
	for i, o := range outcomes {
		if o.Value != "to "+prompts[i] || o.Model != "m-1" || len(o.Responses) != 1 {
			t.Fatalf("row %d: %+v", i, o)
		}
	}
}

func TestASecondRunPaysNothing(t *testing.T) {
	objects := mem.NewObjects()
	if _, _, err := newBench(objects, echo).ask(t, "a", "b"); err != nil {
		t.Fatal(err)
	}
	again := newBench(objects, echo)
	outcomes, calls, err := again.ask(t, "b", "a", "c")
	if err != nil || calls != (rebased.Calls{Made: 1, Reused: 2}) || len(again.teacher.asked) != 1 {
		t.Fatalf("%+v, %d asked, %v", calls, len(again.teacher.asked), err)
	}
	if outcomes[1].Value != "to a" {
		t.Errorf("got %q", outcomes[1].Value)
	}
}

func TestAnUnusableAnswerIsAskedAgainTwiceEachUnderItsOwnKeyAndKept(t *testing.T) {
	objects := mem.NewObjects()
	b := newBench(objects, func(n int, _ llm.Request) (llm.Answer, error) { return llm.Answer{Text: fmt.Sprint("bad ", n)}, nil })
	outcomes, calls, err := b.ask(t, "a")
	if err != nil || calls.Made != 3 {
		t.Fatalf("%+v, %v", calls, err)
	}
	o := outcomes[0]
	if o.Problem == nil || o.Problem.Reason != rebased.ReasonUnusable || o.Attempts != 3 || len(o.Responses) != 3 || o.Responses[0] == o.Responses[1] {
		t.Fatalf("got %+v", o)
	}
	if !strings.Contains(b.teacher.asked[1].Prompt, "it is bad") {
		t.Errorf("the re-ask does not say what was wrong: %q", b.teacher.asked[1].Prompt)
	}
	_, calls, err = newBench(objects, echo).ask(t, "a")
	if err != nil || calls != (rebased.Calls{Reused: 3}) {
		t.Errorf("the next run pays for bad answers again: %+v, %v", calls, err)
	}
}

func TestErrorsOfOneRowBecomeTypedRejectsAndTheOthersGoOn(t *testing.T) {
	for _, c := range []struct {
		err  error
		want rebased.Reason
	}{
		{rebased.E(rebased.Invalid, "no such parameter"), rebased.ReasonBadRequest},
		{&rebased.Error{Kind: rebased.Rejected, Err: llm.ErrTooLong}, rebased.ReasonTooLong},
		{&rebased.Error{Kind: rebased.Rejected, Err: llm.ErrRefused}, rebased.ReasonRefused},
	} {
		b := newBench(mem.NewObjects(), func(n int, r llm.Request) (llm.Answer, error) {
			if r.Prompt == "wrong" {
				return llm.Answer{}, c.err
			}
			return echo(n, r)
		})
		outcomes, calls, err := b.ask(t, "a", "wrong", "b")
		if err != nil || calls.Made != 2 || calls.Failed != 1 {
			t.Fatalf("%s: %+v, %v", c.want, calls, err)
		}
		if p := outcomes[1].Problem; p == nil || p.Reason != c.want || outcomes[1].Attempts != 1 {
			t.Errorf("want %s after 1 attempt, got %+v after %d", c.want, p, outcomes[1].Attempts)
		}
		if outcomes[0].Problem != nil || outcomes[2].Value != "to b" {
			t.Errorf("%s: other rows suffered", c.want)
		}
	}
}

func TestCutAndRefusedAnswersAreTypedRejectsWithoutAReAsk(t *testing.T) {
	for finish, want := range map[llm.Finish]rebased.Reason{llm.FinishLength: rebased.ReasonTooLong, llm.FinishRefused: rebased.ReasonRefused} {
		b := newBench(mem.NewObjects(), func(int, llm.Request) (llm.Answer, error) { return llm.Answer{Text: "x", Finish: finish}, nil })
		outcomes, calls, err := b.ask(t, "a")
		if err != nil || calls.Made != 1 || outcomes[0].Problem == nil || outcomes[0].Problem.Reason != want {
			t.Errorf("%s: %+v, %+v, %v", finish, outcomes, calls, err)
		}
	}
}

func TestBeingThrottledCostsTimeAndNoAttempts(t *testing.T) {
	b := newBench(mem.NewObjects(), func(n int, r llm.Request) (llm.Answer, error) {
		if n <= 20 {
			return llm.Answer{}, &rebased.Error{Kind: rebased.Throttled, RetryAfter: 3 * time.Second}
		}
		return echo(n, r)
	})
	outcomes, calls, err := b.ask(t, "a")
	if err != nil || outcomes[0].Value != "to a" || calls.Failed != 20 {
		t.Fatalf("%+v, %+v, %v", outcomes, calls, err)
	}
	for _, w := range b.teacher.waits() {
		if w < 3*time.Second {
			t.Errorf("waited %s, the server asked for 3s", w)
		}
	}
}

func TestALongRetryAfterLeavesTheActivity(t *testing.T) {
	b := newBench(mem.NewObjects(), func(int, llm.Request) (llm.Answer, error) {
		return llm.Answer{}, &rebased.Error{Kind: rebased.Throttled, RetryAfter: 10 * time.Minute}
	})
	_, _, err := b.ask(t, "a")
	if rebased.KindOf(err) != rebased.Throttled || rebased.RetryAfterOf(err) != 10*time.Minute || len(b.teacher.asked) != 1 {
		t.Fatalf("%v after %d requests", err, len(b.teacher.asked))
	}
}

func TestFailuresAreRetriedWithGrowingPauses(t *testing.T) {
	b := newBench(mem.NewObjects(), func(n int, r llm.Request) (llm.Answer, error) {
		if n <= 3 {
			return llm.Answer{}, rebased.E(rebased.Unavailable, "HTTP 500")
		}
		return echo(n, r)
	})
	outcomes, calls, err := b.ask(t, "a")
	if err != nil || outcomes[0].Problem != nil || calls != (rebased.Calls{Made: 1, Failed: 3}) {
		t.Fatalf("%+v, %+v, %v", outcomes, calls, err)
	}
	want := []time.Duration{llm.BackoffFirst / 2, llm.BackoffFirst, 2 * llm.BackoffFirst}
	if got := b.teacher.waits(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("waited %v, want %v", got, want)
	}
}

func TestAProviderThatIsDownEndsTheRunNotTheRow(t *testing.T) {
	b := newBench(mem.NewObjects(), func(int, llm.Request) (llm.Answer, error) {
		return llm.Answer{}, rebased.E(rebased.Unavailable, "refused")
	})
	_, _, err := b.ask(t, "a", "b")
	if rebased.KindOf(err) != rebased.Unavailable {
		t.Fatalf("got %v", err)
	}
}

func TestARowThatAlwaysFailsWhileOthersAreAnsweredIsRejected(t *testing.T) {
	b := newBench(mem.NewObjects(), func(n int, r llm.Request) (llm.Answer, error) {
		if r.Prompt == "poison" {
			return llm.Answer{}, rebased.E(rebased.Unavailable, "HTTP 500")
		}
		time.Sleep(10 * time.Second)
		return echo(n, r)
	})
	outcomes, _, err := b.ask(t, append([]string{"poison"}, numbers(200)...)...)
	if err != nil {
		t.Fatal(err)
	}
	if p := outcomes[0].Problem; p == nil || p.Reason != rebased.ReasonUnavailable {
		t.Errorf("got %+v", p)
	}
}

// An outage that begins while calls are under way must not be taken for a fault of the rows that it meets.
func TestAnOutageRejectsNoRow(t *testing.T) {
	for seconds := 1; seconds < 300; seconds += 23 {
		var start time.Time
		b := newBench(mem.NewObjects(), func(n int, r llm.Request) (llm.Answer, error) {
			time.Sleep(200 * time.Millisecond)
			if d := time.Since(start); d > 2*time.Second && d < time.Duration(2+seconds)*time.Second {
				return llm.Answer{}, rebased.E(rebased.Unavailable, "refused")
			}
			return echo(n, r)
		})
		synctest.Test(t, func(t *testing.T) {
			start = time.Now()
			for {
				outcomes, _, err := b.run(t.Context(), numbers(300)...)
				if rebased.KindOf(err) == rebased.Unavailable {
					time.Sleep(time.Second) // as the activity is tried again
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				for i, o := range outcomes {
					if o.Problem != nil {
						t.Errorf("outage of %d s: row %d: %+v", seconds, i, o.Problem)
					}
				}
				return
			}
		})
	}
}

func TestWhatIsUnderWayWhenARunEndsIsWaitedForAndKept(t *testing.T) {
	b := newBench(mem.NewObjects(), func(n int, r llm.Request) (llm.Answer, error) {
		if n == 2 {
			time.Sleep(time.Millisecond) // the others are under way
			return llm.Answer{}, rebased.E(rebased.Exhausted, "no money left")
		}
		time.Sleep(time.Second)
		return echo(n, r)
	})
	_, calls, err := b.ask(t, numbers(100)...)
	if rebased.KindOf(err) != rebased.Exhausted || len(b.teacher.asked) != 4 {
		t.Errorf("%v after %d requests", err, len(b.teacher.asked))
	}
	if want := len(b.teacher.asked) - 1; calls.Made != want || b.Store.Stored() != want {
		t.Errorf("%d answers are counted and %d kept, want %d", calls.Made, b.Store.Stored(), want)
	}
}

func TestARefusedKeyEndsTheRunAtOnce(t *testing.T) {
	b := newBench(mem.NewObjects(), func(int, llm.Request) (llm.Answer, error) {
		return llm.Answer{}, rebased.E(rebased.Unauthorized, "wrong key")
	})
	_, calls, err := b.ask(t, "a")
	if rebased.KindOf(err) != rebased.Unauthorized || calls.Failed != 1 {
		t.Fatalf("%+v, %v", calls, err)
	}
}

func TestCancelEndsTheRunAndKeepsWhatWasAnswered(t *testing.T) {
	objects := mem.NewObjects()
	b := newBench(objects, nil)
	ctx, cancel := context.WithCancel(t.Context())
	b.teacher.reply = func(n int, r llm.Request) (llm.Answer, error) {
		if n == 5 {
			cancel()
			return llm.Answer{}, ctx.Err()
		}
		return echo(n, r)
	}
	b.params.Share.InFlight = 1
	synctest.Test(t, func(t *testing.T) {
		_, bill, err := b.run(ctx, numbers(100)...)
		if !errors.Is(err, context.Canceled) || bill.Calls.Made != 4 {
			t.Fatalf("%+v, %v", bill, err)
		}
	})
}

func TestTheKeyCoversWhatChangesTheAnswer(t *testing.T) {
	base := llm.Request{Endpoint: "e", Model: "m", Temperature: 0.7, MaxTokens: 10, System: "s", Prompt: "p"}
	seen := map[llm.Key]string{base.Key(): "base"}
	for name, change := range map[string]func(*llm.Request){
		"endpoint": func(r *llm.Request) { r.Endpoint = "f" }, "model": func(r *llm.Request) { r.Model = "n" },
		"temperature": func(r *llm.Request) { r.Temperature = 0.8 }, "max_tokens": func(r *llm.Request) { r.MaxTokens = 11 },
		"system": func(r *llm.Request) { r.System = "t" }, "prompt": func(r *llm.Request) { r.Prompt = "q" },
		"schema": func(r *llm.Request) { r.Schema = "{}" }, "sample": func(r *llm.Request) { r.Sample = 1 }, "ask": func(r *llm.Request) { r.Ask = 1 },
		"border of fields": func(r *llm.Request) { r.System, r.Prompt = "sp", "" },
	} {
		r := base
		change(&r)
		if other, known := seen[r.Key()]; known {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[r.Key()] = name
	}
}
