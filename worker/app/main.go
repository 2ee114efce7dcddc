// Package app is the worker as a value: it reads the settings, wires adapters into activities and workflows, and polls the task queue until it
// is told to stop.
package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/telemetry"
)

// program is what this program is called where it is seen.
const program = "rebased-worker"

// Exit statuses.
const (
	exitDone    = 0
	exitFailed  = 1
	exitRefused = 2
)

const usage = `rebased-worker runs the steps of imports, index runs and builds.

It takes no arguments but --health, which asks the worker of the same environment whether it is alive, as containers without a shell need it.
Settings come from the environment:
  TEMPORAL_*              Temporal (address, namespace, TLS, API key)
  TEMPORAL_DEPLOYMENT_NAME, TEMPORAL_WORKER_BUILD_ID
                          the worker deployment and version that this worker is of; without them it is unversioned
  REBASED_PAYLOAD_KEYS    NAME=KEY[,NAME=KEY...]: encrypt what goes to Temporal with the first, read with all; or
  REBASED_PAYLOAD_KEYS_FILE
                          a file of such entries, one a line
  REBASED_STORE           s3://bucket[/prefix]
  AWS_*                   credentials, region, AWS_ENDPOINT_URL_S3
  QDRANT_URL              http(s)://host[:port]; QDRANT_API_KEY
  REBASED_QDRANT_CA       file of the authorities that vouch for Qdrant's certificate, in PEM
  REBASED_QDRANT_COLLECTION
                          how collections are made: shards=N, replicas=N, consistency=N, on-disk, int8, separated by commas
  OPENAI_BASE_URL         the teacher's server; OPENAI_API_KEY
  ANTHROPIC_BASE_URL      Anthropic, where it is not api.anthropic.com; ANTHROPIC_API_KEY
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME
                          Bedrock, where it is not that of AWS_REGION; AWS_BEARER_TOKEN_BEDROCK, or AWS_* credentials
  REBASED_TEACHER_ORIGINS other origins that may be sent a provider's key, separated by commas
  REBASED_WEBHOOK_SECRET  whsec_… that webhooks of handoff are signed with; several, separated by spaces, while they are rotated
  REBASED_WEBHOOK_ALLOW   host:port and networks (CIDR), separated by commas, that webhooks may reach besides https on the public internet
  REBASED_HANDOFF_COMMANDS
                          name=/path/to/program, separated by commas, that versions may be handed to; default none
  AWS_ENDPOINT_URL_SQS    SQS, where it is another server
  REBASED_PRICES          file of what models cost, before the built-in table
  REBASED_DEDUPE_MEMORY_MIB
                          what a deduplication holds of shingles and vectors before they go to a file in TMPDIR, default 16
  REBASED_DEDUPE_SHARD_ROWS
                          rows from which a deduplication is split over workers, default 200000; 0 = never
  REBASED_HEALTH_ADDR     /healthz, /readyz and /metrics, default 127.0.0.1:7239; "off" for none
  REBASED_STOP_GRACE_SECONDS
                          how long calls to teachers are waited for at a stop, default 15
  REBASED_LOG             json or text, and debug, info, warn or error, separated by a comma; default json,info
  OTEL_*                  OTEL_EXPORTER_OTLP_ENDPOINT sends metrics and traces to a collector, over HTTP
`

// Main runs the worker until SIGTERM or Ctrl-C, after which calls to teachers that are under way have some time to be answered, and gives its exit status: 0 stopped, 1 failed, 2 refused for its settings.
func Main(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("rebased-worker", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	health := flags.Bool("health", false, "ask the worker of the same environment whether it is alive")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "rebased-worker: %v: see --help\n", err)
		return exitRefused
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "rebased-worker: takes no argument, got %q: see --help\n", flags.Arg(0))
		return exitRefused
	}
	if *health {
		if err := ask(ctx, healthAddressOf(environment(environ))); err != nil {
			fmt.Fprintf(stderr, "rebased-worker: %v\n", err)
			return exitFailed
		}
		return exitDone
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	settings, err := settingsFrom(environ)
	if err != nil {
		fmt.Fprintf(stderr, "rebased-worker: %v\n", err)
		return exitRefused
	}
	log := telemetry.NewLog(stderr, settings.log, settings.secrets()...)
	err = run(ctx, settings, log)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "rebased-worker: %v\n", err)
	if rebased.KindOf(err) == rebased.Invalid { // an adapter does not take its settings
		return exitRefused
	}
	return exitFailed
}
