// Package clustertest is a small Temporal in memory for tests of the command line: workflows that a test plays by hand, a task queue with or
// without a worker, schedules that fire when triggered. Errors are those of the SDK.
package clustertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	deploymentpb "go.temporal.io/api/deployment/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/workflows"
)

var _ cluster.Temporal = (*Temporal)(nil)

// Temporal is the server. Set its fields before it is used.
type Temporal struct {
	Workers    int            // that poll the task queue
	Asleep     bool           // the workers poll no more, but are still remembered
	Version    string         // of the workers, DEPLOYMENT:BUILD; "" = they have none
	Current    string         // that new workflows go to; "" = workers without one
	Fails      string         // why the workers fail at every task; "" = they do not
	Attributes []string       // search attributes of the namespace
	Namespace  Namespace      // what the namespace is besides
	Play       func(run *Run) // plays each workflow that is started, in a goroutine of its own
	Update     func(run *Run, name string, decision any) (rebased.Progress, error)

	// Lose gives the error of a call, by its method's name, that has taken effect and whose answer is lost; nil = it is answered. Drop is of those that
	// do not reach the server.
	Drop, Lose func(call string) error

	mu        sync.Mutex
	runs      []*Run
	schedules map[string]*schedule
	clock     time.Time
	made      int // runs
}

// Run is one workflow.
type Run struct {
	ID      string
	Type    string
	Input   json.RawMessage
	Options client.StartWorkflowOptions
	// Heartbeats are the details of its pending activities, set before it is looked at; a []any is of several values.
	Heartbeats []any

	mu       sync.Mutex
	progress any
	result   any
	err      error
	status   enumspb.WorkflowExecutionStatus
	state    rebased.State // the search attribute
	run      string
	first    string // run
	started  time.Time
	ended    time.Time
	canceled chan struct{}
	done     chan struct{}
	followed sync.Once
	follow   chan struct{}
	answers  sync.Once
	asked    chan struct{}
}

// Show sets what the query answers, and the state that lists tell.
func (r *Run) Show(progress any, state rebased.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress, r.state = progress, state
}

// End ends the workflow with a result, or with an error of a workflow function.
func (r *Run) End(result any, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result, r.status = result, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	if build, ok := result.(rebased.BuildResult); ok {
		r.state = build.State
	}
	if err != nil {
		r.err, r.status = executionError(err), enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	}
	r.close()
}

// Canceled is closed when somebody asks the workflow to stop.
func (r *Run) Canceled() <-chan struct{} { return r.canceled }

// Followed is closed when somebody waits for the end.
func (r *Run) Followed() <-chan struct{} { return r.follow }

// Asked is closed when a query was answered with what Show had set.
func (r *Run) Asked() <-chan struct{} { return r.asked }

// EndCanceled ends the workflow as canceled.
func (r *Run) EndCanceled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.status = executionError(workflow.ErrCanceled), enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED
	r.close()
}

func (r *Run) close() {
	r.ended = r.started.Add(90 * time.Second)
	close(r.done)
}

// executionError is the error that the SDK gives for a workflow that ended with an error: made by the SDK itself.
func executionError(err error) error {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.ExecuteWorkflow(func(workflow.Context) error { return err })
	return env.GetWorkflowError()
}

// through does a call, unless it is dropped, and loses its answer where that is wanted.
func through[T any](t *Temporal, call string, do func() (T, error)) (out T, err error) {
	if t.Drop != nil {
		if err := t.Drop(call); err != nil {
			return out, err
		}
	}
	if out, err = do(); err == nil && t.Lose != nil {
		err = t.Lose(call)
	}
	return out, err
}

// Runs gives all workflows so far, in the order of their start.
func (t *Temporal) Runs() []*Run {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.runs)
}

// Add puts a workflow in as if it had been started before.
func (t *Temporal) Add(id, workflowType string) *Run {
	return t.start(client.StartWorkflowOptions{ID: id}, workflowType, nil)
}

// Continue ends a run as continued by another one, a day later, and gives that.
func (t *Temporal) Continue(run *Run) *Run {
	t.mu.Lock()
	t.clock = t.clock.Add(24 * time.Hour)
	t.mu.Unlock()
	next := t.start(run.Options, run.Type, run.Input)
	next.first = run.first
	run.mu.Lock()
	defer run.mu.Unlock()
	run.status = enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
	run.close()
	return next
}

// Forget takes a run that has ended out, as Temporal does after a while.
func (t *Temporal) Forget(run *Run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs = slices.DeleteFunc(t.runs, func(r *Run) bool { return r == run })
}

func (t *Temporal) start(options client.StartWorkflowOptions, workflowType string, input any) *Run {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clock.IsZero() {
		t.clock = time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	}
	t.clock = t.clock.Add(time.Minute)
	body, _ := json.Marshal(input) // inputs are plain structs
	run := &Run{
		ID: options.ID, Type: workflowType, Input: body, Options: options, status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		state: rebased.StateRunning, started: t.clock, canceled: make(chan struct{}), done: make(chan struct{}), follow: make(chan struct{}), asked: make(chan struct{}),
	}
	t.made++
	run.run = fmt.Sprintf("run-%d", t.made)
	run.first = run.run
	t.runs = append(t.runs, run)
	return run
}

