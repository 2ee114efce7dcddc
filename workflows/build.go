package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

// buildState is what one run of a build hands to the next: counts and references.
type buildState struct {
	Started   time.Time             `json:"started"`
	Plan      activities.PlanResult `json:"plan"`
	Ranked    activities.RankResult `json:"ranked"`
	NextShard int                   `json:"next_shard"`
	Limit     int                   `json:"limit,omitempty"` // shards that may be handed out so far; 0 = none yet, or all in a history from before there were rounds

	Rejected map[string]map[rebased.Reason]int `json:"rejected"`         // by step
	Tokens   map[string]rebased.Usage          `json:"tokens,omitempty"` // by step; not all in what a run of before left
	Progress rebased.Progress                  `json:"progress"`
	Purse    purse                             `json:"purse"`

	Waiting []activities.Waiter `json:"waiting,omitempty"` // builds whose place this night takes when its version is there
	Adopted int                 `json:"adopted,omitempty"` // batches of theirs that were under way
}

// BuildDataset makes one version of a task's dataset: plan, retrieve, shards of transform and reason in a sliding window, dedupe, hand-off.
// The result of a build that was refused, failed or was canceled is an error; all other ends are states of the result.
func BuildDataset(ctx workflow.Context, in BuildInput) (rebased.BuildResult, error) {
	b, err := newBuild(ctx, in)
	if err != nil {
		return rebased.BuildResult{}, err
	}
	stoppable, stop := workflow.WithCancel(ctx)
	b.stop = stop
	result, err := b.run(stoppable)
	switch {
	case err != nil && b.superseded != nil && ctx.Err() == nil:
		return b.endSuperseded(ctx)
	case workflow.IsContinueAsNewError(err):
		return rebased.BuildResult{}, err
	case err != nil:
		return rebased.BuildResult{}, b.ended(ctx, err)
	}
	b.cancelAdopted(ctx)
	b.record(ctx, result)
	b.finish(ctx)
	return result, nil
}

// build is one run of BuildDataset.
type build struct {
	in       BuildInput
	ref      activities.BuildRef
	state    buildState
	decision *decided
	resumes  int                // how many resume updates came
	asking   workflow.Semaphore // a place for each shard that asks a teacher
	batches  batches
	parts    int                    // files of deduplicated rows
	failed   error                  // of a shard: what ends the build once the others that are under way have ended
	given    map[rebased.Reason]int // rows that deduplication removed since they repeat given ones
	balance  string                 // what output.balance could not have

	decidedBy  string                // who released or rejected the version
	since      map[string]time.Time  // when deadlines of builds whose place it took began to run, by version
	superseded *activities.Supersede // who takes its place; nil = nobody
	stop       func()                // ends the run in favour of that
	over       bool                  // it has ended so, and nothing of it is under way
}

func newBuild(ctx workflow.Context, in BuildInput) (*build, error) {
	task, id, ok := ParseBuildID(workflow.GetInfo(ctx).WorkflowExecution.ID)
	if !ok || task != in.Task {
		return nil, refused(rebased.E(rebased.Invalid, "workflow id must be %s, is %s", BuildID(in.Task, "BUILD"), workflow.GetInfo(ctx).WorkflowExecution.ID))
	}
	b := &build{in: in, ref: activities.BuildRef{Task: task, Build: id}}
	b.state = buildState{Started: workflow.Now(ctx), Rejected: map[string]map[rebased.Reason]int{}, Tokens: map[string]rebased.Usage{}, Purse: newPurse(rebased.Budget{})}
	b.state.Progress = rebased.Progress{State: rebased.StateRunning, Phase: "plan"}
	b.state.Progress.Rejected = map[rebased.Reason]int{}
	if in.Continued != nil {
		b.state = *in.Continued
		if b.state.Tokens == nil {
			b.state.Tokens = map[string]rebased.Usage{}
		}
		b.ref.TaskKey = b.state.Plan.TaskKey
	}
	if err := b.listen(ctx); err != nil {
		return nil, err
	}
	return b, workflow.UpsertTypedSearchAttributes(ctx, attributeTask.ValueSet(task), attributeState.ValueSet(string(b.state.Progress.State)))
}

