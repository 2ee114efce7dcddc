package interop

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased/infra/hub/hubtest"
)

// TestHubClient has the hub's own Python client read the server that the tests take for the hub. REBASED_PYTHON names a Python that has it.
func TestHubClient(t *testing.T) {
	python := os.Getenv("REBASED_PYTHON")
	if python == "" {
		t.Skip("REBASED_PYTHON is not set: no client of the hub to compare with")
	}
	files := map[string]string{}
	for i := range 8 {
		files[fmt.Sprintf("default/train/%04d.parquet", i)] = fmt.Sprintf("rows %d", i)
	}
	s := hubtest.New(t)
	for _, repo := range []hubtest.Repo{
		{Kind: "dataset", ID: "owner/set"}, {Kind: "dataset", ID: "owner/gated", Gated: true}, {Kind: "dataset", ID: "owner/private", Private: true},
	} {
		repo.Card = map[string]any{"license": "mit"}
		repo.Branches = map[string]map[string]string{"main": {"README.md": "# set"}, hubtest.Convert: files}
		s.Put(repo)
	}
	s.Put(hubtest.Repo{Kind: "model", ID: "owner/model", Branches: map[string]map[string]string{"main": {"config.json": "{}", "model.safetensors": "numbers"}}})
	check := exec.CommandContext(t.Context(), python, "hub_client_check.py", s.URL, s.Token)
	check.Env = append(os.Environ(), "HF_HUB_OFFLINE=0", "HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HOME="+t.TempDir(), "HF_TOKEN=")
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestHubPush has rebased push the latest version of task REBASED_PUSH_TASK, of the store that the environment names, to the test server of the hub, as
// a whole and in parts; and the hub's own client read it there and upload the same folder by itself. What the one has made, the other finds as its own.
func TestHubPush(t *testing.T) {
	python, program, task := os.Getenv("REBASED_PYTHON"), os.Getenv("REBASED_PROGRAM"), os.Getenv("REBASED_PUSH_TASK")
	if python == "" || program == "" || task == "" {
		t.Skip("REBASED_PYTHON, REBASED_PROGRAM and REBASED_PUSH_TASK are not set: nothing to push, or nobody to read it")
	}
	for name, partSize := range map[string]int{"as a whole": 0, "in parts": 5000} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			s.PartSize, s.PageSize = partSize, 1000
			push := func(repo, state string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), program, "push", task, "hf://"+repo, "--json")
				cmd.Env = append(os.Environ(), "HF_ENDPOINT="+s.URL, "HF_TOKEN="+s.Token)
				out, err := cmd.CombinedOutput()
				if err != nil || !strings.Contains(string(out), `"state":"`+state+`"`) {
					t.Fatalf("push to %s: %v, want it %s\n%s", repo, err, state, out)
				}
			}
			push("owner/pushed", "pushed")
			push("owner/pushed", "unchanged")
			held := s.Contents("owner/pushed", "main")
			s.Tag("owner/pushed", "v1")
			folder := filepath.Join(t.TempDir(), "version")
			for file, body := range held {
				if file == ".gitattributes" {
					continue
				}
				path := filepath.Join(folder, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			check := exec.CommandContext(t.Context(), python, "hub_push_check.py", s.URL, s.Token, folder)
			check.Env = append(os.Environ(), "HF_ENDPOINT="+s.URL, "HF_HUB_OFFLINE=0", "HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HOME="+t.TempDir(), "HF_TOKEN=")
			if out, err := check.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if by := s.Contents("owner/uploaded", "v1"); !maps.Equal(by, held) {
				t.Errorf("the client has uploaded %q, rebased %q", slices.Sorted(maps.Keys(by)), slices.Sorted(maps.Keys(held)))
			}
			push("owner/uploaded", "unchanged")
		})
	}
}
