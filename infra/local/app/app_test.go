package app_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rebased/rebased/infra/local/app"
	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/probe"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// call runs a command in this process.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = app.Main(t.Context(), args, []string{"PATH=" + os.Getenv("PATH")}, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func opened(t *testing.T, dir string) *folder.Folder {
	t.Helper()
	f, err := folder.Open(dir, folder.Remembered)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWrongUseIsRefusedInOneLine(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"up", "--dirr", dir},
		{"up", "extra", "--dir", dir},
		{"up", "--dir", dir, "--port-base", "-5"},
		{"up", "--dir", dir, "--port-base", "70000"},
		{"teacher", "--dir", dir, "--replay", filepath.Join(dir, "missing.jsonl")},
		{"s3", "--dir", dir, "--replay", "x"},
		{"env", "--dir", dir, "--port-base", "0"},
		{"unknown"},
	} {
		out, errs, code := call(t, args...)
		if code != 2 || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "rebased-local: ") {
			t.Errorf("%v: exit status %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
}

func TestEnvIsTheSameWhetherTheStackRunsOrNot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	before, _, code := call(t, "env", "--dir", dir, "--port-base", "9000")
	if code != 0 {
		t.Fatalf("exit status %d", code)
	}
	for _, want := range []string{
		"export TEMPORAL_ADDRESS=127.0.0.1:9003", "export TEMPORAL_NAMESPACE=default", "export AWS_ENDPOINT_URL_S3=http://127.0.0.1:9001",
		"export AWS_REGION=us-east-1", "export QDRANT_URL=http://127.0.0.1:9002", "export OPENAI_BASE_URL=http://127.0.0.1:9006/v1",
		"export REBASED_STORE=s3://rebased", "export OPENAI_API_KEY=" + opened(t, dir).Credentials.TeacherAPIKey,
	} {
		if !strings.Contains("\n"+before, "\n"+want+"\n") {
			t.Errorf("%s is missing in\n%s", want, before)
		}
	}
	if again, _, _ := call(t, "env", "--dir", dir, "--port-base", "9000"); again != before {
		t.Errorf("a second time it prints\n%s", again)
	}
	if out, err := exec.Command("sh", "-euc", before+`printf %s "$QDRANT_URL"`).Output(); err != nil || string(out) != "http://127.0.0.1:9002" {
		t.Errorf("a shell reads %q, %v", out, err)
	}
}

func TestAPortInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	f, err := folder.Open(dir, folder.Free)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := f.Ports.Listen(folder.UI)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, errs, code := call(t, "up", "--no-worker", "--dir", dir, "--port-base", strconv.Itoa(f.Ports.Base))
	if code != 2 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, fmt.Sprint(f.Ports.Base)) || !strings.Contains(errs, "--port-base") {
		t.Errorf("exit status %d, stderr %q", code, errs)
	}
}

// hold is a workflow that ends with a signal.
func hold(ctx workflow.Context) (string, error) {
	var word string
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &word)
	return word, nil
}

func TestDataSurvivesAKillOfTheWholeStack(t *testing.T) {
	dir := t.TempDir()
	up := run(t, nil, "up", "--no-worker", "--dir", dir, "--port-base", "0").ready()
	f := opened(t, dir)
	temporal := dial(t, f)
	started, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "held", TaskQueue: "test"}, hold)
	if err != nil {
		t.Fatal(err)
	}
	bucket := s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + f.Ports.Address(folder.S3)), UsePathStyle: true, Region: folder.Region,
		Credentials: credentials.NewStaticCredentialsProvider(f.Credentials.S3AccessKey, f.Credentials.S3SecretKey, ""),
	})
	put, err := bucket.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(folder.Bucket), Key: aws.String("a/b"), Body: strings.NewReader("body"), ContentType: aws.String("text/x-test"),
	})
	if err != nil {
		t.Fatal(err)
	}

	up.signal(syscall.SIGKILL)
	up.code()
	again := run(t, nil, "up", "--no-worker", "--dir", dir).ready()
	if got := opened(t, dir); got.Ports != f.Ports || got.Credentials != f.Credentials {
		t.Errorf("the stack came back on %v, was on %v", got.Ports, f.Ports)
	}

	object, err := bucket.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(folder.Bucket), Key: aws.String("a/b")})
	if err != nil {
		t.Fatal(err)
	}
	if *object.ETag != *put.ETag || *object.ContentType != "text/x-test" || *object.ContentLength != 4 {
		t.Errorf("the object came back as %s %s %d", *object.ETag, *object.ContentType, *object.ContentLength)
	}
	w := worker.New(temporal, "test", worker.Options{})
	w.RegisterWorkflow(hold)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := temporal.SignalWorkflow(t.Context(), "held", started.GetRunID(), "go", "on"); err != nil {
		t.Fatal(err)
	}
	var word string
	if err := started.Get(t.Context(), &word); err != nil || word != "on" {
		t.Errorf("the workflow ended with %q, %v", word, err)
	}

	again.signal(syscall.SIGTERM)
	if code := again.code(); code != 0 {
		t.Errorf("stopped with exit status %d: %s", code, again.out.String())
	}
}

