package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// passwords are what `compose/secrets` makes.
var passwords = []string{"POSTGRES_PASSWORD", "S3_ROOT_SECRET", "S3_WORKER_SECRET", "S3_STARTER_SECRET", "QDRANT_API_KEY"}

// load has Compose's own loader read and resolve the file.
func load(t *testing.T, environ ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"},
		cli.WithEnv(environ), cli.WithInterpolation(true), cli.WithConsistency(true), cli.WithNormalization(true), cli.WithResolvedPaths(true),
		cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

func allPasswords() (environ []string) {
	for _, name := range passwords {
		environ = append(environ, name+"=secret-of-"+name)
	}
	return environ
}

func TestTheComposeFileIsComposes(t *testing.T) {
	project, err := load(t, allPasswords()...)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range project.Services {
		if s.Build == nil && !tagged.MatchString(s.Image) {
			t.Errorf("%s: image %s has no version", name, s.Image)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to other machines", name, p.Published)
			}
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 {
			t.Errorf("%s has no limit of memory", name)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges", name)
		}
		job := s.Restart == "on-failure:5"
		if s.HealthCheck == nil && !job && !slices.Contains([]string{"worker", "rebased", "temporal-ui"}, name) { // the worker's is of its image
			t.Errorf("%s has no health check", name)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind && name != "rebased" {
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

var tagged = regexp.MustCompile(`:v?[0-9]+\.[0-9]+[^:@]*(@sha256:[0-9a-f]{64})?$`)

// TestNothingStartsWithoutItsPassword leaves each password out in turn: none has a default.
func TestNothingStartsWithoutItsPassword(t *testing.T) {
	for i, name := range passwords {
		without := slices.Delete(allPasswords(), i, i+1)
		if _, err := load(t, without...); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "compose/secrets") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestPasswordsAreMadeOnceAndAreReadableByTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "compose", "secrets")
	if err := os.MkdirAll(filepath.Dir(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, file(t, "compose/secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := filepath.Join(dir, ".env")
	made := func() string {
		if out, err := exec.CommandContext(t.Context(), "/bin/sh", script).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		body, err := os.ReadFile(env)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	first := made()
	if again := made(); again != first {
		t.Error("a second run made other passwords")
	}
	info, err := os.Stat(env)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	seen := map[string]bool{}
	for _, name := range passwords {
		found := regexp.MustCompile(`(?m)^` + name + `=([0-9a-f]{48})$`).FindStringSubmatch(first)
		if found == nil || seen[found[1]] {
			t.Fatalf("%s is no password of its own in\n%s", name, first)
		}
		seen[found[1]] = true
	}
	if _, err := load(t, strings.Split(strings.TrimSpace(first), "\n")...); err != nil {
		t.Errorf("the compose file with what was made: %v", err)
	}
}