func (t *Temporal) find(id string) (*Run, error) { return t.findRun(id, "") }

// findRun finds one run of a workflow; "" = the last.
func (t *Temporal) findRun(id, runID string) (*Run, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, run := range slices.Backward(t.runs) {
		if run.ID == id && (runID == "" || run.run == runID) {
			return run, nil
		}
	}
	return nil, serviceerror.NewNotFound("workflow not found for ID: " + id)
}

// ExecuteWorkflow implements cluster.Temporal.
func (t *Temporal) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, workflowType any, args ...any) (client.WorkflowRun, error) {
	return through(t, "ExecuteWorkflow", func() (client.WorkflowRun, error) { return t.execute(o, workflowType, args[0]) })
}

func (t *Temporal) execute(o client.StartWorkflowOptions, workflowType, input any) (client.WorkflowRun, error) {
	if old, err := t.find(o.ID); err == nil {
		old.mu.Lock()
		open := old.status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		old.mu.Unlock()
		if open || o.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE {
			return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("Workflow execution is already running", "", "")
		}
	}
	run := t.start(o, workflowType.(string), input)
	if t.works() && t.Play != nil {
		go t.Play(run)
	}
	return handle{run: run}, nil
}

// GetWorkflow implements cluster.Temporal.
func (t *Temporal) GetWorkflow(_ context.Context, id, _ string) client.WorkflowRun {
	run, err := t.find(id)
	return handle{run: run, err: err}
}

// handle is a client.WorkflowRun.
type handle struct {
	client.WorkflowRun
	run *Run
	err error
}

func (h handle) GetID() string    { return h.run.ID }
func (h handle) GetRunID() string { return h.run.run }

func (h handle) Get(ctx context.Context, into any) error {
	if h.err != nil {
		return h.err
	}
	h.run.followed.Do(func() { close(h.run.follow) })
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-h.run.done:
	}
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.run.err != nil {
		return h.run.err
	}
	return copyInto(into, h.run.result)
}

func (h handle) GetWithOptions(ctx context.Context, into any, _ client.WorkflowRunGetOptions) error {
	return h.Get(ctx, into)
}

