// Package app is the command line `rebased` as a value: everything that it touches comes in as an argument, so that a test runs it in process.
//
// It stands at the user's end of the flow: it checks a task file, the connections and the corpus before anything is spent, starts workflows and
// follows them, takes a person's decisions to them, and reads versions from the bucket. What a command does with Temporal is in package cluster,
// what it says in package console.
package app

import (
	"context"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/s3"
	"github.com/rebased/rebased/infra/telemetry"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
)

// Main runs one command and gives its exit status. Ctrl-C ends what the command waits for and never what it has started; a second one ends the
// program at once. An error is one line on stderr.
func Main(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // what comes after the first signal has its usual effect
	a := newApp(environ, stdin, stdout, stderr)
	return a.run(ctx, args)
}

// app is one run of the program.
type app struct {
	environ []string
	stdin   io.Reader
	console *console.Console

	store             string // flags, over the environment
	temporalAddress   string
	temporalNamespace string

	traces *telemetry.Traces // nil before Temporal is connected to

	// How connections are made: another way in tests.
	dial func(ctx context.Context, o cluster.Options) (*cluster.Cluster, error)
	open func(ctx context.Context, uri string) (store, error)
}

// store is the bucket, which also knows its address.
type store interface {
	rebased.Objects
	URI(key string) string
	Ping(ctx context.Context) error
	Read(ctx context.Context) error
	Upload(ctx context.Context) error
	Skew(ctx context.Context) (skew, took time.Duration, err error)
}

func newApp(environ []string, stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{
		environ: environ, stdin: stdin, console: console.New(stdout, stderr),
		dial: cluster.Dial,
		open: func(ctx context.Context, uri string) (store, error) { return s3.Open(ctx, uri) },
	}
}

// tracesWithin is how long a collector may take to have the traces of a command at its end.
const tracesWithin = 3 * time.Second

func (a *app) run(ctx context.Context, args []string) int {
	defer a.deliver(context.WithoutCancel(ctx))
	root := a.root() //nolint:contextcheck // commands get theirs from ExecuteContext
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.console.Out)
	root.SetErr(a.console.Err)
	return a.finish(ctx, root.ExecuteContext(ctx))
}

// deliver sends the traces of a command that has ended.
func (a *app) deliver(ctx context.Context) {
	if a.traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tracesWithin)
	defer cancel()
	if err := a.traces.Close(ctx); err != nil {
		a.undelivered(err)
	}
}

// undelivered says that a collector did not take a trace, without what it says back of the headers that it was sent.
func (a *app) undelivered(err error) {
	said := err.Error()
	for _, secret := range telemetry.Secrets(a.getenv) {
		said = strings.ReplaceAll(said, secret, "***")
	}
	a.console.Notef("rebased: the trace of this command was not delivered: %s: check OTEL_EXPORTER_OTLP_ENDPOINT", rebased.Quote(said, ""))
}

// getenv reads the environment that came in.
func (a *app) getenv(name string) string {
	for _, entry := range slices.Backward(a.environ) {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// connect reaches Temporal. What it starts is traced, where a collector is named.
func (a *app) connect(ctx context.Context) (*cluster.Cluster, error) {
	if a.traces == nil {
		telemetry.Undelivered(a.undelivered)
		traces, err := telemetry.OpenTraces(ctx, "rebased", a.getenv)
		if err != nil {
			return nil, err
		}
		a.traces = traces
	}
	return a.dial(ctx, cluster.Options{Address: a.temporalAddress, Namespace: a.temporalNamespace, Environ: a.environ, Prepare: a.traces.Temporal})
}

// bucket opens the store that --store or REBASED_STORE names. It connects to nothing yet.
func (a *app) bucket(ctx context.Context) (store, error) {
	uri := a.store
	if uri == "" {
		uri = a.getenv("REBASED_STORE")
	}
	if uri == "" {
		return nil, rebased.E(rebased.Invalid, "no store is set: set REBASED_STORE, or give --store s3://bucket[/prefix]")
	}
	return a.open(ctx, uri)
}
