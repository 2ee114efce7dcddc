package rebased_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTestsThatTheDocsNameExist keeps the promises of docs/security.md and the others.
func TestTestsThatTheDocsNameExist(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	there := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		body, err := os.ReadFile(path)
		for _, found := range declared.FindAllSubmatch(body, -1) {
			there[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := filepath.Glob("docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatalf("%d docs, %v", len(docs), err)
	}
	seen := 0
	for _, doc := range docs {
		body, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllSubmatch(body, -1) {
			seen++
			if !there[string(name[1])] {
				t.Errorf("%s names %s, which is no test", doc, name[1])
			}
		}
	}
	if seen < 40 {
		t.Errorf("the docs name %d tests only", seen)
	}
}
