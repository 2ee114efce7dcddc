package app

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

func TestDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.temporal.Workers, w.temporal.Attributes = 0, nil
	status, stdout, _ := w.run("doctor")
	want := regexp.MustCompile(`^temporal +ok +localhost:7233, namespace default
search attributes +failed +namespace default has no search attribute RebasedTask: temporal operator search-attribute create --name RebasedTask --type Keyword
worker +failed +no worker on task queue "rebased" of localhost:7233, namespace default: start rebased-worker
bucket +ok +s3://bucket/
qdrant +failed +QDRANT_URL is not set: .*
teacher +ok +OPENAI_API_KEY is set, .*
payloads +ok +not encrypted, REBASED_PAYLOAD_KEYS is not set
$`)
	if status != 1 || !want.MatchString(stdout) {
		t.Errorf("status %d\n%swant\n%s", status, stdout, want)
	}
}

func TestDoctorSaysWhatPayloadsAreEncryptedWith(t *testing.T) {
	w := newWorld(t)
	w.environ = append(w.environ, payloadKey)
	if _, stdout, _ := w.run("doctor"); !strings.Contains(stdout, "encrypted with key k1, read with 1") {
		t.Errorf("%s", stdout)
	}
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
