package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"

	"github.com/rebased/rebased"
)

func TestDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.temporal.Workers, w.temporal.Attributes, w.temporal.Namespace.Retention = 0, []string{"RebasedState"}, 24*time.Hour
	w.bucket.probe.ping = rebased.E(rebased.Invalid, "bucket b ignores If-Match: use a server that honours conditional writes")
	w.bucket.probe.upload = rebased.E(rebased.Unauthorized, "put probes/x: AccessDenied")
	w.bucket.probe.skew = -2 * time.Minute
	status, stdout, stderr := w.run("doctor")
	want := regexp.MustCompile(`^temporal +ok +localhost:7233, namespace default
namespace +warn +keeps what has ended for 1d00h only, .*: temporal operator namespace update --retention 30d.*
search attributes +fail +namespace default has no search attribute RebasedTask: temporal operator search-attribute create --address localhost:7233 --namespace default --name RebasedTask --type Keyword
worker +fail +no worker on task queue "rebased" of localhost:7233, namespace default: start rebased-worker
schedules +ok +0, none is paused
bucket +fail +bucket b ignores If-Match: use a server that honours conditional writes
bucket reads +ok +what is written is read and listed
bucket uploads +fail +put probes/x: AccessDenied: check AWS_\* and allow s3:PutObject and s3:AbortMultipartUpload
clock +warn +-2m0s from the bucket's: set this machine's clock by NTP, and those of workers
qdrant +warn +QDRANT_URL is not set here: not checked: .*
teacher +ok +OPENAI_API_KEY is set; .*
prices +ok +\d+ models, the built-in table; .*
payloads +ok +not encrypted, REBASED_PAYLOAD_KEYS is not set
$`)
	if status != 2 || !want.MatchString(stdout) || stderr != "" {
		t.Errorf("status %d\n%s%swant\n%s", status, stdout, stderr, want)
	}
}

func TestDoctorSaysWhatPayloadsAreEncryptedWith(t *testing.T) {
	w := newWorld(t)
	w.environ = append(w.environ, payloadKey)
	if _, stdout, _ := w.run("doctor"); !strings.Contains(stdout, "encrypted with key k1, read with 1") {
		t.Errorf("%s", stdout)
	}
}

func TestDoctorFindsWrongTypesAndWhoMayNotSeeThem(t *testing.T) {
	w := newWorld(t)
	w.temporal.Namespace.Texts = []string{"RebasedTask"}
	w.says("search attributes", checkFail, "search attribute RebasedTask of namespace default is not of type Keyword: "+
		"temporal operator search-attribute remove --address localhost:7233 --namespace default --name RebasedTask, then "+
		"temporal operator search-attribute create --address localhost:7233 --namespace default --name RebasedTask --type Keyword")
	w.temporal.Namespace.Forbidden = serviceerror.NewPermissionDenied("no", "")
	w.says("search attributes", checkOK, "RebasedTask and RebasedState; this key may not see their types")
	w.temporal.Attributes = nil
	w.says("search attributes", checkFail, "namespace default has no search attribute RebasedTask")
	w.temporal.Namespace.Missing = serviceerror.NewNamespaceNotFound("default")
	w.says("namespace", checkFail, "has no namespace")
}

func TestDoctorWarnsOfUploadsThatCannotBeAborted(t *testing.T) {
	w := newWorld(t)
	w.bucket.probe.upload = &rebased.Error{Kind: rebased.Unauthorized, Op: "abort probes/x", Err: errors.New("AccessDenied")}
	w.says("bucket uploads", checkWarn, "abort probes/x: AccessDenied")
}

