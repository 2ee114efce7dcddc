package stacktest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Programs are the paths of the three programs.
type Programs struct {
	Rebased, Worker, Local string
}

// Build builds the three programs from the source that the test belongs to, once for all tests on this machine that share the source, and again when
// the source has changed. REBASED_BIN, when set, names a folder with programs that are built already.
func Build(t testing.TB) Programs {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return Programs{
		Rebased: filepath.Join(dir, "rebased"),
		Worker:  filepath.Join(dir, "rebased-worker"),
		Local:   filepath.Join(dir, "rebased-local"),
	}
}

// built asks the go command once a process: it is quick when there is nothing to do, but not free.
var built = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("REBASED_BIN"); dir != "" {
		return filepath.Abs(dir)
	}
	local, err := moduleRoot()
	if err != nil {
		return "", err
	}
	source := sha256.Sum256([]byte(local))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("rebased-programs-%d-%x", os.Getuid(), source[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, build(dir, local)
})

// build brings the programs in dir up to date. Test processes that want them at once take turns.
func build(dir, local string) error {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	root := filepath.Join(local, "..", "..")
	for _, p := range []struct{ name, module, pkg string }{
		{"rebased", root, "./starter"},
		{"rebased-worker", root, "./worker"},
		{"rebased-local", local, "."},
	} {
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, p.name), p.pkg)
		cmd.Dir = p.module
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.name, err, out)
		}
	}
	return nil
}

// moduleRoot is the folder of the module that the test runs in: infra/local.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
