package handoff

import (
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
)

func TestARejectionStandsInTheRecordOnceAndReleasesNothing(t *testing.T) {
	v, a, _ := twoVersions(t)
	no := Rejection{Build: "b1", By: "Bob", Reason: "thin", At: decided}
	for range 2 {
		if err := v.Reject(t.Context(), "capitals", a, no); err != nil {
			t.Fatal(err)
		}
	}
	record, err := v.Record(t.Context(), "capitals", a)
	if err != nil || len(record.Releases) != 0 || len(record.Rejected) != 1 || record.Rejected[0] != no || record.ManifestSHA256 == "" {
		t.Errorf("%+v, %v", record, err)
	}
	if _, found, err := v.Latest(t.Context(), "capitals"); found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	if released, err := v.Released(t.Context(), "capitals"); len(released) != 0 || err != nil {
		t.Errorf("released %v, %v", released, err)
	}
	if err := v.Reject(t.Context(), "capitals", "000000000000", no); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("of a version that is not there: %v", err)
	}

	again := stage(t, v, input())
	if len(again.Closed) != 1 || !strings.HasPrefix(again.Closed[0], "this version was rejected by Bob on ") || !strings.HasSuffix(again.Closed[0], ": thin") {
		t.Errorf("made again it says %q", again.Closed)
	}
	mustRelease(t, v, release(a, "b2", 5))
	record, err = v.Record(t.Context(), "capitals", a)
	if err != nil || len(record.Releases) != 1 || len(record.Rejected) != 1 || record.refused() != "" {
		t.Errorf("released after all: %+v, %v", record, err)
	}
	record.RolledBack = []Rollback{{By: "Cleo", Reason: "worse", At: decided.Add(time.Hour)}}
	if said := record.refused(); !strings.HasPrefix(said, "this version was rolled back by Cleo on ") {
		t.Errorf("%q", said)
	}
}