func (b *build) run(ctx workflow.Context) (rebased.BuildResult, error) {
	if b.in.Continued == nil {
		runs, err := b.enter(ctx)
		if err != nil {
			return rebased.BuildResult{}, err
		}
		if runs != "" {
			return b.skipped(ctx, runs), nil
		}
		if err := b.plan(ctx); err != nil {
			return rebased.BuildResult{}, err
		}
		if runs, _, err = b.takeOver(ctx, false); err != nil {
			return rebased.BuildResult{}, err
		}
		if runs != "" {
			return b.skipped(ctx, runs), nil
		}
		find := b.retrieve
		if b.in.Redrive != nil {
			find = b.redrive
		}
		if err := find(ctx); err != nil {
			return rebased.BuildResult{}, err
		}
	}
	if err := b.rounds(ctx); err != nil {
		return rebased.BuildResult{}, err
	}
	return b.handoff(ctx)
}

// plan checks everything before a row is retrieved; whatever fails here was refused.
func (b *build) plan(ctx workflow.Context) error {
	var a *activities.Plan
	options := planOptions
	if b.in.Unattended {
		options = unattendedPlanOptions
	}
	in := activities.PlanInput{Task: b.ref.Task, Build: b.ref.Build, TaskKey: b.in.TaskKey}
	if b.in.Redrive != nil {
		in.Redrive = b.in.Redrive.Build
	}
	var err error
	for {
		b.state.Plan = activities.PlanResult{}
		err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), a.Check, in).Get(ctx, &b.state.Plan)
		if b.state.Progress.Detail = b.state.Plan.Waits; b.state.Plan.Waits == "" {
			break
		}
		if err := workflow.Sleep(ctx, indexWait); err != nil {
			return err
		}
	}
	b.ref.TaskKey = b.state.Plan.TaskKey
	b.state.Purse = newPurse(b.state.Plan.Budget)
	b.showSpend()
	return refused(err)
}

func (b *build) retrieve(ctx workflow.Context) error {
	var a *activities.Retrieve
	b.state.Progress.Phase = "retrieve"
	in := activities.RankInput{BuildRef: b.ref, Corpus: b.state.Plan.Corpus, Revision: b.state.Plan.Revision, Encoder: b.state.Plan.Encoder, ShardRows: b.rowsOfShard(), Lanes: shardsAtOnce}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stepOptions), a.Rank, in).Get(ctx, &b.state.Ranked)
	if err != nil {
		return plain(err)
	}
	if b.state.Ranked.Moved != "" { // nothing is paid yet
		workflow.GetLogger(ctx).Info("planned again", "because", b.state.Ranked.Moved)
		b.state.Ranked, b.state.Progress.Phase = activities.RankResult{}, "plan"
		if err := b.plan(ctx); err != nil {
			return err
		}
		return b.retrieve(ctx)
	}
	b.limit(b.enough(0, 0))
	return nil
}

// redrive takes the rows of an earlier build. What is wrong with that is found before a call is made.
func (b *build) redrive(ctx workflow.Context) error {
	var a *activities.Redrive
	b.state.Progress.Phase = "retrieve"
	in := activities.RedriveInput{BuildRef: b.ref, Of: b.in.Redrive.Build, Reasons: b.in.Redrive.Reasons, Without: b.in.Redrive.Without, ShardRows: shardRows, Lanes: shardsAtOnce}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stepOptions), a.Select, in).Get(ctx, &b.state.Ranked)
	if err != nil {
		return refused(err)
	}
	b.limit(b.enough(0, 0))
	for _, step := range workflow.DeterministicKeys(b.state.Ranked.Rejected) {
		b.reject(step, b.state.Ranked.Rejected[step])
	}
	b.state.Progress.Rows, b.state.Progress.Tokens = b.state.Ranked.KeptRows, b.state.Ranked.Tokens
	for _, step := range workflow.DeterministicKeys(b.state.Ranked.StepTokens) {
		b.state.Tokens[step] = b.state.Ranked.StepTokens[step]
	}
	return nil
}

// ranked shows what there is to do.
func (b *build) ranked() {
	p := &b.state.Progress
	p.Retrieved, p.Skipped, p.Shards = b.handedOut(), b.state.Ranked.Skipped, min(b.state.Limit, b.state.Ranked.Shards)
	p.ToAsk = p.Retrieved - b.state.Ranked.KeptRows
	for _, step := range workflow.DeterministicKeys(b.state.Ranked.Rejected) {
		for _, reason := range workflow.DeterministicKeys(b.state.Ranked.Rejected[step]) {
			p.ToAsk -= b.state.Ranked.Rejected[step][reason]
		}
	}
	steps := 1
	if b.state.Plan.Reason != rebased.ReasonNone {
		steps++
	}
	if b.state.Plan.Judge != nil {
		steps++
	}
	p.ToAsk *= steps
}