func dial(t *testing.T, f *folder.Folder) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{HostPort: f.Ports.Address(folder.Temporal), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEachPartRunsAloneOnTheSameFolderAndIsHeldByItsProcess(t *testing.T) {
	dir := t.TempDir()
	first := run(t, nil, "s3", "--dir", dir, "--port-base", "0").ready()
	for _, part := range []string{"temporal", "qdrant", "teacher"} {
		run(t, nil, part, "--dir", dir).ready()
	}
	f := opened(t, dir)
	for _, service := range []folder.Service{folder.S3, folder.Temporal, folder.UI, folder.Qdrant, folder.Teacher} {
		conn, err := net.Dial("tcp", f.Ports.Address(service))
		if err != nil {
			t.Errorf("%s: %v", service, err)
			continue
		}
		_ = conn.Close()
	}
	second := run(t, nil, "up", "--no-worker", "--dir", dir, "--port-base", "9990")
	if code := second.code(); code != 2 || !strings.Contains(second.out.String(), "runs already in process") {
		t.Errorf("a second stack: exit status %d, %q", code, second.out.String())
	}
	first.signal(syscall.SIGKILL)
	first.code()
	run(t, nil, "s3", "--dir", dir).ready()
}

func TestTheWorkerIsRestartedWhenItDiesAndNeverOutlivesTheStack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a child ends with its parent on Linux only")
	}
	dir := t.TempDir()
	up := run(t, []string{"PATH=" + programs(t) + ":" + os.Getenv("PATH")}, "up", "--dir", dir, "--port-base", "0").ready()
	workers := func() []int {
		log, err := os.ReadFile(filepath.Join(dir, "logs", "worker.log"))
		if err != nil {
			t.Fatal(err)
		}
		var pids []int
		for _, m := range regexp.MustCompile(`worker (\d+) `+regexp.QuoteMeta(opened(t, dir).Ports.Address(folder.Temporal))).FindAllSubmatch(log, -1) {
			pid, _ := strconv.Atoi(string(m[1]))
			pids = append(pids, pid)
		}
		return pids
	}
	killed := time.Now()
	if err := syscall.Kill(workers()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "another worker", func() bool { return len(workers()) == 2 && probe.Worker(t.Context(), opened(t, dir), killed) == nil })
	if !strings.Contains(up.out.String(), "started again") {
		t.Errorf("nothing was said of it: %s", up.out.String())
	}
	up.signal(syscall.SIGKILL)
	up.code()
	await(t, "the worker's end", func() bool { return syscall.Kill(workers()[1], 0) == syscall.ESRCH })
}

func TestAWorkerThatEndsAtItsStartIsAnError(t *testing.T) {
	bin := programs(t)
	if err := os.WriteFile(filepath.Join(bin, "rebased-worker"), []byte("#!/bin/sh\nexit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	up := run(t, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, "up", "--dir", t.TempDir(), "--port-base", "0")
	if code := up.code(); code != 1 || !strings.Contains(up.out.String(), "exit status 2") || !strings.Contains(up.out.String(), "worker.log") {
		t.Errorf("exit status %d, %q", code, up.out.String())
	}
}

func TestTheDemoShowsEachCommandAndEndsWithTheStatusOfTheOneThatFailed(t *testing.T) {
	path := "PATH=" + programs(t) + ":" + os.Getenv("PATH")
	demo := run(t, []string{path}, "demo", "--dir", t.TempDir(), "--port-base", "0")
	if code := demo.code(); code != 0 {
		t.Fatalf("exit status %d: %s", code, demo.out.String())
	}
	for _, want := range []string{`\$ rebased corpus import demo \S+\nat 127\.0\.0\.1:\d+: \["corpus" "import" "demo"`, `\$ rebased index demo\n`, `\$ rebased build -f \S+\n`} {
		if !regexp.MustCompile(want).MatchString(demo.out.String()) {
			t.Errorf("%s is missing in\n%s", want, demo.out.String())
		}
	}
	failed := run(t, []string{path, "REBASED_LOCAL_TEST_FAILS=build"}, "demo", "--dir", t.TempDir(), "--port-base", "0")
	if code := failed.code(); code != 3 {
		t.Errorf("exit status %d of a build that waits, want 3: %s", code, failed.out.String())
	}
}
