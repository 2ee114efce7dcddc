package app

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReasonsOfTheStepsThatAskCanBeRedriven compares the reasons that there are, what the reference says of their steps, and what redrive takes.
func TestReasonsOfTheStepsThatAskCanBeRedriven(t *testing.T) {
	code, err := os.ReadFile("../../example.go")
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("../../docs/taskfile.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(reference), "## Why a row was rejected")
	steps := map[string]string{} // by reason
	for _, line := range regexp.MustCompile("(?m)^\\| (`.*`) \\| (.*) \\| .* \\|$").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(line[1], -1) {
			steps[name[1]] = line[2]
		}
	}
	there := regexp.MustCompile(`(?m)\sReason\s+= "([a-z_]+)"`).FindAllStringSubmatch(string(code), -1)
	if len(there) < 12 || len(there) != len(steps) {
		t.Errorf("%d reasons in example.go, %d in docs/taskfile.md", len(there), len(steps))
	}
	for _, reason := range there {
		name := reason[1]
		step, ok := steps[name]
		if asks := !strings.Contains(step, "dedupe"); !ok || asks != slices.Contains(redrivable(), name) {
			t.Errorf("%s is of step %q, redrive takes %v", name, step, redrivable())
		}
	}
}
