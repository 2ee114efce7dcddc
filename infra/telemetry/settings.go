// Package telemetry is what operators see of a program: metrics for Prometheus and OTLP, traces for OTLP, and logs that name build, shard and trace.
//
// It implements the observers of the cores and adapters over OpenTelemetry and is wired in worker/app and starter/app; nothing else knows of it.
// Names of metrics, spans and their labels hold no text of rows, prompts, answers or keys.
package telemetry

import (
	"context"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/rebased/rebased"
)

// settings are what the OTEL_* variables say that this package decides by. What exporters and samplers read themselves is left to them.
type settings func(name string) string

// sends tells whether a signal (TRACES or METRICS) goes to a collector. Invalid: a variable asks for what is not there.
func (get settings) sends(signal string) (bool, error) {
	if strings.EqualFold(get("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	name := "OTEL_" + signal + "_EXPORTER"
	switch exporter := get(name); exporter {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, rebased.E(rebased.Invalid, "%s: must be otlp or none, got %.40q", name, exporter)
	}
	if get("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && get("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") == "" {
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := get(name); protocol != "" {
			if protocol != "http/protobuf" {
				return false, rebased.E(rebased.Invalid, "%s: this program speaks http/protobuf alone (port 4318 of a collector), got %.40q", name, protocol)
			}
			break
		}
	}
	return true, nil
}

// Secrets are the values of the headers that a collector is sent, which some collectors say back.
func Secrets(getenv func(string) string) (values []string) {
	for _, of := range []string{"", "TRACES_", "METRICS_"} {
		for header := range strings.SplitSeq(getenv("OTEL_EXPORTER_OTLP_"+of+"HEADERS"), ",") {
			_, value, _ := strings.Cut(header, "=")
			if value = strings.TrimSpace(value); value == "" {
				continue
			}
			values = append(values, value)
			if sent, err := url.PathUnescape(value); err == nil && sent != value {
				values = append(values, sent)
			}
		}
	}
	return values
}

// describe says which process speaks; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before what is known here.
func describe(ctx context.Context, service string) (*resource.Resource, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	version, _, _ := build()
	return resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", service),
			attribute.String("service.version", version),
			attribute.String("service.instance.id", host+"-"+strconv.Itoa(os.Getpid())),
		),
		resource.WithFromEnv(),
	)
}

// build tells what the Go tool noted in the program.
func build() (version, revision, goVersion string) {
	version, revision = "(devel)", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision, ""
	}
	if info.Main.Version != "" {
		version = info.Main.Version
	}
	const short = 12
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value[:min(short, len(s.Value))]
		}
	}
	return version, revision, info.GoVersion
}

// outcome is what came of a call or a step, as a label.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if kind := rebased.KindOf(err); kind != "" {
		return string(kind)
	}
	return "failed"
}

func invalid(signal string, err error) error {
	return rebased.E(rebased.Invalid, "send %s to the collector of OTEL_EXPORTER_OTLP_ENDPOINT: %w", signal, err)
}
