package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	vendor "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/auth"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub/hubtest"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
)

const (
	storePrefix = "store"
	sources     = "elsewhere" // a bucket that datasets are imported from
)

// ownNames stand for those in the files that are shipped.
var ownNames = []string{"BUCKET/PREFIX", folder.Bucket + "/" + storePrefix, "BUCKET", folder.Bucket, "SOURCE", sources}

// guarded is a stack whose worker and commands reach the bucket under the policies that are shipped, each its own.
type guarded struct {
	*stacktest.Stack
	t               *testing.T
	worker, starter *guard
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	s := &guarded{Stack: stacktest.Start(t, stacktest.Options{NoWorker: true}), t: t}
	client := bucketOf(t, s.Stack).client
	if _, err := client.CreateBucket(context.Background(), &vendor.CreateBucketInput{Bucket: aws.String(sources)}); err != nil {
		t.Fatal(err)
	}
	in := &vendor.PutObjectInput{Bucket: aws.String(sources), Key: aws.String("a--b/train.jsonl"), Body: bytes.NewReader([]byte(`{"q":"what S3 says"}` + "\n"))}
	if _, err := client.PutObject(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	own := ownNames
	gateway := s.Folder().Ports.Address(folder.S3)
	bucket := policyOf(t, "bucket-policy.json", own...)
	s.worker = newGuard(t, gateway, joined(t, policyOf(t, "worker-policy.json", own...), policyOf(t, "source-policy.json", own...), policyOf(t, "gc-policy.json", own...)), bucket)
	s.starter = newGuard(t, gateway, policyOf(t, "starter-policy.json", own...), bucket)
	return s
}

// startWorker starts the worker anew behind its guard, with more variables, and leaves the commands behind theirs.
func (s *guarded) startWorker(env ...string) {
	s.t.Helper()
	s.KillWorker()
	store := "REBASED_STORE=s3://" + folder.Bucket + "/" + storePrefix
	s.SetEnv(append(env, store, "AWS_ENDPOINT_URL_S3=http://"+s.worker.Address)...)
	s.StartWorker()
	s.SetEnv(store, "AWS_ENDPOINT_URL_S3=http://"+s.starter.Address)
}

// TestThePoliciesAllowAllThatIsNeededAndNothingElse goes through imports, indexes, builds, decisions and looks at versions with a worker and commands that have the
// permissions of infra/deploy/s3 and no others. Nothing may be refused, and every permission must have been needed by something.
func TestThePoliciesAllowAllThatIsNeededAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newGuarded(t)
	hub := hubtest.New(t)
	hub.Put(hubtest.Repo{Kind: "dataset", ID: "owner/set", Branches: map[string]map[string]string{"main": {"train.jsonl": rowsOf("what a hub says", 120_000)}}})
	s.startWorker("HF_ENDPOINT="+hub.URL, "REBASED_DEDUPE_SHARD_ROWS=1")
	s.importAndIndex()
	s.buildAndDecide()
	s.abandonUploads()
	s.collectGarbage()

	for name, g := range map[string]*guard{"worker": s.worker, "starter": s.starter} {
		if refused := g.refused(); len(refused) > 0 {
			t.Errorf("%s-policy.json refused what was needed:\n%s", name, strings.Join(refused, "\n"))
		}
		if needless := g.superfluous(t); len(needless) > 0 {
			t.Errorf("%s-policy.json allows what nothing needed:\n%s", name, strings.Join(needless, "\n"))
		}
		t.Logf("%s asked for %d things", name, len(g.asked))
	}
	checkForbidden(t, joined(t, policyOf(t, "worker-policy.json", ownNames...), policyOf(t, "bucket-policy.json", ownNames...)), s.starter.both)
}

