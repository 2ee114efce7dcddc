package handoff

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// publishedKeys are what trainers take, by trainer and place, as their releases say; each entry names the release that it was read from.
func publishedKeys(t *testing.T) map[string]map[string][]string {
	t.Helper()
	body, err := os.ReadFile("testdata/published-keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]struct {
		From string            `json:"from"`
		Keys map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	published := map[string]map[string][]string{}
	for trainer, of := range file {
		if !strings.Contains(of.From, "PyPI") {
			t.Errorf("%s: where do the keys come from? %q", trainer, of.From)
		}
		published[trainer] = map[string][]string{}
		for place, keys := range of.Keys {
			published[trainer][place] = strings.Fields(keys)
		}
	}
	return published
}

// configured stages a small version with pairs and gives its files by name.
func configured(t *testing.T, change func(*rebased.Output)) (Manifest, map[string]string) {
	t.Helper()
	objects := mem.NewObjects()
	wrong := map[int][]string{}
	for i := range examples() {
		wrong[i] = []string{"wrong"}
	}
	in := paired(wrong)
	change(&in.Task.Output)
	staged := stage(t, versionsOn(objects), in)
	folder := rebased.VersionKey("capitals", staged.Version) + "/"
	files := map[string]string{}
	for key, body := range contents(t, objects, folder) {
		files[strings.TrimPrefix(key, folder)] = body
	}
	return staged.Manifest, files
}

func TestConfigurationsHaveTheKeysThatTrainersPublish(t *testing.T) {
	published := publishedKeys(t)
	for _, format := range rebased.Formats() {
		for _, validation := range []float64{0, 0.5} {
			_, files := configured(t, func(o *rebased.Output) {
				o.Formats, o.Validation = []string{format, rebased.FormatPreference}, validation
				if format == rebased.FormatPreference {
					o.Formats = []string{rebased.FormatMessages, format}
				}
				for _, trainer := range rebased.Trainers() {
					if o.TrainerFormat(trainer) != "" {
						o.Configs = append(o.Configs, trainer)
					}
				}
			})
			for name, body := range files {
				trainer, stage, _ := strings.Cut(strings.TrimSuffix(path.Base(name), path.Ext(name)), "-")
				switch {
				case path.Dir(name) != configsFolder:
				case path.Base(name) == "dataset_info.json":
					checkDatasetInfo(t, published[rebased.TrainerLLaMAFactory], files, body)
				case path.Ext(name) == ".py":
					checkCalls(t, name, published[trainer], body)
				case trainer == rebased.TrainerTRL:
					known(t, name, published[trainer][stage], decoded(t, name, body))
				default:
					config := decoded(t, name, body)
					known(t, name, published[trainer]["config"], config)
					for _, list := range []string{"datasets", "test_datasets"} {
						entries, _ := config[list].([]any)
						for _, entry := range entries {
							known(t, name+" "+list, published[trainer]["datasets"], entry.(map[string]any))
						}
					}
				}
			}
		}
	}
}

func decoded(t *testing.T, name, body string) (config map[string]any) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(body), &config, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v in\n%s", name, err, body)
	}
	return config
}

func known[V any](t *testing.T, where string, published []string, config map[string]V) {
	t.Helper()
	if len(published) == 0 || len(config) == 0 {
		t.Errorf("%s: %d keys, of %d that are published", where, len(config), len(published))
	}
	for key := range config {
		if !slices.Contains(published, key) {
			t.Errorf("%s: %q is no key of the trainer", where, key)
		}
	}
}

func checkDatasetInfo(t *testing.T, published map[string][]string, files map[string]string, body string) {
	t.Helper()
	var info map[string]map[string]any
	if err := json.Unmarshal([]byte(body), &info); err != nil {
		t.Fatal(err)
	}
	for name, entry := range info {
		known(t, name, published["dataset_info"], entry)
		for _, place := range []string{"columns", "tags"} {
			if inner, ok := entry[place].(map[string]any); ok {
				known(t, name+" "+place, published[place], inner)
			}
		}
		if file := path.Join(configsFolder, entry["file_name"].(string)); files[file] == "" {
			t.Errorf("%s is of %s, which is not there", name, file)
		}
	}
}

// calls of a script and the named arguments in them, one a line or all in one line.
var (
	call     = regexp.MustCompile(`(?s)(from_pretrained|get_peft_model|SFTTrainer|DPOTrainer|SFTConfig|DPOConfig)\((.*?)\n?\s*\)\n?`)
	argument = regexp.MustCompile(`(?:^|[\s(,])(\w+)=`)
)

