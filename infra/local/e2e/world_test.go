package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/stacktest"
)

// data gives a path in the folder of real data, or skips the test.
func data(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("REBASED_TEST_DATA")
	if dir == "" {
		t.Skip("REBASED_TEST_DATA is not set: it names a folder of real datasets, tasks and recorded answers")
	}
	return filepath.Join(dir, name)
}

// must runs a command that has to succeed and gives its standard output.
func must(t *testing.T, s *stacktest.Stack, args ...string) string {
	t.Helper()
	out, errs, code := s.Run(args...)
	if code != 0 {
		t.Fatalf("rebased %s: exit status %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// indexed imports a folder as corpus hub and indexes it.
func indexed(t *testing.T, s *stacktest.Stack, dir string) {
	t.Helper()
	must(t, s, "corpus", "import", "hub", dir)
	must(t, s, "index", "hub")
}

// result decodes the last line of a command's JSON.
func result(t *testing.T, out string) rebased.BuildResult {
	t.Helper()
	var r rebased.BuildResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("no result in %q: %v", out, err)
	}
	return r
}

// taskFile writes a task of the real data as a task file with more keys, and gives its path.
func taskFile(t *testing.T, name string, more map[string]any) string {
	t.Helper()
	body, err := os.ReadFile(data(t, "tasks/"+name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	task := map[string]any{}
	if err := json.Unmarshal(body, &task); err != nil {
		t.Fatal(err)
	}
	task["name"], task["corpus"] = strings.ReplaceAll(name, "_", "-"), "hub"
	maps.Copy(task, more)
	return writeTask(t, task)
}

// writeTask writes a task file; JSON is YAML.
func writeTask(t *testing.T, task map[string]any) string {
	t.Helper()
	body, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "task.yaml")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkSum fails unless every retrieved row is released or rejected.
func checkSum(t *testing.T, r rebased.BuildResult) {
	t.Helper()
	sum := r.Rows
	for _, n := range r.Rejected {
		sum += n
	}
	if sum != r.Retrieved {
		t.Errorf("retrieved %d, rows and rejects add up to %d: %+v", r.Retrieved, sum, r)
	}
}

// bucket reads the stack's bucket as a stranger would, by the vendor's SDK.
type bucket struct {
	t      *testing.T
	client *s3.Client
}

func bucketOf(t *testing.T, s *stacktest.Stack) bucket {
	f := s.Folder()
	client := s3.New(s3.Options{
		Region: folder.Region, BaseEndpoint: aws.String("http://" + f.Ports.Address(folder.S3)), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(f.Credentials.S3AccessKey, f.Credentials.S3SecretKey, ""),
	})
	return bucket{t, client}
}

// delete removes all objects under a prefix.
func (b bucket) delete(prefix string) {
	b.t.Helper()
	for name := range b.files(prefix) {
		key := aws.String(prefix + name)
		if _, err := b.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(folder.Bucket), Key: key}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// files gives the bodies of all objects under a prefix, by the rest of their keys.
func (b bucket) files(prefix string) map[string]string {
	b.t.Helper()
	out := map[string]string{}
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: aws.String(folder.Bucket), Prefix: aws.String(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			b.t.Fatal(err)
		}
		for _, o := range page.Contents {
			body, err := b.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String(folder.Bucket), Key: o.Key})
			if err != nil {
				b.t.Fatal(err)
			}
			content, err := io.ReadAll(body.Body)
			if err != nil {
				b.t.Fatal(err)
			}
			out[strings.TrimPrefix(*o.Key, prefix)] = string(content)
		}
	}
	return out
}

// sameFiles fails where two versions differ.
func sameFiles(t *testing.T, want, got map[string]string) {
	t.Helper()
	if len(want) == 0 || len(want) != len(got) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	for name, body := range want {
		if got[name] != body {
			t.Errorf("%s differs: %d bytes, want %d", name, len(got[name]), len(body))
		}
	}
}

// teacherStats are what the demo teacher counted.
type teacherStats map[string]any

func statsOf(t *testing.T, s *stacktest.Stack) teacherStats {
	t.Helper()
	body := teacherCall(t, s, http.MethodGet, "/stats", nil)
	stats := teacherStats{}
	if err := json.Unmarshal(body, &stats); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return stats
}

func teacherCall(t *testing.T, s *stacktest.Stack, method, path string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Folder().Ports.Address(folder.Teacher)+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.Folder().Credentials.TeacherAPIKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s, %v", method, path, response.Status, answer, err)
	}
	return answer
}

func (s teacherStats) number(t *testing.T, name string) int {
	t.Helper()
	value, ok := s[name].(float64)
	if !ok {
		t.Fatalf("the teacher counts no %q: %v", name, s)
	}
	return int(value)
}
