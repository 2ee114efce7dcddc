package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased/starter/app"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md")

func TestTheReferenceOfCommandsIsCurrent(t *testing.T) {
	const file = "../../docs/cli.md"
	got := reference(app.Command())
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the program says: go test ./starter/man -update", file)
	}
}

func TestEachCommandHasAPage(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1764129600")
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if err := write(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"rebased.1", "rebased-builds-watch.1", "rebased-doctor.1", "rebased-completion-zsh.1"} {
		page, err := os.ReadFile(filepath.Join(first, name))
		if err != nil || !strings.HasPrefix(string(page), ".nh\n.TH \"REBASED") {
			t.Errorf("%s: %v\n%.200s", name, err, page)
		}
		again, err := os.ReadFile(filepath.Join(second, name))
		if err != nil || string(again) != string(page) {
			t.Errorf("%s differs when it is written again: %v", name, err)
		}
	}
}
