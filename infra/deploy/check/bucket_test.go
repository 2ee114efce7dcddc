package check

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestTheLifecycleRulesAreS3s decodes the rules as the AWS command line does, by the names of the API.
func TestTheLifecycleRulesAreS3s(t *testing.T) {
	var rules types.BucketLifecycleConfiguration
	decoder := json.NewDecoder(bytes.NewReader(file(t, "s3/lifecycle.json")))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Rules {
		prefix := *r.Filter.Prefix
		if r.Status != types.ExpirationStatusEnabled || r.ID == nil || !strings.HasPrefix(prefix, "PREFIX/") {
			t.Errorf("%+v", r)
		}
		expires := r.Expiration != nil && r.Expiration.Days != nil
		if expires && prefix != "PREFIX/uploads/" {
			t.Errorf("rule %s would expire %s, which is needed", *r.ID, prefix)
		}
	}
}

// statement is one of a policy.
type statement struct {
	Sid       string
	Effect    string
	Principal map[string]string `json:",omitempty"`
	Action    any
	Resource  any
}

// TestTheBucketOfTheComposeFileHasTheSamePermissions makes the gateway's policy of the two that are shipped for AWS. -update writes it.
func TestTheBucketOfTheComposeFileHasTheSamePermissions(t *testing.T) {
	var all []statement
	for _, c := range []struct{ who, policy string }{{"worker", "worker"}, {"worker", "gc"}, {"starter", "starter"}} {
		who := c.who
		text := strings.NewReplacer("BUCKET/PREFIX", "rebased", "BUCKET", "rebased").Replace(string(file(t, "s3/"+c.policy+"-policy.json")))
		var policy struct{ Statement []statement }
		if err := json.Unmarshal([]byte(text), &policy); err != nil {
			t.Fatal(err)
		}
		for _, s := range policy.Statement {
			s.Sid, s.Principal = who+s.Sid, map[string]string{"AWS": "rebased-" + who}
			all = append(all, s)
		}
	}
	want, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": all}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	const name = "compose/bucket-policy.json"
	if *update {
		if err := os.WriteFile("../"+name, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(file(t, name), want) {
		t.Errorf("%s is not what the policies say: run go test ./... -update in infra/deploy/check", name)
	}
}
