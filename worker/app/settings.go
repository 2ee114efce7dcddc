package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "go.temporal.io/sdk/worker"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/qdrant"
	"github.com/rebased/rebased/infra/teacher/anthropic"
	"github.com/rebased/rebased/infra/teacher/bedrock"
	"github.com/rebased/rebased/infra/teacher/openai"
	"github.com/rebased/rebased/infra/telemetry"
)

// DefaultHealthAddress is where health and metrics are served when nothing else is set: loopback only.
const DefaultHealthAddress = "127.0.0.1:7239"

// settings are what the environment says.
type settings struct {
	environ environment

	version sdk.WorkerDeploymentVersion // of the worker; zero = unversioned

	store         string
	qdrantURL     string
	qdrantAPIKey  string
	qdrantCA      string            // file; "" = the system's authorities
	collection    qdrant.Collection // how collections are made
	openAIBaseURL string
	openAIAPIKey  string

	anthropicBaseURL string
	anthropicAPIKey  string

	hubEndpoint string // "" = the public hub
	hubToken    string // "" = public repositories only

	bedrockBaseURL string // "" = that of the AWS region
	bedrockAPIKey  string // "" = requests are signed

	webhookSecrets string // that requests are signed with; "" = there are no webhooks
	webhookAllow   string // targets that are no addresses of the public internet
	sqsEndpoint    string // "" = SQS's own
	commands       string // that versions may be handed to; "" = none

	origins       []string      // that may be sent the key, beside that of openAIBaseURL
	prices        string        // file; "" = none
	healthAddress string        // "" = none
	onnxruntime   string        // shared library; "" = none
	grace         time.Duration // that calls to teachers have at a stop
	log           telemetry.LogForm
	dedupe        dedupeSettings
}

// dedupeSettings are how a deduplication uses machines.
type dedupeSettings struct {
	memory      int // bytes of what rows are compared by, before it goes to a file
	shardedFrom int // rows from which it is split over workers; 0 = never
}

// Defaults of dedupeSettings.
const (
	dedupeMiB         = 16
	dedupeShardedFrom = 200_000
)

// What calls to teachers have at a stop, in seconds. With what follows it stays under the 30 s that Kubernetes gives a pod.
const (
	stopGrace    = 15
	maxStopGrace = 3600
)

// secrets are what must stand in no log.
func (s *settings) secrets() []string {
	secrets := []string{
		s.qdrantAPIKey, s.openAIAPIKey, s.anthropicAPIKey, s.bedrockAPIKey, s.hubToken, s.environ.get("TEMPORAL_API_KEY", ""),
		s.environ.get("AWS_SECRET_ACCESS_KEY", ""), s.environ.get("AWS_SESSION_TOKEN", ""),
	}
	for entry := range strings.FieldsSeq(s.webhookSecrets) { // [origin=]whsec_…
		_, secret, named := strings.Cut(entry, "whsec_")
		if !named {
			secret = entry
		}
		secrets = append(secrets, secret)
	}
	for entry := range strings.FieldsFuncSeq(s.environ.get("REBASED_PAYLOAD_KEYS", ""), func(r rune) bool { return r == ',' || r == '\n' }) { // name=key
		if _, key, named := strings.Cut(entry, "="); named {
			secrets = append(secrets, strings.TrimSpace(key))
		}
	}
	return append(secrets, telemetry.Secrets(func(name string) string { return s.environ.get(name, "") })...)
}

// number reads a whole number from least to most.
func (e environment) number(name string, otherwise, least, most int) (int, error) {
	text := e.get(name, "")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, rebased.E(rebased.Invalid, "%s: must be a whole number from %d to %d, got %.40q", name, least, most, text)
	}
	return n, nil
}

// environment implements envconfig.EnvLookup over a list of NAME=value.
type environment []string

func (e environment) Environ() []string { return e }

