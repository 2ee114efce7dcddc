package workflows_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/llm"
	"github.com/rebased/rebased/workflows"
)

const approvedYAML = taskYAML + "handoff: {approval: true}\n"

// quota makes the teacher refuse after so many answers.
func (w *world) quota(answers int32) {
	var asked atomic.Int32
	w.teacher.Fail = func(r llm.Request) error {
		if r.Prompt != "" && asked.Add(1) > answers {
			return rebased.E(rebased.Exhausted, "quota spent: add credit")
		}
		return nil
	}
}

func TestANightTakesThePlaceOfOneWhoseVersionWaitsAndItsApprovalCounts(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	first := w.night(t, "1", approvedYAML)
	staged := first.waits(t, rebased.StateAwaitingApproval).Version
	second := w.night(t, "2", approvedYAML)
	if p := second.waits(t, rebased.StateAwaitingApproval); p.Version != staged {
		t.Errorf("the same rows make version %s, then %s", staged, p.Version)
	}
	gone := first.landed(t)
	if gone.State != rebased.StateSuperseded || gone.SupersededBy != "nightly-2" || gone.Version != staged || !strings.Contains(gone.Detail, "numbers/nightly-2") {
		t.Errorf("the first night ended as %+v", gone)
	}
	body, _, err := w.objects.Get(t.Context(), rebased.BuildKey("numbers", "nightly-1", "result.json"))
	if err != nil || !strings.Contains(string(body), `"superseded_by": "nightly-2"`) {
		t.Errorf("result.json is %s, %v", body, err)
	}
	second.update(workflows.UpdateApprove, workflows.Decision{By: "ann"})
	if r := second.landed(t); r.State != rebased.StateReleased || r.Version != staged || r.Calls.Made != 0 {
		t.Errorf("%+v", r)
	}
	if total, most := w.teacher.Asked(); total != 60 || most != 1 {
		t.Errorf("%d calls for 60 rows, one of them %d times", total, most)
	}
}

func TestANightGoesOnWithWhatAPausedOneHasPaid(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.quota(20)
	first := w.night(t, "1", taskYAML)
	first.waits(t, rebased.StatePaused)
	w.teacher.Fail = nil
	second := w.night(t, "2", taskYAML)
	r := second.landed(t)
	if r.State != rebased.StateReleased || r.Calls.Reused != 20 || r.Calls.Made != 40 {
		t.Errorf("%+v", r)
	}
	if gone := first.landed(t); gone.State != rebased.StateSuperseded || gone.Calls.Made+gone.Calls.Failed == 0 && gone.Rows != 0 {
		t.Errorf("%+v", gone)
	}
	if total, most := w.teacher.Asked(); total != 60 || most != 1 {
		t.Errorf("%d calls for 60 rows, one of them %d times", total, most)
	}
}

func TestANightAtItsBudgetIsFollowedByOneWithABudgetOfItsOwn(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	yaml := budgetYAML + "budget: {tokens: 9000}\n"
	tokens := w.billed(t)
	first := w.night(t, "1", yaml)
	first.waits(t, rebased.StateBudgetExhausted)
	paid := tokens.Load()
	second := w.night(t, "2", yaml)
	p := second.waits(t, rebased.StateBudgetExhausted)
	if gone := first.landed(t); gone.State != rebased.StateSuperseded {
		t.Errorf("%+v", gone)
	}
	if now := tokens.Load(); paid > 9000 || now <= paid || now-paid > 9000 || p.Spent.Tokens != now-paid {
		t.Errorf("%d tokens the first night, %d in both, the second counts %d", paid, now, p.Spent.Tokens)
	}
	if _, most := w.teacher.Asked(); most != 1 {
		t.Errorf("one call was paid %d times", most)
	}
	second.within(second.env.CancelWorkflow)
	<-second.done
}