func checkCalls(t *testing.T, name string, published map[string][]string, body string) {
	t.Helper()
	seen := 0
	for _, found := range call.FindAllStringSubmatch(strings.ReplaceAll(body, "args=SFTConfig(", ")\nSFTConfig("), -1) {
		keys := map[string]bool{}
		for _, a := range argument.FindAllStringSubmatch(strings.ReplaceAll(found[2], "args=DPOConfig(", "\nDPOConfig("), -1) {
			keys[a[1]] = true
		}
		if len(keys) == 0 {
			continue
		}
		seen++
		allowed := published[found[1]]
		if found[1] == "DPOTrainer" {
			allowed = slices.Concat(allowed, published["DPOConfig"])
		}
		known(t, name+" "+found[1], allowed, keys)
	}
	if seen < 3 {
		t.Errorf("%s: only %d calls found in\n%s", name, seen, body)
	}
}

// TestConfigurationsNameFilesOfTheVersion follows every path to a file that the manifest lists, with and without validation and pairs.
func TestConfigurationsNameFilesOfTheVersion(t *testing.T) {
	lines := regexp.MustCompile(`(?:train|validation)\.[a-z-]+\.jsonl`)
	for _, validation := range []float64{0, 0.5} {
		m, files := configured(t, func(o *rebased.Output) {
			o.Configs, o.Validation = rebased.Trainers(), validation
		})
		var got []string
		for _, entry := range m.Files {
			body, ok := files[entry.Name]
			if !ok || sha(body) != entry.SHA256 {
				t.Errorf("%s is not as the manifest lists it", entry.Name)
			}
			if !strings.HasPrefix(entry.Name, configsFolder+"/") {
				continue
			}
			got = append(got, strings.TrimPrefix(entry.Name, configsFolder+"/"))
			for _, file := range lines.FindAllString(body, -1) {
				if files[file] == "" {
					t.Errorf("%s names %s, which is not there", entry.Name, file)
				}
			}
			stage := strings.HasSuffix(strings.TrimSuffix(entry.Name, path.Ext(entry.Name)), "-sft")
			if validates := strings.Contains(body, "eval_strategy") || strings.Contains(body, "test_datasets"); stage && validates != (validation > 0) {
				t.Errorf("%s validates: %t", entry.Name, validates)
			}
		}
		want := []string{"axolotl-dpo.yaml", "axolotl-sft.yaml", "dataset_info.json", "llamafactory-sft.yaml", "trl-dpo.yaml", "trl-dpo/README.md", "trl-sft.yaml", "trl-sft/README.md", "unsloth-dpo.py", "unsloth-sft.py"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestConfigurationsHaveTheFiguresOfThePaper(t *testing.T) {
	_, files := configured(t, func(o *rebased.Output) { o.Configs = rebased.Trainers() })
	trl := decoded(t, "trl", files["configs/trl-sft.yaml"])
	axolotl := decoded(t, "axolotl", files["configs/axolotl-sft.yaml"])
	factory := decoded(t, "llamafactory", files["configs/llamafactory-sft.yaml"])
	for _, same := range [][4]any{
		{"model_name_or_path", "base_model", "model_name_or_path", rebased.DefaultStudent},
		{"lora_r", "lora_r", "lora_rank", 8},
		{"lora_alpha", "lora_alpha", "lora_alpha", 16},
		{"max_length", "sequence_len", "cutoff_len", 2048},
		{"num_train_epochs", "num_epochs", "num_train_epochs", 1},
		{"per_device_train_batch_size", "micro_batch_size", "per_device_train_batch_size", 2},
		{"gradient_accumulation_steps", "gradient_accumulation_steps", "gradient_accumulation_steps", 4},
		{"learning_rate", "learning_rate", "learning_rate", 3e-4},
		{"lr_scheduler_type", "lr_scheduler", "lr_scheduler_type", "linear"},
		{"warmup_steps", "warmup_steps", "warmup_steps", 20},
	} {
		for i, config := range []map[string]any{trl, axolotl, factory} {
			if got := fmt.Sprint(config[same[i].(string)]); got != fmt.Sprint(same[3]) {
				t.Errorf("%s is %v, want %v", same[i], got, same[3])
			}
		}
	}
	_, files = configured(t, func(o *rebased.Output) { o.Configs, o.Student = rebased.Trainers(), "owner/small-1B" })
	for name, body := range files {
		if strings.HasPrefix(name, configsFolder) && strings.Contains(body, "lora") && (!strings.Contains(body, "owner/small-1B") || strings.Contains(strings.ToLower(body), "llama-3")) {
			t.Errorf("%s trains another student:\n%s", name, body)
		}
	}
}

func TestWithoutTheKeyThereIsNoConfiguration(t *testing.T) {
	m, files := configured(t, func(*rebased.Output) {})
	for _, entry := range m.Files {
		if strings.Contains(entry.Name, "/") {
			t.Errorf("there is %s", entry.Name)
		}
	}
	if strings.Contains(files[cardName], "How to train") {
		t.Error("the card tells of configurations")
	}
}