func (e environment) LookupEnv(name string) (string, bool) {
	for _, v := range slices.Backward(e) {
		if key, value, ok := strings.Cut(v, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

func (e environment) get(name, otherwise string) string {
	if value, ok := e.LookupEnv(name); ok && value != "" {
		return value
	}
	return otherwise
}

// versioned reads the names that Temporal's Worker Controller gives to a worker.
func (s *settings) versioned() error {
	s.version = sdk.WorkerDeploymentVersion{DeploymentName: s.environ.get("TEMPORAL_DEPLOYMENT_NAME", ""), BuildID: s.environ.get("TEMPORAL_WORKER_BUILD_ID", "")}
	switch v := s.version; {
	case (v.DeploymentName == "") != (v.BuildID == ""):
		return rebased.E(rebased.Invalid, "TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID are set together: one names the deployment, the other its version")
	case strings.ContainsAny(v.DeploymentName, ".:"): // by which Temporal parts the two
		return rebased.E(rebased.Invalid, "TEMPORAL_DEPLOYMENT_NAME must have no '.' and no ':', got %.80q", v.DeploymentName)
	}
	return nil
}

// healthAddressOf gives the address of the health endpoint, "" for none.
func healthAddressOf(e environment) string {
	address := e.get("REBASED_HEALTH_ADDR", DefaultHealthAddress)
	if address == "off" {
		return ""
	}
	return address
}

func settingsFrom(environ []string) (settings, error) {
	e := environment(environ)
	s := settings{
		environ: e, store: e.get("REBASED_STORE", ""),
		qdrantURL: e.get("QDRANT_URL", ""), qdrantAPIKey: e.get("QDRANT_API_KEY", ""), qdrantCA: e.get("REBASED_QDRANT_CA", ""),
		openAIBaseURL: e.get("OPENAI_BASE_URL", ""), openAIAPIKey: e.get("OPENAI_API_KEY", ""),
		anthropicBaseURL: e.get("ANTHROPIC_BASE_URL", ""), anthropicAPIKey: e.get("ANTHROPIC_API_KEY", ""),
		bedrockBaseURL: e.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", ""), bedrockAPIKey: e.get("AWS_BEARER_TOKEN_BEDROCK", ""),
		hubEndpoint: e.get("HF_ENDPOINT", ""), hubToken: e.get("HF_TOKEN", ""),
		webhookSecrets: e.get("REBASED_WEBHOOK_SECRET", ""), webhookAllow: e.get("REBASED_WEBHOOK_ALLOW", ""),
		sqsEndpoint: e.get("AWS_ENDPOINT_URL_SQS", ""), commands: e.get("REBASED_HANDOFF_COMMANDS", ""),
		prices:        e.get("REBASED_PRICES", ""),
		onnxruntime:   e.get("ORT_DYLIB_PATH", ""),
		healthAddress: healthAddressOf(e),
	}
	switch {
	case s.store == "":
		return s, rebased.E(rebased.Invalid, "REBASED_STORE is not set: set it to s3://bucket[/prefix]")
	case s.qdrantURL == "":
		return s, rebased.E(rebased.Invalid, "QDRANT_URL is not set: set it to the address of Qdrant, for instance http://127.0.0.1:6334")
	}
	if err := s.versioned(); err != nil {
		return s, err
	}
	grace, err := e.number("REBASED_STOP_GRACE_SECONDS", stopGrace, 0, maxStopGrace)
	if err != nil {
		return s, err
	}
	s.grace = time.Duration(grace) * time.Second
	if s.log, err = telemetry.ParseLogForm(e.get("REBASED_LOG", "")); err != nil {
		return s, fmt.Errorf("REBASED_LOG: %w", err)
	}
	memory, err := e.number("REBASED_DEDUPE_MEMORY_MIB", dedupeMiB, 1, 1<<20)
	if err != nil {
		return s, err
	}
	s.dedupe.memory = memory << 20
	if s.dedupe.shardedFrom, err = e.number("REBASED_DEDUPE_SHARD_ROWS", dedupeShardedFrom, 0, 1<<30); err != nil {
		return s, err
	}
	if s.collection, err = qdrant.ParseCollection(e.get("REBASED_QDRANT_COLLECTION", "")); err != nil {
		return s, fmt.Errorf("REBASED_QDRANT_COLLECTION: %w", err)
	}
	if _, err := openai.New(openai.Config{BaseURL: s.openAIBaseURL}); err != nil {
		return s, fmt.Errorf("OPENAI_BASE_URL: %w", err)
	}
	if _, err := anthropic.New(anthropic.Config{BaseURL: s.anthropicBaseURL}); err != nil {
		return s, fmt.Errorf("ANTHROPIC_BASE_URL: %w", err)
	}
	if s.bedrockBaseURL != "" {
		if _, err := bedrock.New(bedrock.Config{BaseURL: s.bedrockBaseURL}); err != nil {
			return s, fmt.Errorf("AWS_ENDPOINT_URL_BEDROCK_RUNTIME: %w", err)
		}
	}
	for i, entry := range strings.Split(e.get("REBASED_TEACHER_ORIGINS", ""), ",") {
		entry = strings.TrimSuffix(strings.TrimSpace(entry), "/")
		switch o := origin(entry); {
		case entry == "":
		case !strings.EqualFold(o, entry):
			return s, rebased.E(rebased.Invalid, "REBASED_TEACHER_ORIGINS: each must be http(s)://host[:port] and no more, number %d is not", i+1)
		default:
			s.origins = append(s.origins, o)
		}
	}
	return s, nil
}