func TestANightWhoseTaskIsStillBuiltIsSkippedAndDoesNothing(t *testing.T) {
	for _, other := range []string{"nightly-1", "20261126-044400"} {
		w := newWorld()
		w.indexed(t, 120)
		reached, goOn := make(chan struct{}), make(chan struct{})
		var once atomic.Bool
		w.teacher.Fail = func(r llm.Request) error {
			if r.Prompt != "" {
				if once.CompareAndSwap(false, true) {
					close(reached)
				}
				<-goOn
			}
			return nil
		}
		in := w.build(t, taskYAML)
		in.Unattended = other == "nightly-1"
		first := w.launch(t, other, in)
		<-reached
		for _, id := range []string{"2", "3"} {
			r := w.night(t, id, taskYAML).landed(t)
			if r.State != rebased.StateSkipped || r.Detail != "numbers/"+other+" still runs" || r.Version != "" {
				t.Errorf("%+v", r)
			}
			if files := w.files(t, "builds/numbers/nightly-"+id+"/"); len(files) != 1 {
				t.Errorf("it left %v", files)
			}
		}
		close(goOn)
		if r := first.landed(t); r.State != rebased.StateReleased {
			t.Errorf("%+v", r)
		}
		if r := w.night(t, "4", taskYAML).landed(t); r.State != rebased.StateUnchanged {
			t.Errorf("the night after: %+v", r)
		}
	}
}

// Nights that start in one moment, as a backfill does, and that lists do not tell yet: one of them builds.
func TestOfNightsThatStartTogetherOneBuilds(t *testing.T) {
	for _, hidden := range []bool{true, false} {
		w := newWorld()
		w.indexed(t, 120)
		w.fleet.hidden = map[string]bool{}
		var nights []*flight
		for id := range strings.SplitSeq("abcdefgh", "") {
			w.fleet.mu.Lock()
			w.fleet.hidden["nightly-"+id] = hidden
			w.fleet.mu.Unlock()
			nights = append(nights, w.night(t, id, approvedYAML))
		}
		states := map[rebased.State]int{}
		for _, f := range nights {
			select {
			case <-f.done:
			default:
				for p, open := f.look(); open && !p.State.Waits(); p, open = f.look() {
				}
			}
			if p, open := f.look(); open {
				states[p.State]++
				continue
			}
			states[f.landed(t).State]++
		}
		if states[rebased.StateAwaitingApproval] != 1 || states[rebased.StateSkipped]+states[rebased.StateSuperseded] != 7 {
			t.Errorf("hidden %v: the nights are %v", hidden, states)
		}
		if total, most := w.teacher.Asked(); total != 60 || most != 1 {
			t.Errorf("hidden %v: %d calls for 60 rows, one of them %d times", hidden, total, most)
		}
		for _, f := range nights {
			f.within(f.env.CancelWorkflow)
			<-f.done
		}
	}
}

func TestANightLeavesWhatAPersonTriesWithAnotherTaskFileAndEndsWhatHasItsOwn(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	other := strings.Replace(approvedYAML, "instruction: ", "instruction: Now ", 1)
	mine, tried := w.launch(t, "20261126-010000", w.build(t, approvedYAML)), w.launch(t, "20261126-020000", w.build(t, other))
	mine.waits(t, rebased.StateAwaitingApproval)
	tried.waits(t, rebased.StateAwaitingApproval)
	redriven := w.build(t, approvedYAML)
	redriven.Redrive = &workflows.Redrive{Build: "20261126-010000", Without: "set1"}
	again := w.launch(t, "20261126-030000", redriven)
	again.waits(t, rebased.StateAwaitingApproval)
	night := w.night(t, "1", approvedYAML)
	night.waits(t, rebased.StateAwaitingApproval)
	if r := mine.landed(t); r.State != rebased.StateSuperseded {
		t.Errorf("%+v", r)
	}
	for _, f := range []*flight{tried, again} {
		if a, open := f.update(workflows.UpdateReject, workflows.Decision{By: "ann", Reason: "no"}); !open || a.refused != nil {
			t.Errorf("%+v, open %v", a, open)
		}
		if r := f.landed(t); r.State != rebased.StateRejected {
			t.Errorf("%+v", r)
		}
	}
	night.within(night.env.CancelWorkflow)
	<-night.done
}