// shards runs the steps that ask a teacher for every shard, so many at once.
func (b *build) shards(ctx workflow.Context) error {
	b.state.Progress.Phase = "transform"
	if b.asking == nil {
		b.asking = workflow.NewSemaphore(ctx, int64(b.lanes()))
	}
	end := min(b.state.Limit, b.state.Ranked.Shards)
	next, err := inWindow(ctx, b.state.NextShard, end, b.width(), func(ctx workflow.Context, n int) error {
		err := b.shard(ctx, n)
		if err != nil && ctx.Err() == nil && workflow.GetVersion(ctx, "a failed shard ends what waits", workflow.DefaultVersion, 1) > workflow.DefaultVersion {
			b.failed = err
		}
		return err
	})
	if err != nil {
		return plain(err)
	}
	if b.state.NextShard = next; next < end {
		b.in.Continued = &b.state
		return workflow.NewContinueAsNewError(ctx, BuildDatasetName, b.in)
	}
	return nil
}

// width is how many shards are under way: those that ask, and those that wait for a batch.
func (b *build) width() int {
	if b.state.Plan.Batch && !b.state.Purse.capped() { // under a budget a shard takes many batches, each of what the one before has left of it
		return min(batchesAtOnce, max(1, b.state.Ranked.Shards))
	}
	return b.lanes()
}

// lanes is how many shards run side by side.
func (b *build) lanes() int {
	lanes := min(shardsAtOnce, max(1, b.state.Ranked.Shards), b.teacher().inFlight())
	if b.state.Plan.Judge != nil {
		lanes = min(lanes, b.judge().inFlight())
	}
	return lanes
}

// caps are what may be asked of a teacher at once; 0 = no cap.
type caps struct{ calls, rpm, tpm int }

func (b *build) teacher() caps {
	return caps{b.state.Plan.InFlight, b.state.Plan.RPM, b.state.Plan.TPM}
}

func (b *build) judge() caps {
	j := b.state.Plan.Judge
	return caps{j.InFlight, j.RPM, j.TPM}
}

// inFlight is how many calls may be under way.
func (c caps) inFlight() int {
	if c.calls > 0 {
		return c.calls
	}
	return adaptiveInFlight
}

// share is the n-th shard's part of a teacher's caps.
func (b *build) share(n int, of caps) activities.Share {
	lanes, all := b.lanes(), of.inFlight()
	s := activities.Share{
		InFlight: all / lanes, Capped: of.calls > 0, RPM: float64(of.rpm) / float64(lanes), TPM: float64(of.tpm) / float64(lanes),
	}
	if n%lanes < all%lanes && !b.state.Plan.Batch { // shards that wait for batches come to their lanes in any order
		s.InFlight++
	}
	return s
}

func (b *build) shard(ctx workflow.Context, n int) error {
	var transform *activities.Transform
	var reason *activities.Reason
	var judge *activities.Judge
	in := activities.ShardInput{BuildRef: b.ref, Shard: n, Share: b.share(n, b.teacher()), Price: b.state.Plan.Price}
	reasoned, judged := b.state.Plan.Reason != rebased.ReasonNone, b.state.Plan.Judge != nil
	last := n+b.lanes() >= b.state.Limit && !b.state.Plan.Batch
	in.Last = last && !reasoned && !judged
	rows, err := b.step(ctx, lesson{"transform", transform.TransformShard, transform.TransformBatch}, in)
	if err != nil {
		return err
	}
	if reasoned {
		in.Last = last && !judged
		if rows, err = b.step(ctx, lesson{"reason", reason.ReasonShard, reason.ReasonBatch}, in); err != nil {
			return err
		}
	}
	if judged {
		in.Share, in.Before, in.Price, in.Reasoned = b.share(n, b.judge()), &b.state.Plan.Price, b.state.Plan.Judge.Price, reasoned
		in.Last = last
		if rows, err = b.step(ctx, lesson{"judge", judge.JudgeShard, judge.JudgeBatch}, in); err != nil {
			return err
		}
	}
	b.state.Progress.Rows += rows
	b.state.Progress.ShardsDone++
	return nil
}

