package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rebased/rebased/infra/local/stacktest"
)

// TestTheDoctorKnowsTheRealServers: what Temporal says of its search attributes, what S3 refuses, Qdrant's version.
func TestTheDoctorKnowsTheRealServers(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	doctor := func(want int) map[string]string {
		t.Helper()
		out, errs, code := s.Run("doctor", "--json")
		if code != want {
			t.Errorf("exit status %d, want %d\n%s%s", code, want, out, errs)
		}
		details := map[string]string{}
		for line := range strings.Lines(out) {
			var f struct{ Check, Status, Detail string }
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			details[f.Check] = f.Status + " " + f.Detail
		}
		return details
	}
	wants := func(details map[string]string, check, prefix string) {
		t.Helper()
		if !strings.HasPrefix(details[check], prefix) {
			t.Errorf("%s: %s, want %s", check, details[check], prefix)
		}
	}
	healthy := doctor(0)
	for check, detail := range healthy {
		wants(healthy, check, "ok ")
		t.Log(check, detail)
	}
	wants(healthy, "search attributes", "ok RebasedTask and RebasedState, of type Keyword")
	s.SetEnv("TEMPORAL_NAMESPACE=nowhere", "QDRANT_API_KEY=wrong", "AWS_SECRET_ACCESS_KEY=wrong")
	ill := doctor(2)
	for _, check := range []string{"namespace", "search attributes", "worker", "bucket", "bucket reads", "bucket uploads", "qdrant"} {
		wants(ill, check, "fail ")
	}
}
