package app

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/worker"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/qdrant"
	"github.com/rebased/rebased/infra/telemetry"
)

const secret = "sk-secret-0123456789"

// needed is the least that a worker is told.
var needed = []string{"REBASED_STORE=s3://bucket/prefix", "QDRANT_URL=http://127.0.0.1:6334"}

func settingsOf(t *testing.T, more ...string) settings {
	t.Helper()
	s, err := settingsFrom(append(append([]string{"PATH=/bin"}, needed...), more...))
	if err != nil {
		t.Fatal(err)
	}
	s.environ = nil
	return s
}

func TestTheLogKnowsTheSecretsOfTheEnvironment(t *testing.T) {
	s, err := settingsFrom(append([]string{
		"REBASED_PAYLOAD_KEYS=2026-11 = canary01\n2026-10=canary02,plain", "REBASED_WEBHOOK_SECRET=https://a.example=whsec_canary03 whsec_canary04", "HF_TOKEN=canary05",
		"OTEL_EXPORTER_OTLP_HEADERS=x-a=canary06,x-b = %63anary07,basic=Basic%20canary16", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=x=canary08", "AWS_SECRET_ACCESS_KEY=canary09", "AWS_SESSION_TOKEN=canary10",
		"TEMPORAL_API_KEY=canary11", "OPENAI_API_KEY=canary12", "ANTHROPIC_API_KEY=canary13", "AWS_BEARER_TOKEN_BEDROCK=canary14", "QDRANT_API_KEY=canary15",
	}, needed...))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	log := telemetry.NewLog(&out, telemetry.LogForm{}, s.secrets()...)
	for n := 1; n <= 16; n++ {
		log.Info(strings.ReplaceAll(fmt.Sprintf("canary%02d", n), "canary16", "Basic canary16"))
	}
	if strings.Contains(out.String(), "canary") {
		t.Errorf("the log says:\n%s", out.String())
	}
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	standard := dedupeSettings{memory: 16 << 20, shardedFrom: 200_000}
	for name, c := range map[string]struct {
		environ []string
		want    settings
	}{
		"defaults": {nil, settings{store: "s3://bucket/prefix", qdrantURL: "http://127.0.0.1:6334", healthAddress: "127.0.0.1:7239", dedupe: standard, grace: 15 * time.Second}},
		"empty is as not set": {
			[]string{"REBASED_HEALTH_ADDR=", "OPENAI_BASE_URL=", "REBASED_TEACHER_ORIGINS="},
			settings{store: "s3://bucket/prefix", qdrantURL: "http://127.0.0.1:6334", healthAddress: "127.0.0.1:7239", dedupe: standard, grace: 15 * time.Second},
		},
		"the last one counts": {
			[]string{"REBASED_STORE=s3://one", "REBASED_STORE=s3://two", "NO_VALUE"},
			settings{store: "s3://two", qdrantURL: "http://127.0.0.1:6334", healthAddress: "127.0.0.1:7239", dedupe: standard, grace: 15 * time.Second},
		},
		"all": {
			[]string{
				"QDRANT_API_KEY=q", "OPENAI_BASE_URL=http://own:8000/v1", "OPENAI_API_KEY=" + secret, "REBASED_HEALTH_ADDR=off",
				"REBASED_TEACHER_ORIGINS= https://A.example/ ,,http://b:1",
				"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=https://gateway/b", "AWS_BEARER_TOKEN_BEDROCK=" + secret,
				"REBASED_QDRANT_CA=/ca.pem", "REBASED_QDRANT_COLLECTION=shards=6,int8",
				"REBASED_DEDUPE_MEMORY_MIB=256", "REBASED_STOP_GRACE_SECONDS=60", "REBASED_LOG=text,debug", "REBASED_DEDUPE_SHARD_ROWS=0",
				"TEMPORAL_DEPLOYMENT_NAME=rebased", "TEMPORAL_WORKER_BUILD_ID=2026.11",
				"REBASED_WEBHOOK_SECRET=" + secret, "REBASED_WEBHOOK_ALLOW=10.0.0.0/8", "REBASED_HANDOFF_COMMANDS=a=/b", "AWS_ENDPOINT_URL_SQS=http://sqs:1",
			},
			settings{
				store: "s3://bucket/prefix", qdrantURL: "http://127.0.0.1:6334", qdrantAPIKey: "q", openAIBaseURL: "http://own:8000/v1", openAIAPIKey: secret,
				qdrantCA: "/ca.pem", collection: qdrant.Collection{Shards: 6, Int8: true},
				bedrockBaseURL: "https://gateway/b", bedrockAPIKey: secret, origins: []string{"https://a.example", "http://b:1"},
				dedupe: dedupeSettings{memory: 256 << 20}, version: worker.WorkerDeploymentVersion{DeploymentName: "rebased", BuildID: "2026.11"},
				grace: time.Minute, log: telemetry.LogForm{Text: true, Level: slog.LevelDebug},
				webhookSecrets: secret, webhookAllow: "10.0.0.0/8", commands: "a=/b", sqsEndpoint: "http://sqs:1",
			},
		},
	} {
		if diff := cmp.Diff(c.want, settingsOf(t, c.environ...), cmp.AllowUnexported(settings{}, dedupeSettings{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSettingsThatCannotBeUsedAreNamed(t *testing.T) {
	for _, c := range []struct{ environ, name string }{
		{"REBASED_STORE=", "REBASED_STORE"},
		{"TEMPORAL_WORKER_BUILD_ID=v1", "TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID"},
		{"TEMPORAL_DEPLOYMENT_NAME=rebased", "TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID"},
		{"QDRANT_URL=", "QDRANT_URL"},
		{"REBASED_QDRANT_COLLECTION=nodes=3", "REBASED_QDRANT_COLLECTION"},
		{"REBASED_DEDUPE_MEMORY_MIB=0", "REBASED_DEDUPE_MEMORY_MIB"},
		{"REBASED_DEDUPE_SHARD_ROWS=many", "REBASED_DEDUPE_SHARD_ROWS"},
		{"OPENAI_BASE_URL=localhost:8000", "OPENAI_BASE_URL"},
		{"OPENAI_BASE_URL=https://user:" + secret + "@host/v1", "OPENAI_BASE_URL"},
		{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.example", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"},
		{"REBASED_TEACHER_ORIGINS=openrouter.ai", "REBASED_TEACHER_ORIGINS"},
		{"REBASED_TEACHER_ORIGINS=https://a.example,https://openrouter.ai/api/v1", "REBASED_TEACHER_ORIGINS"},
		{"REBASED_TEACHER_ORIGINS=https://user:" + secret + "@a.example", "REBASED_TEACHER_ORIGINS"},
		{"REBASED_TEACHER_ORIGINS=*", "REBASED_TEACHER_ORIGINS"},
	} {
		_, err := settingsFrom(append(append([]string{}, needed...), c.environ))
		if rebased.KindOf(err) != rebased.Invalid || !strings.HasPrefix(err.Error(), c.name) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", c.environ, err)
		}
	}
}
