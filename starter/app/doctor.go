package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	neturl "net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
)

// checkWait bounds each check of the doctor.
const checkWait = 10 * time.Second

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check every connection and say what to do",
		Long: `Check every connection and say what to do. Qdrant and the teacher are the worker's to reach: they are checked with the settings of
this shell, which tells about the worker as far as both have the same.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what is there, or what is wrong and what to do
}

func (a *app) doctor(ctx context.Context) error {
	findings := a.checkTemporal(ctx)
	findings = append(findings, found(ctx, "bucket", a.checkBucket), found(ctx, "qdrant", a.checkQdrant), found(ctx, "teacher", a.checkTeacher), found(ctx, "payloads", a.checkPayloads))
	healthy := true
	for i := range findings {
		findings[i].Detail = console.OneLine(findings[i].Detail)
		healthy = healthy && findings[i].OK
	}
	report := struct {
		OK     bool      `json:"ok"`
		Checks []finding `json:"checks"`
	}{healthy, findings}
	err := a.console.Result(report, func(w io.Writer) {
		rows := make([][]string, len(findings))
		for i, f := range findings {
			rows[i] = []string{f.Check, map[bool]string{true: "ok", false: "failed"}[f.OK], f.Detail}
		}
		console.Table(w, nil, rows)
	})
	if err == nil && !healthy {
		return &ended{exitFailed}
	}
	return err
}

// found runs a check with its own patience.
func found(ctx context.Context, check string, run func(ctx context.Context) (detail string, err error)) finding {
	ctx, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	detail, err := run(ctx)
	if err != nil {
		detail = err.Error()
	}
	return finding{Check: check, OK: err == nil, Detail: detail}
}

// checkTemporal checks what hangs on one connection.
func (a *app) checkTemporal(ctx context.Context) []finding {
	temporal, err := a.connect(ctx)
	if err != nil {
		later := "cannot be checked without Temporal"
		return []finding{{"temporal", false, err.Error()}, {"search attributes", false, later}, {"worker", false, later}}
	}
	defer temporal.Close()
	return []finding{
		{"temporal", true, temporal.String()},
		found(ctx, "search attributes", func(ctx context.Context) (string, error) {
			return cluster.SearchAttributes, temporal.RequireSearchAttributes(ctx)
		}),
		found(ctx, "worker", func(ctx context.Context) (string, error) { return temporal.Workers(ctx) }),
	}
}

func (a *app) checkBucket(ctx context.Context) (string, error) {
	bucket, err := a.bucket(ctx)
	if err != nil {
		return "", err
	}
	return bucket.URI(""), bucket.Ping(ctx)
}

func (a *app) checkQdrant(ctx context.Context) (string, error) {
	url := a.getenv("QDRANT_URL")
	if url == "" {
		return "", rebased.E(rebased.Invalid, "QDRANT_URL is not set: set it to the address of Qdrant, for instance http://127.0.0.1:6334")
	}
	u, err := neturl.Parse(url)
	if err != nil || u.Hostname() == "" {
		return "", rebased.E(rebased.Invalid, "QDRANT_URL must look like http://host:6334")
	}
	port := u.Port()
	if port == "" || port == "6333" { // the address of its REST interface, with gRPC on the port after it
		port = "6334"
	}
	address := net.JoinHostPort(u.Hostname(), port)
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		if dial, ok := errors.AsType[*net.OpError](err); ok {
			err = dial.Err
		}
		return "", rebased.E(rebased.Unavailable, "nothing answers at %s (%w): start Qdrant, or set QDRANT_URL", address, err)
	}
	return address + " answers; that it takes the key is for the worker to see", connection.Close()
}

func (a *app) checkPayloads(ctx context.Context) (string, error) {
	codec, err := payload.Load(ctx, cluster.Environ(a.environ))
	if err != nil {
		return "", err
	}
	return codec.String(), nil
}

func (a *app) checkTeacher(context.Context) (string, error) {
	server := a.getenv("OPENAI_BASE_URL")
	switch {
	case a.getenv("OPENAI_API_KEY") != "" && server != "":
		return fmt.Sprintf("OPENAI_BASE_URL is %s, OPENAI_API_KEY is set", server), nil
	case a.getenv("OPENAI_API_KEY") != "":
		return "OPENAI_API_KEY is set, for the server that the task file or the default names", nil
	case server != "":
		return fmt.Sprintf("OPENAI_BASE_URL is %s, without OPENAI_API_KEY: right for a server that asks for none", server), nil
	}
	return "", rebased.E(rebased.Invalid, "neither OPENAI_API_KEY nor OPENAI_BASE_URL is set: set them where the worker runs, and here")
}