func copyInto(into, from any) error {
	body, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// QueryWorkflow implements cluster.Temporal: without a worker nobody answers.
func (t *Temporal) QueryWorkflow(_ context.Context, id, _, _ string, _ ...any) (converter.EncodedValue, error) {
	if t.Drop != nil {
		if err := t.Drop("QueryWorkflow"); err != nil {
			return nil, err
		}
	}
	run, err := t.find(id)
	if err != nil {
		return nil, err
	}
	if !t.works() {
		return nil, serviceerror.NewDeadlineExceeded("context deadline exceeded")
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.progress != nil {
		run.answers.Do(func() { close(run.asked) })
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(run.progress)
	return client.NewValue(payloads), err
}

// UpdateWorkflow implements cluster.Temporal.
func (t *Temporal) UpdateWorkflow(_ context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	return through(t, "UpdateWorkflow", func() (client.WorkflowUpdateHandle, error) { return t.update(o) })
}

func (t *Temporal) update(o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	run, err := t.find(o.WorkflowID)
	if err != nil {
		return nil, err
	}
	run.mu.Lock()
	open := run.status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	run.mu.Unlock()
	if !open {
		return nil, serviceerror.NewNotFound("workflow execution already completed")
	}
	progress, err := t.Update(run, o.UpdateName, o.Args[0])
	return updated{progress: progress, err: err}, nil
}

type updated struct {
	client.WorkflowUpdateHandle
	progress rebased.Progress
	err      error
}

func (u updated) Get(_ context.Context, into any) error {
	if u.err != nil {
		return u.err
	}
	return copyInto(into, u.progress)
}

// CancelWorkflow implements cluster.Temporal.
func (t *Temporal) CancelWorkflow(_ context.Context, id, _ string) error {
	_, err := through(t, "CancelWorkflow", func() (struct{}, error) { return struct{}{}, t.cancel(id) })
	return err
}

func (t *Temporal) cancel(id string) error {
	run, err := t.find(id)
	if err != nil {
		return err
	}
	select {
	case <-run.done:
		return nil // as Temporal does
	default:
		close(run.canceled)
		return nil
	}
}

// TerminateWorkflow implements cluster.Temporal.
func (t *Temporal) TerminateWorkflow(_ context.Context, id, _, _ string, _ ...any) error {
	run, err := t.find(id)
	if err != nil {
		return err
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.err, run.status = executionError(errors.New("terminated")), enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
	run.close()
	return nil
}

// DescribeWorkflowExecution implements cluster.Temporal.
func (t *Temporal) DescribeWorkflowExecution(_ context.Context, id, run string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return through(t, "DescribeWorkflowExecution", func() (*workflowservice.DescribeWorkflowExecutionResponse, error) { return t.describe(id, run) })
}

func (t *Temporal) describe(id, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	run, err := t.findRun(id, runID)
	if err != nil {
		return nil, err
	}
	described := &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: run.info()}
	described.WorkflowExecutionInfo.FirstRunId = run.first // lists do not tell it
	for _, details := range run.Heartbeats {
		values, several := details.([]any)
		if !several {
			values = []any{details}
		}
		payloads, err := converter.GetDefaultDataConverter().ToPayloads(values...)
		if err != nil {
			return nil, err
		}
		described.PendingActivities = append(described.PendingActivities, &workflowpb.PendingActivityInfo{
			HeartbeatDetails: payloads, State: enumspb.PENDING_ACTIVITY_STATE_STARTED, LastWorkerIdentity: "1@worker",
		})
	}
	if !t.works() {
		described.WorkflowExecutionInfo.HistoryLength = 3 // as far as the server goes by itself
	}
	if t.Fails != "" {
		described.WorkflowExecutionInfo.HistoryLength = 4
		described.PendingWorkflowTask = &workflowpb.PendingWorkflowTaskInfo{Attempt: 2}
	}
	return described, nil
}

// works tells whether a worker does what there is to do.
func (t *Temporal) works() bool { return t.Workers > 0 && !t.Asleep && t.Fails == "" }

// GetWorkflowHistory implements cluster.Temporal: of the events there are those of tasks that failed.
func (t *Temporal) GetWorkflowHistory(context.Context, string, string, bool, enumspb.HistoryEventFilterType) client.HistoryEventIterator {
	if t.Fails == "" {
		return &events{}
	}
	return &events{{Attributes: &historypb.HistoryEvent_WorkflowTaskFailedEventAttributes{
		WorkflowTaskFailedEventAttributes: &historypb.WorkflowTaskFailedEventAttributes{Failure: temporal.GetDefaultFailureConverter().ErrorToFailure(errors.New(t.Fails))},
	}}}
}

type events []*historypb.HistoryEvent

func (e *events) HasNext() bool { return len(*e) > 0 }

func (e *events) Next() (*historypb.HistoryEvent, error) {
	first := (*e)[0]
	*e = (*e)[1:]
	return first, nil
}

func (r *Run) info() *workflowpb.WorkflowExecutionInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	state, _ := converter.GetDefaultDataConverter().ToPayload(r.state) // a text
	info := &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: r.ID, RunId: r.run},
		Type:      &commonpb.WorkflowType{Name: r.Type},
		Status:    r.status, StartTime: timestamppb.New(r.started), HistoryLength: 5,
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{workflows.AttributeState: state}},
	}
	if !r.ended.IsZero() {
		info.CloseTime = timestamppb.New(r.ended)
	}
	return info
}

// ListWorkflow implements cluster.Temporal. It knows the queries of package cluster alone.
func (t *Temporal) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	page := &workflowservice.ListWorkflowExecutionsResponse{}
	if attribute, _, _ := strings.Cut(request.GetQuery(), " "); attribute != "WorkflowType" && !slices.Contains(t.Attributes, attribute) {
		return nil, serviceerror.NewInvalidArgument("invalid query: unknown search attribute " + attribute)
	}
	_, task, byTask := strings.Cut(request.GetQuery(), ` AND RebasedTask = "`)
	for _, run := range slices.Backward(t.Runs()) {
		if run.Type == workflows.BuildDatasetName && (!byTask || strings.HasPrefix(run.ID, "build/"+strings.TrimSuffix(task, `"`)+"/")) {
			page.Executions = append(page.Executions, run.info())
		}
	}
	return page, nil
}

// DescribeTaskQueue implements cluster.Temporal.
func (t *Temporal) DescribeTaskQueue(context.Context, string, enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	queue := &workflowservice.DescribeTaskQueueResponse{}
	for range t.Workers {
		poller := &taskqueuepb.PollerInfo{LastAccessTime: timestamppb.New(time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC))}
		if deployment, build, ok := strings.Cut(t.Version, ":"); ok {
			poller.DeploymentOptions = &deploymentpb.WorkerDeploymentOptions{
				DeploymentName: deployment, BuildId: build, WorkerVersioningMode: enumspb.WORKER_VERSIONING_MODE_VERSIONED,
			}
		}
		queue.Pollers = append(queue.Pollers, poller)
	}
	if deployment, build, ok := strings.Cut(t.Current, ":"); ok {
		queue.VersioningInfo = &taskqueuepb.TaskQueueVersioningInfo{CurrentDeploymentVersion: &deploymentpb.WorkerDeploymentVersion{DeploymentName: deployment, BuildId: build}}
	}
	return queue, nil
}

// Close implements cluster.Temporal.
func (t *Temporal) Close() {}