func TestDoctorTellsSchedulesThatStandOrFail(t *testing.T) {
	w := newWorld(t)
	w.corpus()
	w.want([]string{"schedule", "create", "--cron", "0 2 * * *", "-f", w.task()}, 0, "…", "…")
	w.want(args("schedule pause squad"), 0, "…", "…")
	w.says("schedules", checkWarn, "1, paused: squad")
	w.want(args("schedule trigger squad"), 0, "…", "…")
	night := w.temporal.Runs()[0]
	night.End(nil, temporal.NewNonRetryableApplicationError("teacher is gone", "unavailable", nil))
	w.says("schedules", checkWarn, "1, whose last build failed: "+strings.TrimPrefix(night.ID, "build/"))
}

// oldQdrant answers as a server of an old version.
type oldQdrant struct {
	qdrant.UnimplementedQdrantServer
}

func (oldQdrant) HealthCheck(context.Context, *qdrant.HealthCheckRequest) (*qdrant.HealthCheckReply, error) {
	return &qdrant.HealthCheckReply{Version: "1.15.4"}, nil
}

func TestDoctorAsksQdrantForItsVersion(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	qdrant.RegisterQdrantServer(server, oldQdrant{})
	go server.Serve(listener)
	defer server.Stop()
	w := newWorld(t)
	w.environ = []string{"QDRANT_URL=http://" + listener.Addr().String(), "QDRANT_API_KEY=geheim"}
	w.says("qdrant", checkFail, "version 1.15.4 is too old")
	w.environ = []string{"QDRANT_URL=http://geheim@127.0.0.1:1"}
	w.says("qdrant", checkFail, "QDRANT_URL must be")
}

func TestDoctorAsksTheHubWithoutGivingItsTokenAway(t *testing.T) {
	var elsewhere http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere = r.Header }))
	defer other.Close()
	status := http.StatusFound
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", other.URL)
		w.WriteHeader(status)
	}))
	defer hub.Close()
	w := newWorld(t)
	w.environ = []string{"HF_ENDPOINT=" + hub.URL, "HF_TOKEN=geheim"}
	w.says("hub", checkOK, hub.URL+" answers")
	if elsewhere != nil {
		t.Errorf("another server was asked: %v", elsewhere)
	}
	status = http.StatusUnauthorized
	w.says("hub", checkFail, "refuses the token")
	w.environ = []string{"HF_ENDPOINT=http://geheim:@127.0.0.1:1", "OPENAI_BASE_URL=http://geheim@127.0.0.1:1/v1?key=geheim", "HF_TOKEN=geheim"}
	w.says("hub", checkFail, "http://127.0.0.1:1 does not answer")
}

// says runs the doctor and looks at one of its findings.
func (w *world) says(check, status, detail string) {
	w.t.Helper()
	code, stdout, stderr := w.run("doctor", "--json")
	if strings.Contains(stdout+stderr, "geheim") {
		w.t.Errorf("a secret is printed: %s%s", stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			w.t.Fatalf("%v: %s", err, line)
		}
		if f.Check == check {
			if f.Status != status || !strings.Contains(f.Detail, detail) || (status == checkFail) && code != 2 {
				w.t.Errorf("exit status %d: %s, want %s, %s", code, line, status, detail)
			}
			return
		}
	}
	w.t.Errorf("no finding %s in\n%s", check, stdout)
}

func TestErrorsAreSortedByWhetherAnythingWasSpent(t *testing.T) {
	plain := errors.New("disk full")
	for _, c := range []struct {
		err    error
		status int
	}{
		{rebased.E(rebased.Unavailable, "Temporal is down"), exitRefused},
		{failed{rebased.E(rebased.Unavailable, "Temporal went down")}, exitFailed},
		{plain, exitFailed},
		{&ended{exitWaits}, exitWaits},
		{nil, exitDone},
	} {
		a := newApp(nil, nil, io.Discard, io.Discard)
		if got := a.finish(context.Background(), c.err); got != c.status {
			t.Errorf("%v: status %d, want %d", c.err, got, c.status)
		}
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if got := newApp(nil, nil, io.Discard, io.Discard).finish(canceled, context.Canceled); got != exitCanceled {
		t.Errorf("interrupted: status %d", got)
	}
}