func TestANightThatFailsLeavesTheVersionThatWaitsAndPausesItsSchedule(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	first := w.night(t, "1", approvedYAML)
	first.waits(t, rebased.StateAwaitingApproval)
	w.teacher.Fail = refusing("number", "")
	fresh := strings.Replace(approvedYAML, "instruction: ", "instruction: Now ", 1)
	in := w.build(t, fresh)
	in.Unattended, in.PauseOnFailure = true, true
	second := w.launch(t, "nightly-2", in)
	if <-second.done; second.err == nil {
		t.Fatalf("%+v", second.result)
	}
	if len(w.fleet.paused) != 1 || !strings.HasPrefix(w.fleet.paused[0], "numbers: numbers/nightly-2 failed: none of the 60 retrieved rows") {
		t.Errorf("paused: %q", w.fleet.paused)
	}
	if a, open := first.update(workflows.UpdateApprove, workflows.Decision{By: "ann"}); !open || a.refused != nil {
		t.Fatalf("%+v, open %v", a, open)
	}
	if r := first.landed(t); r.State != rebased.StateReleased {
		t.Errorf("%+v", r)
	}
}

func TestADecisionThatCameFirstHoldsAndTheNightGoesByIt(t *testing.T) {
	for word, want := range map[string]rebased.State{workflows.UpdateApprove: rebased.StateUnchanged, workflows.UpdateReject: rebased.StateAwaitingApproval} {
		w := newWorld()
		w.indexed(t, 120)
		first := w.night(t, "1", approvedYAML)
		first.waits(t, rebased.StateAwaitingApproval)
		w.fleet.before = func() { first.update(word, workflows.Decision{By: "ann", Reason: "seen"}) }
		second := w.night(t, "2", approvedYAML)
		if want == rebased.StateAwaitingApproval {
			second.waits(t, want)
			second.within(second.env.CancelWorkflow)
			<-second.done
		} else if r := second.landed(t); r.State != want {
			t.Errorf("%s: the night ended as %+v", word, r)
		}
		if r := first.landed(t); r.State != map[string]rebased.State{workflows.UpdateApprove: rebased.StateReleased, workflows.UpdateReject: rebased.StateRejected}[word] {
			t.Errorf("%s: %+v", word, r)
		}
	}
}

func TestAReleaseThatIsUnderWayIsWaitedFor(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	first := w.night(t, "1", approvedYAML)
	first.waits(t, rebased.StateAwaitingApproval)
	var answers []answer
	first.within(func() { // in one go, so that the release has just begun
		first.env.UpdateWorkflow(workflows.UpdateApprove, "", collector{&[]answer{}}, workflows.Decision{By: "ann"})
		first.env.UpdateWorkflow(workflows.UpdateSupersede, "", collector{&answers}, activities.Supersede{By: "nightly-2"})
	})
	if r := first.landed(t); r.State != rebased.StateReleased || r.SupersededBy != "" {
		t.Errorf("%+v", r)
	}
	if len(answers) != 1 || answers[0].progress.State != rebased.StateReleased {
		t.Errorf("the newer build hears %+v", answers)
	}
}

func TestAPausedNightThatIsResumedFirstKeepsTheTask(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.quota(20)
	first := w.night(t, "1", taskYAML)
	first.waits(t, rebased.StatePaused)
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	w.fleet.before = func() {
		w.teacher.Fail = func(r llm.Request) error {
			if r.Prompt != "" {
				if once.CompareAndSwap(false, true) {
					close(reached)
				}
				<-goOn
			}
			return nil
		}
		first.update(workflows.UpdateResume, workflows.Decision{})
		<-reached
	}
	w.teacher.Fail = nil
	if r := w.night(t, "2", taskYAML).landed(t); r.State != rebased.StateSkipped || r.Detail != "numbers/nightly-1 still runs" {
		t.Errorf("%+v", r)
	}
	close(goOn)
	if r := first.landed(t); r.State != rebased.StateReleased {
		t.Errorf("%+v", r)
	}
	if total, most := w.teacher.Asked(); total != 60 || most != 1 {
		t.Errorf("%d calls for 60 rows, one of them %d times", total, most)
	}
}

