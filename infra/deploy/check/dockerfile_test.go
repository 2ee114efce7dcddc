package check

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// TestTheDockerfileIsBuildKits has BuildKit parse the Dockerfile and apply the rules of `docker build --check` that need no registry.
func TestTheDockerfileIsBuildKits(t *testing.T) {
	result, err := parser.Parse(bytes.NewReader(file(t, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range result.Warnings {
		t.Errorf("%s: %s", w.Short, w.URL)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) { t.Errorf("%s: %s: %v", rule, message, at) }})
	stages, metaArgs, err := instructions.Parse(result.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	args := map[string]string{}
	for _, command := range metaArgs {
		for _, arg := range command.Args {
			args[arg.Key] = arg.ValueString()
		}
	}
	names := map[string]instructions.Stage{}
	for _, stage := range stages {
		base, _, err := shell.NewLex('\\').ProcessWord(stage.BaseName, shell.EnvsFromSlice(environ(args)))
		if err != nil {
			t.Errorf("%s: %v", stage.Name, err)
		}
		if _, own := names[stage.BaseName]; !own && !pinned.MatchString(base) && stage.Name != "onnxruntime" { // what that takes is pinned by its hash
			t.Errorf("stage %s stands on %s, which has no digest", stage.Name, base)
		}
		names[stage.Name] = stage
	}
	for _, target := range []string{"worker", "worker-onnx", "starter"} {
		checkTarget(t, names, target)
	}
}

var pinned = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

func environ(args map[string]string) (all []string) {
	for name, value := range args {
		all = append(all, name+"="+value)
	}
	return all
}

// checkTarget holds what every image promises: no shell is run in it, it copies from stages that there are, and it does not run as root.
func checkTarget(t *testing.T, stages map[string]instructions.Stage, target string) {
	t.Helper()
	user := ""
	for name := target; ; {
		stage, there := stages[name]
		if !there {
			break
		}
		for _, command := range stage.Commands {
			switch c := command.(type) {
			case *instructions.RunCommand:
				t.Errorf("target %s runs %v in an image without a shell", target, c.CmdLine)
			case *instructions.CopyCommand:
				if _, there := stages[c.From]; c.From != "" && !there {
					t.Errorf("target %s copies from stage %s, which there is not", target, c.From)
				}
			case *instructions.UserCommand:
				user = c.User
			}
		}
		name = stage.BaseName
	}
	if user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("target %s runs as user %q", target, user)
	}
}
