package release

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const root = "../.."

// config reads .goreleaser.yaml as JSON has it.
func config(t *testing.T) (text []byte, value map[string]any) {
	text, err := os.ReadFile(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatal(err)
	}
	return text, value
}

func schema(t *testing.T) *jsonschema.Schema {
	body, err := os.ReadFile("testdata/goreleaser.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("goreleaser.json", document); err != nil {
		t.Fatal(err)
	}
	out, err := compiler.Compile("goreleaser.json")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheReleaseIsOneThatGoReleaserTakes(t *testing.T) {
	_, value := config(t)
	s := schema(t)
	if err := s.Validate(value); err != nil {
		t.Errorf("%#v", err)
	}
	value["bilds"] = []any{}
	if s.Validate(value) == nil {
		t.Error("an unknown key is taken")
	}
}

func TestWhatTheReleaseNamesIsThere(t *testing.T) {
	text, value := config(t)
	for _, entry := range value["builds"].([]any) {
		build := entry.(map[string]any)
		dir, _ := build["dir"].(string)
		if _, err := os.Stat(filepath.Join(root, dir, build["main"].(string), "main.go")); err != nil {
			t.Error(err)
		}
	}
	for _, match := range regexp.MustCompile(`src: ([^ ,}]+)`).FindAllSubmatch(text, -1) {
		if path := string(match[1]); !strings.HasPrefix(path, "bin/release/") { // made by the hook
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Error(err)
			}
		}
	}
	stamps := regexp.MustCompile(`-X github\.com/rebased/rebased/(\S+)\.(\w+)=`).FindAllSubmatch(text, -1)
	if len(stamps) != 3 {
		t.Errorf("%d stamps", len(stamps))
	}
	for _, match := range stamps { // the linker says nothing when there is no such variable
		source, err := os.ReadFile(filepath.Join(root, string(match[1]), "version.go"))
		if err != nil || !regexp.MustCompile(`(?m)^\s+`+string(match[2])+` +string`).Match(source) {
			t.Errorf("no variable %s: %v", match[2], err)
		}
	}
}
