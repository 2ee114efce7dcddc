package activities

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

func TestATemporaryFileThatFailsIsWaitedForAndSaysWhere(t *testing.T) {
	wants := func(what string, err error, path string) {
		t.Helper()
		if rebased.KindOf(err) != rebased.Unavailable || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "free space in TMPDIR of the worker") {
			t.Errorf("%s: got %v, want Unavailable, the path %s and what to do", what, err, path)
		}
	}
	t.Setenv("TMPDIR", t.TempDir())
	f := &dedupeFiles{}
	scratch, err := f.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	f.scratch.Close()
	_, err = scratch.Write([]byte("a"))
	wants("a file that takes nothing", err, os.TempDir())
	gone := filepath.Join(t.TempDir(), "gone")
	t.Setenv("TMPDIR", gone)
	_, err = f.Scratch()
	wants("no folder", err, gone)
}
