package app

import (
	"context"
	"fmt"
	"net/http"
	neturl "net/url"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/payload"
	"github.com/rebased/rebased/infra/pricing"
	"github.com/rebased/rebased/infra/qdrant"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
)

// Bounds of the doctor.
const (
	checkWait     = 10 * time.Second   // each check; they run side by side
	leastKept     = 3 * 24 * time.Hour // of what has ended, so that a person finds on Monday what failed on Friday
	mostSkew      = 30 * time.Second   // signatures are refused from a quarter of an hour on
	refusedSkew   = 15 * time.Minute   //
	mostScheduled = 20                 // schedules whose last build is looked at
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check every connection and say what to do",
		Long: `Check every connection and say what to do: one line a check, ok, warn or fail. Status 0 when nothing failed, else 2.

Qdrant, the teacher, the hub and prices are the worker's: they are checked with the settings of this shell, which tells about the worker as far as
both have the same. What is not set here is a warning.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn, fail
	Detail string `json:"detail"` // what is there, or what is wrong
	Mend   string `json:"mend,omitempty"`
}

// Statuses of a finding.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

func fine(format string, args ...any) finding {
	return finding{Status: checkOK, Detail: fmt.Sprintf(format, args...)}
}

func warn(mend, format string, args ...any) finding {
	return finding{Status: checkWarn, Detail: fmt.Sprintf(format, args...), Mend: mend}
}

// wrong is an error as a finding. mend stands beside what the error says itself; "" = that says it.
func wrong(err error, mend string) finding {
	return finding{Status: checkFail, Detail: err.Error(), Mend: mend}
}

// check is one thing that is looked at.
type check struct {
	name string
	run  func(ctx context.Context) finding
}

func (a *app) doctor(ctx context.Context) error {
	checks := append(a.temporalChecks(ctx), a.bucketChecks(ctx)...)
	checks = append(checks, check{"qdrant", a.checkQdrant}, check{"teacher", a.checkTeacher}, check{"prices", a.checkPrices}, check{"payloads", a.checkPayloads})
	if a.getenv("HF_ENDPOINT") != "" {
		checks = append(checks, check{"hub", a.checkHub})
	}
	findings := examine(ctx, checks)
	err := console.List(a.console, findings, "", nil, func(f finding) []string {
		detail := f.Detail
		if f.Mend != "" {
			detail += ": " + f.Mend
		}
		return []string{f.Check, f.Status, detail}
	})
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Status == checkFail {
			return &ended{exitRefused}
		}
	}
	return nil
}

// examine runs checks side by side, each with its own patience, and gives what they found in their order.
func examine(ctx context.Context, checks []check) []finding {
	findings := make([]finding, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkWait)
			defer cancel()
			f := c.run(ctx)
			f.Check, f.Detail, f.Mend = c.name, console.OneLine(f.Detail), console.OneLine(f.Mend)
			findings[i] = f
		})
	}
	running.Wait()
	return findings
}

// temporalChecks share one connection.
func (a *app) temporalChecks(ctx context.Context) []check {
	connect := sync.OnceValues(func() (*cluster.Cluster, error) { return a.connect(ctx) })
	on := func(run func(context.Context, *cluster.Cluster) finding) func(context.Context) finding {
		return func(ctx context.Context) finding {
			temporal, err := connect()
			if err != nil {
				return finding{Status: checkFail, Detail: "cannot be checked without Temporal"}
			}
			return run(ctx, temporal)
		}
	}
	return []check{
		{"temporal", func(context.Context) finding {
			temporal, err := connect()
			if err != nil {
				return wrong(err, "")
			}
			return fine("%s", temporal)
		}},
		{"namespace", on(checkNamespace)},
		{"search attributes", on(checkAttributes)},
		{"worker", on(func(ctx context.Context, temporal *cluster.Cluster) finding {
			workers, err := temporal.Workers(ctx)
			if err != nil {
				return wrong(err, "")
			}
			return fine("%s", workers)
		})},
		{"schedules", on(checkSchedules)},
	}
}

func checkNamespace(ctx context.Context, temporal *cluster.Cluster) finding {
	kept, err := temporal.Retention(ctx)
	switch {
	case rebased.KindOf(err) == rebased.Unauthorized:
		return warn("ask who runs Temporal for its retention", "this key may not look at the namespace")
	case err != nil:
		return wrong(err, "")
	case kept < leastKept:
		return warn("temporal operator namespace update --retention 30d, or another that outlasts a weekend", "keeps what has ended for %s only, then nobody can tell why a build failed", short(kept))
	}
	return fine("keeps what has ended for %s", short(kept))
}

func checkAttributes(ctx context.Context, temporal *cluster.Cluster) finding {
	typed, err := temporal.CheckSearchAttributes(ctx)
	switch {
	case err != nil:
		return wrong(err, "")
	case !typed:
		return fine("%s; this key may not see their types", cluster.SearchAttributes)
	}
	return fine("%s, of type Keyword", cluster.SearchAttributes)
}

func checkSchedules(ctx context.Context, temporal *cluster.Cluster) finding {
	schedules, err := temporal.Schedules(ctx)
	if err != nil {
		return wrong(err, "")
	}
	var paused, failed []string
	for i, s := range schedules {
		if s.Paused {
			paused = append(paused, s.Task)
		}
		if s.Corpus != "" || len(s.Last) == 0 || i >= mostScheduled {
			continue
		}
		last, err := temporal.Describe(ctx, s.Task, s.Last[len(s.Last)-1].Build)
		if err == nil && last.State == rebased.StateFailed {
			failed = append(failed, last.Name())
		}
	}
	switch {
	case len(failed) > 0:
		return warn("rebased builds show "+failed[0], "%d, whose last build failed: %s", len(schedules), strings.Join(failed, ", "))
	case len(paused) > 0:
		return warn("rebased schedule resume "+paused[0], "%d, paused: %s", len(schedules), strings.Join(paused, ", "))
	}
	return fine("%d, none is paused", len(schedules))
}

// bucketChecks prove what the pipeline does with the bucket.
func (a *app) bucketChecks(ctx context.Context) []check {
	bucket, err := a.bucket(ctx)
	if err != nil {
		return []check{{"bucket", func(context.Context) finding { return wrong(err, "") }}}
	}
	proves := func(probe func(context.Context) error, said, mend string) func(context.Context) finding {
		return func(ctx context.Context) finding {
			err := probe(ctx)
			if rebased.KindOf(err) == rebased.Unauthorized && strings.HasPrefix(err.Error(), "abort ") {
				return warn("allow s3:AbortMultipartUpload, or give the bucket a lifecycle rule AbortIncompleteMultipartUpload", "%v", err)
			}
			if rebased.KindOf(err) == rebased.Unauthorized {
				return wrong(err, mend)
			}
			if err != nil {
				return wrong(err, "")
			}
			return fine("%s", said)
		}
	}
	return []check{
		{"bucket", proves(bucket.Ping, bucket.URI("")+" honours If-None-Match and If-Match", "check AWS_* and allow s3:PutObject, s3:GetObject and s3:DeleteObject")},
		{"bucket reads", proves(bucket.Read, "what is written is read and listed", "check AWS_* and allow s3:GetObject, s3:PutObject, s3:DeleteObject, and s3:ListBucket on the bucket")},
		{"bucket uploads", proves(bucket.Upload, "objects of several parts, under a condition", "check AWS_* and allow s3:PutObject and s3:AbortMultipartUpload")},
		{"clock", func(ctx context.Context) finding { return checkClock(ctx, bucket) }},
	}
}

func checkClock(ctx context.Context, bucket store) finding {
	skew, took, err := bucket.Skew(ctx)
	mend := "set this machine's clock by NTP, and those of workers"
	switch {
	case err != nil:
		return warn("see the lines above", "not known: %v", err)
	case skew.Abs() >= refusedSkew:
		return wrong(fmt.Errorf("%s from the bucket's, which refuses signatures of another time", skew), mend) //nolint:err113 // a finding
	case skew.Abs() > mostSkew:
		return warn(mend, "%s from the bucket's", skew)
	}
	return fine("within %s of the bucket's, which answers in %s", max(time.Second, skew.Abs()), took.Round(time.Millisecond))
}

func (a *app) checkQdrant(ctx context.Context) finding {
	url := a.getenv("QDRANT_URL")
	if url == "" {
		return warn("set it, and QDRANT_API_KEY, to those of the worker to check it from here", "QDRANT_URL is not set here: not checked")
	}
	index, err := qdrant.Open(qdrant.Config{URL: url, APIKey: a.getenv("QDRANT_API_KEY"), CA: a.getenv("REBASED_QDRANT_CA"), Timeout: checkWait})
	if err != nil {
		return wrong(err, "")
	}
	defer index.Close()
	version, err := index.Version(ctx)
	if err != nil {
		return wrong(err, "start Qdrant, or set QDRANT_URL")
	}
	if qdrant.OldVersion(version) {
		return wrong(rebased.E(rebased.Invalid, "version %s is too old", version), "use "+qdrant.Least+" or later")
	}
	start := time.Now()
	if err := index.Ping(ctx); err != nil {
		return wrong(err, "set QDRANT_API_KEY to a key of this server")
	}
	return fine("version %s, takes the key and answers in %s", version, time.Since(start).Round(time.Millisecond))
}

func (a *app) checkPayloads(ctx context.Context) finding {
	codec, err := payload.Load(ctx, cluster.Environ(a.environ))
	if err != nil {
		return wrong(err, "")
	}
	return fine("%s", codec)
}

// checkTeacher tells what is set: the worker has the keys, and asks the model itself before a row is retrieved.
func (a *app) checkTeacher(context.Context) finding {
	const ask = "; that it answers is the worker's to see: rebased preview -f TASK.yaml --transform -n 1 asks it for one row"
	server := a.getenv("OPENAI_BASE_URL")
	if u, err := neturl.Parse(server); err == nil {
		server = shownURL(u)
	} else {
		server = "no URL"
	}
	var keys []string
	for _, name := range []string{"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"} {
		if a.getenv(name) != "" {
			keys = append(keys, name)
		}
	}
	switch {
	case len(keys) > 0 && server != "":
		return fine("%s set, OPENAI_BASE_URL is %s%s", are(keys), server, ask)
	case len(keys) > 0:
		return fine("%s set%s", are(keys), ask)
	case server != "":
		return fine("OPENAI_BASE_URL is %s, without a key%s", server, ask)
	}
	return warn("rebased preview -f TASK.yaml --transform -n 1 asks it for one row", "no key of a teacher is set here, the worker's is not seen")
}

// shownURL is an address without what may be a secret in it: its user, password and query.
func shownURL(u *neturl.URL) string {
	return (&neturl.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func are(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

func (a *app) checkPrices(context.Context) finding {
	file := a.getenv("REBASED_PRICES")
	prices, err := pricing.Open(file)
	if err != nil {
		return wrong(err, "")
	}
	if file == "" {
		return fine("%d models, the built-in table; REBASED_PRICES of the worker adds others", prices.Models())
	}
	return fine("%d models, with those of %s", prices.Models(), file)
}

func (a *app) checkHub(ctx context.Context) finding {
	u, err := neturl.Parse(strings.TrimSuffix(a.getenv("HF_ENDPOINT"), "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return wrong(rebased.E(rebased.Invalid, "HF_ENDPOINT must look like https://host"), "")
	}
	shown := shownURL(u)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String()+"/api/datasets?limit=1", nil)
	if err != nil {
		return wrong(rebased.E(rebased.Invalid, "HF_ENDPOINT must look like https://host"), "")
	}
	if token := a.getenv("HF_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // no other host sees the token
	answer, err := client.Do(request)
	if err != nil {
		return finding{Status: checkFail, Detail: shown + " does not answer", Mend: "set HF_ENDPOINT, or unset it for https://huggingface.co"}
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return finding{Status: checkFail, Detail: shown + " refuses the token", Mend: "set HF_TOKEN to one that is valid, or unset it for public datasets"}
	case answer.StatusCode >= http.StatusInternalServerError:
		return finding{Status: checkFail, Detail: fmt.Sprintf("%s answers %s", shown, answer.Status), Mend: "try again later"}
	}
	return fine("%s answers", shown)
}
