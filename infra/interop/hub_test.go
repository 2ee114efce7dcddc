package interop

import (
	"fmt"
	"os"
	"os/exec"
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
