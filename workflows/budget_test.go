package workflows_test

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/workflows"
)

// budgetYAML is a task of 300 rows in several shards, two questions a row, with short answers.
const budgetYAML = `name: numbers
corpus: hub
instruction: Answer the question about a number.
examples:
  - {input: what is number 7 of 1, output: it is 49}
retrieve: {rows: 300}
transform: {teacher: {max_tokens: 50}}
reason: {mode: rationale}
`

// billed is what the teacher was paid for, as it counts itself.
func (w *world) billed(t *testing.T) (tokens *atomic.Int64) {
	t.Helper()
	tokens = &atomic.Int64{}
	w.teacher.Paid = func(a llm.Answer) { tokens.Add(a.Usage.InputTokens + a.Usage.OutputTokens) }
	return tokens
}

// raise sends raise-budget and gives why it was refused, "" when it was not.
func raise(env *testsuite.TestWorkflowEnvironment, r workflows.BudgetRaise) (refused *string) {
	refused = new(string)
	env.UpdateWorkflow(workflows.UpdateRaiseBudget, "", &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: func(err error) { *refused = err.Error() }, OnComplete: func(any, error) {},
	}, r)
	return refused
}

func TestABuildWaitsAtItsBudgetAndGoesOnWhenItIsRaised(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	free, err := w.runBuild(t, w.environment(t), "free", budgetYAML)
	if err != nil {
		t.Fatal(err)
	}
	all := free.Tokens.InputTokens + free.Tokens.OutputTokens
	w = newWorld()
	w.indexed(t, 300)
	tokens, env := w.billed(t), w.environment(t)
	var less, money *string
	env.RegisterDelayedCallback(func() {
		p := progressOf(t, env)
		if p.State != rebased.StateBudgetExhausted || !strings.Contains(p.Detail, "raise-budget 1") || p.Cap.Tokens != 9000 {
			t.Errorf("at the cap: %+v", p)
		}
		if p.Calls.Made == 0 {
			t.Errorf("what was paid is not counted: %+v", p.Calls)
		}
		if n := tokens.Load(); n > 9000 || n < 9000-1500 || p.Spent.Tokens != n {
			t.Errorf("%d tokens are billed, %d counted, of 9000", n, p.Spent.Tokens)
		}
		less = raise(env, workflows.BudgetRaise{Tokens: 8999})
		money = raise(env, workflows.BudgetRaise{USD: 5})
	}, time.Hour)
	env.RegisterDelayedCallback(func() { raise(env, workflows.BudgetRaise{Tokens: 12_000}) }, 2*time.Hour)
	env.RegisterDelayedCallback(func() {
		if n := tokens.Load(); n > 12_000 || progressOf(t, env).State != rebased.StateBudgetExhausted {
			t.Errorf("%d tokens are billed under a cap of 12000: %+v", n, progressOf(t, env))
		}
		raise(env, workflows.BudgetRaise{Tokens: 10 * all})
	}, 3*time.Hour)
	r, err := w.runBuild(t, env, "1", budgetYAML+"budget: {tokens: 9000}\n")
	if err != nil || r.State != rebased.StateReleased {
		t.Fatalf("%+v, %v", r, err)
	}
	if *less == "" || *money == "" {
		t.Error("a lower budget, or one of another kind, was taken")
	}
	checkSum(t, r)
	if r.Calls != free.Calls {
		t.Errorf("calls %+v, without a budget %+v", r.Calls, free.Calls)
	}
	if _, most := w.teacher.Asked(); most != 1 || tokens.Load() != all || r.Rows != free.Rows {
		t.Errorf("%d tokens for %d, one call %d times, %d rows for %d", tokens.Load(), all, most, r.Rows, free.Rows)
	}
	if want := float64(r.Tokens.InputTokens+2*r.Tokens.OutputTokens) / 1e12; r.CostUSD != want || free.CostUSD != want {
		t.Errorf("cost %g and %g USD, want %g", r.CostUSD, free.CostUSD, want)
	}
}

func TestABuildThatIsCanceledAtItsBudgetKeepsWhatWasPaid(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	tokens, env := w.billed(t), w.environment(t)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	_, err := w.runBuild(t, env, "1", budgetYAML+"budget: {usd: 0.000000012}\n")
	if _, ok := errors.AsType[*temporal.CanceledError](err); !ok {
		t.Fatalf("got %v", err)
	}
	paid := tokens.Load()
	r, err := w.runBuild(t, w.environment(t), "2", budgetYAML)
	if err != nil || paid == 0 || r.Calls.Reused == 0 {
		t.Fatalf("%d tokens, %+v, %v", paid, r, err)
	}
	if _, most := w.teacher.Asked(); most != 1 {
		t.Errorf("one call was paid %d times", most)
	}
}

func TestAMoneyCapOfAModelWithoutAPriceIsRefused(t *testing.T) {
	w := newWorld()
	w.indexed(t, 12)
	_, err := w.runBuild(t, w.environment(t), "1", taskYAML+"budget: {usd: 5}\ntransform: {teacher: {model: other}}\n")
	var refused *temporal.ApplicationError
	if !errors.As(err, &refused) || refused.Type() != activities.Refused || !strings.Contains(refused.Message(), "REBASED_PRICES") {
		t.Errorf("got %v", err)
	}
}

// However much is left, some calls fit and the rest waits: the cap holds at every size, and raising it step by step ends the build.
func TestEveryBudgetHolds(t *testing.T) {
	for _, tokens := range []int64{1, 400, 1100, 2_000, 5_000, 20_000} {
		w := newWorld()
		w.indexed(t, 300)
		billed, env := w.billed(t), w.environment(t)
		limit := tokens
		for hour := 1; hour < 100; hour++ {
			env.RegisterDelayedCallback(func() {
				if n := billed.Load(); n > limit {
					t.Errorf("%d tokens are billed under a cap of %d", n, limit)
				}
				limit += 3_000
				raise(env, workflows.BudgetRaise{Tokens: limit})
			}, time.Duration(hour)*time.Hour)
		}
		r, err := w.runBuild(t, env, "1", strings.Replace(budgetYAML, "mode: rationale", "mode: none", 1)+"budget: {tokens: "+strconv.FormatInt(tokens, 10)+"}\n")
		if err != nil || r.State != rebased.StateReleased {
			t.Fatalf("%+v, %v", r, err)
		}
		checkSum(t, r)
		if _, most := w.teacher.Asked(); most != 1 {
			t.Errorf("one call was paid %d times", most)
		}
	}
}
