package folder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/folder"
)

func open(t *testing.T, dir string, base int) *folder.Folder {
	t.Helper()
	f, err := folder.Open(dir, base)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCredentialsAreMadeOncePerFolderAndForTheOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, folder.Remembered).Credentials
	if again := open(t, dir, folder.Remembered).Credentials; again != first {
		t.Errorf("a second look gives %v, the first gave %v", again, first)
	}
	if other := open(t, t.TempDir(), folder.Remembered).Credentials; other.S3SecretKey == first.S3SecretKey {
		t.Error("two folders share a secret")
	}
	keys := []string{first.S3AccessKey, first.S3SecretKey, first.QdrantAPIKey, first.TeacherAPIKey}
	for i, key := range keys {
		if len(key) < 20 || slices.Contains(keys[:i], key) {
			t.Errorf("key %d is %q", i, key)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("credentials.json has mode %o, want 600", mode)
	}
}

func TestProcessesThatMakeTheCredentialsAtOnceAgree(t *testing.T) {
	dir := t.TempDir()
	got := make([]folder.Credentials, 16)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			f, err := folder.Open(dir, folder.Remembered)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = f.Credentials
		})
	}
	all.Wait()
	for i := range got {
		if got[i] != got[0] {
			t.Errorf("opener %d has %v, opener 0 has %v", i, got[i], got[0])
		}
	}
}

func TestAFolderKeepsItsPortsUntilTheyAreMoved(t *testing.T) {
	dir := t.TempDir()
	if got := open(t, dir, folder.Remembered).Ports.Address(folder.Temporal); got != "127.0.0.1:7233" {
		t.Errorf("a new folder has Temporal at %s", got)
	}
	moved := open(t, dir, 9000)
	if got := open(t, dir, folder.Remembered).Ports.Base; got != folder.DefaultBase {
		t.Errorf("ports moved to %d though nothing has run there", got)
	}
	if err := moved.RememberPorts(); err != nil {
		t.Fatal(err)
	}
	if got := open(t, dir, folder.Remembered).Ports.Base; got != 9000 {
		t.Errorf("the folder's ports begin at %d, want 9000", got)
	}
}

func TestPortsOutOfBoundsAreRefused(t *testing.T) {
	for _, base := range []int{-2, 1, 1023, 65527, 100_000} {
		if _, err := folder.Open(t.TempDir(), base); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("base %d: %v", base, err)
		}
	}
}

func TestAPortInUseIsNamedWithTheFlagThatMovesIt(t *testing.T) {
	f := open(t, t.TempDir(), folder.Free)
	taken, err := f.Ports.Listen(folder.Qdrant)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = f.Ports.Check(folder.S3, folder.Qdrant)
	if rebased.KindOf(err) != rebased.Invalid {
		t.Fatalf("error %v, want one of kind invalid", err)
	}
	_, port, _ := strings.Cut(f.Ports.Address(folder.Qdrant), ":")
	for _, word := range []string{port, "qdrant", "--port-base"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not name %s", err, word)
		}
	}
}

func TestAPartIsHeldByOneProcess(t *testing.T) {
	f := open(t, t.TempDir(), folder.Remembered)
	held, err := f.Lock("s3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock("s3"); rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), f.Dir) {
		t.Errorf("second lock: %v, want a refusal that names the folder", err)
	}
	other, err := f.Lock("qdrant")
	if err != nil {
		t.Errorf("another part is held too: %v", err)
	} else {
		defer other.Close()
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := f.Lock("s3")
	if err != nil {
		t.Fatalf("the lock outlives its holder: %v", err)
	}
	defer again.Close()
}

func TestExportLinesSurviveAShell(t *testing.T) {
	const value = `it's $HOME "and" a\b`
	line := folder.Variable{Name: "STRANGE", Value: value}.Export()
	out, err := exec.Command("sh", "-c", line+`; printf %s "$STRANGE"`).Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != value {
		t.Errorf("the shell reads %q, want %q", out, value)
	}
}

func TestTheEnvironmentOfTheStackReplacesThatOfOtherServers(t *testing.T) {
	f := open(t, t.TempDir(), 9000)
	env := f.Environ([]string{"HOME=/home/me", "AWS_PROFILE=work", "TEMPORAL_API_KEY=k", "OPENAI_API_KEY=sk", "ANTHROPIC_API_KEY=a", "REBASED_STORE=s3://mine",
		"AWS_BEARER_TOKEN_BEDROCK=b"})
	for _, want := range []string{"HOME=/home/me", "ANTHROPIC_API_KEY=a", "AWS_BEARER_TOKEN_BEDROCK=b", "TEMPORAL_ADDRESS=127.0.0.1:9003", "QDRANT_URL=http://127.0.0.1:9002"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, entry := range env {
		if strings.HasPrefix(entry, "AWS_PROFILE") || strings.HasPrefix(entry, "TEMPORAL_API_KEY") || entry == "OPENAI_API_KEY=sk" {
			t.Errorf("%s is left", entry)
		}
	}
	if slices.Index(env, "REBASED_STORE=s3://rebased") < slices.Index(env, "REBASED_STORE=s3://mine") {
		t.Error("the last word on the store is another one's")
	}
}