// rowsOf makes n rows of JSON that differ.
func rowsOf(text string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"question":"%s, number %d?","answer":"the answer is %d, and more is not said here"}`+"\n", text, i, i*i)
	}
	return b.String()
}

// importAndIndex imports from a folder, a hub and another bucket, again with less, and indexes each time.
func (s *guarded) importAndIndex() {
	s.t.Helper()
	t := s.t
	must(t, s.Stack, "doctor")
	dir := demoCorpus(t)
	large := filepath.Join(dir, "large", "train.jsonl") // sent in parts
	if err := os.MkdirAll(filepath.Dir(large), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, []byte(rowsOf("how many", 120_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	imports := func(from ...string) {
		args := append([]string{"corpus", "import", "hub", "--keep-removed", "0s", "--max-rows-per-config", "200"}, from...)
		must(t, s.Stack, args...)
		must(t, s.Stack, "index", "hub")
	}
	imports(dir, "hf://owner/set@main", "s3://"+sources)
	if err := os.RemoveAll(filepath.Dir(large)); err != nil {
		t.Fatal(err)
	}
	imports(dir)
	must(t, s.Stack, "index", "hub", "--rebuild")
	must(t, s.Stack, "corpus", "ls")
	must(t, s.Stack, "corpus", "show", "hub")
}

// buildAndDecide releases two versions of a task, the second in batches, and asks about them in every way.
func (s *guarded) buildAndDecide() {
	s.t.Helper()
	t := s.t
	task := demoTask(t, 60, map[string]any{
		"handoff": map[string]any{"approval": true}, "reason": map[string]any{"mode": "rationale"}, "dedupe": map[string]any{"minhash": 0.5},
	})
	must(t, s.Stack, "estimate", "-f", task)
	must(t, s.Stack, "preview", "-f", task, "-n", "3", "--transform")
	first := s.approved(task)
	task = demoTask(t, 90, map[string]any{"transform": map[string]any{"batch": true}})
	second := result(t, must(t, s.Stack, "build", "-f", task, "--json"))
	if second.State != rebased.StateReleased || second.Version == first.Version {
		t.Fatalf("a larger build: %+v", second)
	}
	must(t, s.Stack, "versions", "ls", "demo")
	must(t, s.Stack, "versions", "show", "demo")
	must(t, s.Stack, "versions", "diff", "demo")
	must(t, s.Stack, "versions", "rollback", "demo", first.Version)
	must(t, s.Stack, "export", "demo", "--format", "alpaca")
	withdrawn := s.sourceOf(second.Version)
	must(t, s.Stack, "versions", "recall", withdrawn)
	must(t, s.Stack, "builds", "show", second.Build)
	must(t, s.Stack, "builds", "redrive", second.Build, "--without", withdrawn)
}

// sourceOf gives a dataset that rows of a version came from.
func (s *guarded) sourceOf(version string) string {
	s.t.Helper()
	var manifest struct{ Sources []struct{ Dataset string } }
	body := bucketOf(s.t, s.Stack).files(storePrefix + "/" + rebased.VersionKey("demo", version, "manifest.json"))[""]
	if err := json.Unmarshal([]byte(body), &manifest); err != nil || len(manifest.Sources) == 0 {
		s.t.Fatalf("no sources in the manifest %q: %v", body, err)
	}
	return manifest.Sources[0].Dataset
}

func (s *guarded) approved(task string) rebased.BuildResult {
	s.t.Helper()
	out, errs, code := s.Run("build", "-f", task, "--json")
	if code != 3 {
		s.t.Fatalf("exit status %d, want 3 (waits for a person): %s%s", code, out, errs)
	}
	build := result(s.t, out).Build
	must(s.t, s.Stack, "builds", "approve", build)
	return result(s.t, must(s.t, s.Stack, "builds", "watch", build, "--json"))
}

// abandonUploads begins files of many parts and drops them, as both programs do when a source breaks off.
func (s *guarded) abandonUploads() {
	s.t.Helper()
	for _, c := range []struct {
		guard *guard
		keys  []string
	}{
		{s.worker, []string{"imports/hub/run/fetched-0", "datasets/demo/0123456789ab/train.messages.jsonl"}},
		{s.starter, []string{"uploads/0123"}},
	} {
		f := s.Folder()
		client := vendor.New(vendor.Options{
			Region: folder.Region, BaseEndpoint: aws.String("http://" + c.guard.Address), UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(f.Credentials.S3AccessKey, f.Credentials.S3SecretKey, ""),
		})
		for _, key := range c.keys {
			bucket, key := aws.String(folder.Bucket), aws.String(storePrefix+"/"+key)
			begun, err := client.CreateMultipartUpload(s.t.Context(), &vendor.CreateMultipartUploadInput{Bucket: bucket, Key: key})
			if err == nil {
				_, err = client.AbortMultipartUpload(s.t.Context(), &vendor.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: begun.UploadId})
			}
			if err != nil {
				s.t.Errorf("%s: %v", *key, err)
			}
		}
	}
}

// collectGarbage removes what is old by a policy that lets much go.
func (s *guarded) collectGarbage() {
	s.t.Helper()
	must(s.t, s.Stack, "corpus", "import", "hub", demoCorpus(s.t)) // finds its files uploaded already
	bucketOf(s.t, s.Stack).age(s.Stack, 60*24*time.Hour)
	must(s.t, s.Stack, "gc", "--keep-versions", "1", "--keep-answers", "720h")
}

// checkForbidden names what must stay out of reach, whoever edits the policies.
func checkForbidden(t *testing.T, worker, starter string) {
	t.Helper()
	at := func(bucket, key string) string { return "arn:aws:s3:::" + bucket + "/" + key }
	own := func(key string) string { return at(folder.Bucket, storePrefix+"/"+key) }
	version := own("datasets/demo/0123456789ab/train-00000.parquet")
	if create := (access{"s3:PutObject", version, ifNoneMatch}); !allows(worker, create) {
		t.Errorf("the worker may not %s", create)
	}
	for _, a := range []access{
		{"s3:PutObject", version, free}, // over a version that is there
		{action: "s3:DeleteObject", resource: version},
		{action: "s3:DeleteObject", resource: own("datasets/demo/latest.json")},
		{action: "s3:DeleteObject", resource: own("responses/scope/00000001.jsonl")}, // a paid answer
		{action: "s3:DeleteObject", resource: own("uploads/0123")},
		{"s3:PutObject", own("tasks/demo/0123.yaml"), ifNoneMatch}, // a task is what its user started
		{"s3:PutObject", at(sources, "a--b/train.jsonl"), free},
		{action: "s3:GetObject", resource: at(folder.Bucket, "another-store/corpora/hub/manifest.json")},
		{action: "s3:PutBucketPolicy", resource: "arn:aws:s3:::" + folder.Bucket},
	} {
		if allows(worker, a) {
			t.Errorf("the worker may %s", a)
		}
	}
	for _, a := range []access{
		{action: "s3:GetObject", resource: own("responses/scope/00000001.jsonl")},
		{"s3:PutObject", own("corpora/hub/manifest.json"), ifNoneMatch},
		{"s3:PutObject", version, ifNoneMatch},
		{action: "s3:DeleteObject", resource: version},
		{action: "s3:DeleteObject", resource: own("builds/demo/1/result.json")},
	} {
		if allows(starter, a) {
			t.Errorf("the starter may %s", a)
		}
	}
}

// accounts are those of the compose file.
type accounts struct{ auth.IAMService }

// ResolveAccounts gives the accounts that there are not.
func (accounts) ResolveAccounts(names []string) (missing []string, err error) {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "rebased-worker" || name == "rebased-starter" }), nil
}

func TestTheGatewayTakesThePolicyOfTheComposeFile(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../deploy/compose/bucket-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.ValidatePolicyDocument(document, "rebased", accounts{}); err != nil {
		t.Errorf("versitygw refuses it: %v", err)
	}
	if err := auth.ValidatePolicyDocument(document, "another", accounts{}); err == nil {
		t.Error("versitygw takes a policy that is of another bucket")
	}
}