// lesson is a step that asks a teacher: its name in rejects and its activities.
type lesson struct {
	name         string
	shard, batch any
}

// step runs one step on one shard, as often as its grant was too small or a person resumes the build, and counts what came of it.
func (b *build) step(ctx workflow.Context, l lesson, in activities.ShardInput) (rows int, err error) {
	var out activities.ShardResult
	for done := false; !done; done = out.Short == nil {
		var grant rebased.Amount
		earlier := out
		in.Settled = earlier.Spent
		if b.state.Purse.capped() {
			if grant, err = b.take(ctx, b.width(), out.Short); err != nil {
				return 0, err
			}
			in.Grant = b.state.Purse.grant(earlier.Spent, grant)
		}
		if b.state.Plan.Batch {
			if err := b.batched(ctx, l.batch, in); err != nil {
				return 0, err
			}
		}
		out = activities.ShardResult{}
		if err := b.ask(ctx, l.shard, in, &out); err != nil {
			return 0, err
		}
		b.state.Purse.settle(grant, out.Spent.Sub(earlier.Spent))
		b.showSpend()
		calls := &b.state.Progress.Calls // answers of earlier runs are counted again by the next, failures are not
		*calls = calls.Add(rebased.Calls{
			Made: out.Calls.Made - earlier.Calls.Made, Reused: out.Calls.Reused - earlier.Calls.Reused, Failed: out.Calls.Failed,
		})
	}
	p := &b.state.Progress
	p.Tokens = p.Tokens.Add(out.Tokens)
	b.state.Tokens[l.name] = b.state.Tokens[l.name].Add(out.Tokens)
	b.reject(l.name, out.Rejected)
	p.Asked += out.Rows
	for _, reason := range workflow.DeterministicKeys(out.Rejected) {
		p.Asked += out.Rejected[reason]
	}
	return out.Rows, nil
}

// ask runs an activity that asks a teacher, in one of the build's lanes.
func (b *build) ask(ctx workflow.Context, activity any, in activities.ShardInput, out any) error {
	if err := b.asking.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.asking.Release(1)
	return b.untilResumed(ctx, func() error {
		return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stepOptions), activity, in).Get(ctx, out)
	})
}

// reject counts rejects of a step.
func (b *build) reject(step string, reasons map[rebased.Reason]int) {
	if b.state.Rejected[step] == nil {
		b.state.Rejected[step] = map[rebased.Reason]int{}
	}
	for _, reason := range workflow.DeterministicKeys(reasons) {
		b.state.Rejected[step][reason] += reasons[reason]
		b.state.Progress.Rejected[reason] += reasons[reason]
	}
}

// result is the build's result at this moment.
func (b *build) result(ctx workflow.Context, state rebased.State) rebased.BuildResult {
	return rebased.BuildResult{
		Build: b.ref.Build, Task: b.ref.Task, Version: b.state.Progress.Version, State: state,
		CostUSD: b.state.Purse.Spent.USD(), DecidedBy: b.decidedBy, Seconds: workflow.Now(ctx).Sub(b.state.Started).Seconds(), Counts: b.state.Progress.Counts,
	}
}

// ended records how a build failed or was canceled and gives the error that ends the workflow.
func (b *build) ended(ctx workflow.Context, err error) error {
	state, detail := rebased.StateFailed, messageOf(err)
	if temporal.IsCanceledError(err) {
		state, detail = rebased.StateCanceled, "canceled"
	}
	result := b.result(ctx, state)
	result.Detail = detail
	b.setState(ctx, state, detail)
	if b.ref.TaskKey != "" { // before that nothing was done
		disconnected, cancel := workflow.NewDisconnectedContext(ctx)
		defer cancel()
		b.cancelBatches(disconnected)
		b.record(disconnected, result)
	}
	b.pauseSchedule(ctx, err)
	return err
}

// record writes result.json. The result stands in the workflow's history too, so that a bucket that is down does not fail a finished build.
func (b *build) record(ctx workflow.Context, result rebased.BuildResult) {
	var a *activities.Handoff
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, recordOptions), a.Record, result).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Error("result.json was not written", "error", err)
	}
}
