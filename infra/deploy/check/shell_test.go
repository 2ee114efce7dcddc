package check

import (
	"bytes"
	"path/filepath"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// TestScriptsAreOfThePOSIXShell parses the scripts of the compose file as the shell of their images (busybox) reads them.
func TestScriptsAreOfThePOSIXShell(t *testing.T) {
	scripts, err := filepath.Glob("../compose/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range append(scripts, "../compose/secrets") {
		name, err := filepath.Rel("..", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(bytes.NewReader(file(t, name)), name); err != nil {
			t.Error(err)
		}
	}
}
