// Package cluster is Temporal as the command line sees it: connect, ask whether a worker is there, start and follow workflows, list builds, take
// a person's decision to them, keep schedules.
//
// It stands between the commands and the SDK. Its errors are one line with a kind of package rebased; what a workflow ended in is a *Failure.
package cluster

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	sdk "go.temporal.io/sdk/temporal"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
)

// Temporal is what the command line needs of the SDK's client.
type Temporal interface { //nolint:interfacebloat // a part of the SDK's client, which has many more
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	GetWorkflow(ctx context.Context, workflowID, runID string) client.WorkflowRun
	QueryWorkflow(ctx context.Context, workflowID, runID, queryType string, args ...any) (converter.EncodedValue, error)
	UpdateWorkflow(ctx context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error)
	CancelWorkflow(ctx context.Context, workflowID, runID string) error
	TerminateWorkflow(ctx context.Context, workflowID, runID, reason string, details ...any) error
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	GetWorkflowHistory(ctx context.Context, workflowID, runID string, isLongPoll bool, filterType enumspb.HistoryEventFilterType) client.HistoryEventIterator
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	DescribeTaskQueue(ctx context.Context, queue string, queueType enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error)
	ScheduleClient() client.ScheduleClient
	WorkflowService() workflowservice.WorkflowServiceClient
	OperatorService() operatorservice.OperatorServiceClient
	Close()
}

// Waits of the cluster's calls.
const (
	dialWait   = 3 * time.Second // to reach Temporal
	callWait   = 10 * time.Second
	queryWait  = 4 * time.Second  // for a worker to answer a query
	answerWait = 15 * time.Second // for a worker to answer an update
)

// Cluster is a connection to one namespace of Temporal.
type Cluster struct {
	temporal  Temporal
	address   string
	namespace string
	tick      time.Duration // between two looks at something that changes
	pickup    time.Duration // how long a worker has to take a started workflow
	silence   time.Duration // how long a followed workflow may not answer before the follower is told
	values    converter.DataConverter
	failures  converter.FailureConverter
}

const (
	usualTick   = 500 * time.Millisecond
	pickupTicks = 8 // four seconds: who starts something hears within five that no worker is there
	silentTicks = 10
)

// New makes a cluster of a connection that stands. tick is the time between two looks at something that changes; waits follow from it.
func New(temporal Temporal, address, namespace string, tick time.Duration) *Cluster {
	return &Cluster{
		temporal: temporal, address: address, namespace: namespace, tick: tick, pickup: pickupTicks * tick, silence: silentTicks * tick,
		values: converter.GetDefaultDataConverter(), failures: sdk.GetDefaultFailureConverter(),
	}
}

// Options names a Temporal. Empty fields are read from the TEMPORAL_* variables and the file of the Temporal command line.
type Options struct {
	Address   string // host:port
	Namespace string
	Environ   []string // name=value
	// Prepare, when set, has the last word on how to connect.
	Prepare func(*client.Options) error
}

// client gives the options of the SDK's client.
func (o Options) client() (client.Options, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: Environ(o.Environ)})
	if err != nil {
		return options, rebased.E(rebased.Invalid, "read the settings of Temporal (TEMPORAL_*): %w", err)
	}
	options.HostPort = cmp.Or(o.Address, options.HostPort, client.DefaultHostPort)
	options.Namespace = cmp.Or(o.Namespace, options.Namespace, client.DefaultNamespace)
	return options, nil
}

// Dial connects to Temporal. It fails within 5 s, beside what KMS takes to unwrap keys: Invalid for wrong settings, Unavailable when nothing answers.
func Dial(ctx context.Context, o Options) (*Cluster, error) {
	options, err := o.client()
	if err != nil {
		return nil, err
	}
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler)) // what a user must know comes as an error
	options.ConnectionOptions.GetSystemInfoTimeout = dialWait
	codec, err := payload.Load(ctx, Environ(o.Environ))
	if err != nil {
		return nil, err
	}
	codec.Configure(&options)
	if o.Prepare != nil {
		if err := o.Prepare(&options); err != nil {
			return nil, err
		}
	}
	c := New(nil, options.HostPort, options.Namespace, usualTick)
	c.values, c.failures = options.DataConverter, options.FailureConverter
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, c.unreachable(err)
	}
	c.temporal = temporal
	return c, nil
}

// Close ends the connection.
func (c *Cluster) Close() { c.temporal.Close() }

// String says where the cluster is.
func (c *Cluster) String() string { return c.address + ", namespace " + c.namespace }

// Tick is the time between two looks at something that changes.
func (c *Cluster) Tick() time.Duration { return c.tick }
