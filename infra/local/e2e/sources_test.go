package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/hub/hubtest"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/workflows"
)

// imported is what `corpus import --json` says.
type imported struct {
	Revision                              string
	Datasets, Rows, Files, Reused, Failed int
	Removed                               int
	Failures                              []struct{ Source, Error string }
}

func (b bucket) put(key, body string) {
	b.t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String(folder.Bucket), Key: aws.String(key), Body: bytes.NewReader([]byte(body))}
	if _, err := b.client.PutObject(context.Background(), in); err != nil {
		b.t.Fatal(err)
	}
}

// payload is what Temporal keeps of a value.
var payload = regexp.MustCompile(`"data": *"([^"]*)"`)

// TestAListOfSourcesIsImportedAndKeptUpToDate has the real programs import from a hub, from S3 and from a folder, night after night.
func TestAListOfSourcesIsImportedAndKeptUpToDate(t *testing.T) {
	t.Parallel()
	hub := hubtest.New(t)
	rows, err := parquet.Encode(parquet.DatasetSchema(), []rebased.Dataset{{Description: "what a hub says"}, {Description: "and more"}})
	if err != nil {
		t.Fatal(err)
	}
	repo := hubtest.Repo{
		Kind: "dataset", ID: "owner/set", Gated: true, Card: map[string]any{"license": "mit"},
		Branches: map[string]map[string]string{"main": {"README.md": "x"}, hubtest.Convert: {"default/train/0000.parquet": string(rows)}},
	}
	hub.Put(repo)
	s := stacktest.Start(t, stacktest.Options{})
	s.KillWorker()
	s.SetEnv("HF_ENDPOINT="+hub.URL, "HF_TOKEN="+hub.Token)
	s.StartWorker()
	s.SetEnv()
	b := bucketOf(t, s)
	b.put("incoming/a--b/train.jsonl", `{"q":"what S3 says"}`+"\n")
	b.put("incoming/gone/train.jsonl", `{"q":"what is taken away"}`+"\n")
	dir := t.TempDir()
	for name, body := range map[string]string{
		"local/c/train.csv": "q\nwhat a folder says\n",
		"sources.txt":       fmt.Sprintf("hf://owner/set # a hub\ns3://%s/incoming\nlocal\nhf://owner/none\n", folder.Bucket),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	night := func() (r imported) {
		out, errs, code := s.Run("corpus", "import", "hub", "--list", filepath.Join(dir, "sources.txt"), "--keep-removed", "0s", "--json")
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 {
			t.Fatalf("exit status %d, want 1 for the source that is not there\n%s%s", code, out, errs)
		}
		if r.Failed != 1 || len(r.Failures) != 1 || r.Failures[0].Source != "hf://owner/none" || !strings.Contains(r.Failures[0].Error, "HF_TOKEN") {
			t.Fatalf("%+v", r)
		}
		return r
	}
	first := night()
	if first.Datasets != 4 || first.Rows != 5 || first.Reused != 0 {
		t.Fatalf("first night: %+v", first)
	}
	history := historyOf(t, s, workflows.ImportID("hub"))
	payloads := payload.FindAllSubmatch(history, -1)
	for _, found := range payloads {
		text, err := base64.StdEncoding.DecodeString(string(found[1]))
		if err != nil || strings.Contains(string(text), hub.Token) {
			t.Errorf("the workflow's history holds the token in %q, or %v", text, err)
		}
	}
	if len(payloads) < 10 {
		t.Errorf("%d payloads in the workflow's history", len(payloads))
	}
	record(t, "import-sources.json", history)
	hub.Requests()
	if second := night(); second.Revision != first.Revision || second.Reused != 4 {
		t.Fatalf("a night of no change: %+v", second)
	}
	for _, r := range hub.Requests() {
		if strings.Contains(r.URL.Path, "/resolve/") {
			t.Errorf("%s was fetched again", r.URL.Path)
		}
	}
	b.delete("incoming/gone/")
	b.delete("uploads/")
	hub.Put(hubtest.Repo{Kind: "dataset", ID: "owner/set", Disabled: true})
	out, errs, code := s.Run("corpus", "import", "hub", "hf://owner/set", "s3://"+folder.Bucket+"/incoming", "--keep-removed", "0s", "--json")
	var third imported
	if err := json.Unmarshal([]byte(out), &third); err != nil || code != 1 || third.Datasets != 2 || third.Rows != 3 || third.Removed == 0 {
		t.Fatalf("exit status %d: %s%s", code, out, errs)
	}
	checkSwept(t, b, hub.Token)
}

// checkSwept makes sure that the bucket holds the parts of two datasets, and nothing of what was fetched, or secret.
func checkSwept(t *testing.T, b bucket, token string) {
	t.Helper()
	corpus := b.files("corpora/hub/")
	parts := 0
	for key := range corpus {
		if strings.HasSuffix(key, ".parquet") && !strings.HasPrefix(key, "datasets-") {
			parts++
			if !strings.HasPrefix(key, "a--b/") && !strings.HasPrefix(key, "owner--set/") {
				t.Errorf("%s is left", key)
			}
		}
	}
	if parts != 2 {
		t.Errorf("%d parts, want those of the two datasets", parts)
	}
	for key, body := range b.files("") {
		if strings.Contains(body, token) {
			t.Errorf("%s holds the token", key)
		}
		if strings.HasPrefix(key, "imports/") && strings.Contains(key, "fetched-") {
			t.Errorf("%s is left", key)
		}
	}
}