func TestADecisionAboutASupersededBuildNamesTheNewerOne(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.quota(20)
	first := w.night(t, "1", taskYAML)
	first.waits(t, rebased.StatePaused)
	var answers []answer
	first.within(func() { // in one go, before the build has come to its end
		for _, u := range []struct {
			name string
			arg  any
		}{
			{workflows.UpdateSupersede, activities.Supersede{By: "nightly-2"}},
			{workflows.UpdateResume, workflows.Decision{}},
			{workflows.UpdateApprove, workflows.Decision{}},
			{workflows.UpdateRaiseBudget, workflows.BudgetRaise{USD: 1}},
		} {
			first.env.UpdateWorkflow(u.name, "", collector{&answers}, u.arg)
		}
	})
	first.landed(t)
	if len(answers) != 4 || answers[3].progress.State != rebased.StateSuperseded {
		t.Fatalf("%+v", answers)
	}
	for _, a := range answers[:3] {
		if a.refused.Error() != "it was superseded by numbers/nightly-2: decide about that one" {
			t.Errorf("%v", a.refused)
		}
	}
}

func TestTheBatchesOfAPausedNightAreTheNextOnes(t *testing.T) {
	for _, changed := range []string{"", "another prompt"} {
		w := newWorld()
		w.indexed(t, 120)
		w.teacher.Stands = func(string, int) llm.BatchState { return llm.BatchState{} }
		var denied atomic.Bool
		denied.Store(true)
		w.teacher.Looked = func() error {
			if denied.Load() {
				return rebased.E(rebased.Unauthorized, "the key is revoked")
			}
			return nil
		}
		yaml := taskYAML + "transform: {batch: true}\n"
		first := w.night(t, "1", yaml)
		first.waits(t, rebased.StatePaused)
		denied.Store(false)
		var looks atomic.Int32
		w.teacher.Stands = func(id string, _ int) llm.BatchState {
			return llm.BatchState{Ended: id != "batch-1" || changed == "" && looks.Add(1) > 3}
		}
		if changed != "" {
			yaml = strings.Replace(yaml, "instruction: ", "instruction: Now ", 1)
		}
		second := w.night(t, "2", yaml)
		r := second.landed(t)
		if r.State != rebased.StateReleased {
			t.Fatalf("%+v", r)
		}
		if gone := first.landed(t); gone.State != rebased.StateSuperseded {
			t.Errorf("%+v", gone)
		}
		taken, canceled := w.teacher.Submitted()
		total, most := w.teacher.Asked()
		want := [3]int{1, 0, 60}
		if changed != "" { // what the newer build has no use for is canceled at its end
			want = [3]int{2, 1, 60}
		}
		if [3]int{taken, canceled, total} != want || most != 1 {
			t.Errorf("%q: %d batches, %d canceled, %d answers, the most for one request %d; want %v", changed, taken, canceled, total, most, want)
		}
	}
}

// late has all shards but the first end with a refused key once they are told to stop, as calls that are under way then may.
type late struct {
	interceptor.WorkerInterceptorBase
}

func (*late) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &lateInbound{}
	in.Next = next
	return in
}

type lateInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (l *lateInbound) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	out := &lateOutbound{}
	out.Next = outbound
	return l.Next.Init(out)
}

type lateOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (l *lateOutbound) ExecuteActivity(ctx workflow.Context, step string, args ...any) workflow.Future {
	if in, ok := args[0].(activities.ShardInput); !ok || in.Shard == 0 {
		return l.Next.ExecuteActivity(ctx, step, args...)
	}
	future, settle := workflow.NewFuture(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		ctx.Done().Receive(ctx, nil)
		settle.SetError(temporal.NewNonRetryableApplicationError("the key is revoked", string(rebased.Unauthorized), nil))
	})
	return future
}

func TestWhatStepsSayWhileABuildGivesWayDoesNotMakeItWaitAgain(t *testing.T) {
	w := newWorld()
	w.indexed(t, 300)
	w.quota(0)
	first := w.launch(t, "nightly-1", w.build(t, budgetYAML), &late{})
	first.waits(t, rebased.StatePaused)
	var answers []answer
	first.within(func() {
		first.env.UpdateWorkflow(workflows.UpdateSupersede, "", collector{&answers}, activities.Supersede{By: "nightly-2", TaskKey: w.build(t, budgetYAML).TaskKey})
	})
	if r := first.landed(t); r.State != rebased.StateSuperseded {
		t.Errorf("%+v", r)
	}
	if len(answers) != 1 || answers[0].progress.State != rebased.StateSuperseded {
		t.Errorf("the newer build hears %+v", answers)
	}
}
