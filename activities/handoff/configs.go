package handoff

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/template"

	"github.com/rebased/rebased"
)

//go:embed configs/*.tmpl
var configTemplates embed.FS

// configsFolder is where a version's configurations stand.
const configsFolder = "configs"

// configData is what a template shows.
type configData struct {
	Task, Student   string
	Published       bool   // the student is that of the paper
	Format          string // of the lines to train on
	Validation      bool   // whether there are lines to validate with
	PairsValidation bool
	File, Folder    string // of a card for TRL
}

// configs makes the configurations that a task asks for, to train on the version whose counts are given: files of it, by their names. Of a version
// without preference pairs there is none for DPO.
func configs(task rebased.Task, counts Funnel) map[string][]byte {
	made := map[string][]byte{}
	parsed := template.Must(template.New("").Funcs(template.FuncMap{"dict": dict, "under": under}).ParseFS(configTemplates, "configs/*.tmpl"))
	pairs := counts.Preference[SplitTrain] > 0
	base := configData{
		Task: task.Name, Student: cmp.Or(task.Output.Student, rebased.DefaultStudent), Published: task.Output.Student == "",
		Validation: counts.Validation > 0, PairsValidation: counts.Preference[SplitValidation] > 0,
	}
	for _, trainer := range task.Output.Configs {
		data := base
		data.Format = task.Output.TrainerFormat(trainer)
		write := func(name, from string) {
			var out bytes.Buffer
			if err := parsed.ExecuteTemplate(&out, from+".tmpl", data); err != nil {
				panic("handoff: " + err.Error()) // templates and data are this package's own
			}
			made[path.Join(configsFolder, name)] = out.Bytes()
		}
		stages := []string{"sft"}
		if pairs && trainer != rebased.TrainerLLaMAFactory { // it takes another form of pairs: one turn, not a list of turns
			stages = append(stages, "dpo")
		}
		for _, stage := range stages {
			name := trainer + "-" + stage
			switch trainer {
			case rebased.TrainerUnsloth:
				write(name+".py", name+".py")
			default:
				write(name+".yaml", name+".yaml")
			}
			if trainer != rebased.TrainerTRL {
				continue
			}
			data.File, data.Folder = name+".yaml", name
			if stage == "dpo" {
				data.Format, data.Validation = rebased.FormatPreference, base.PairsValidation
			}
			write(name+"/"+cardName, "trl-card.md")
		}
		if trainer == rebased.TrainerLLaMAFactory {
			made[path.Join(configsFolder, "dataset_info.json")] = datasetInfo(task.Output.Formats, base.Validation)
		}
	}
	return made
}

// dict makes the data of a template within a template, of names and values.
func dict(pairs ...string) map[string]string {
	made := map[string]string{}
	for pair := range slices.Chunk(pairs, 2) {
		made[pair[0]] = pair[1]
	}
	return made
}

// under is a format as a name of LLaMA-Factory has it.
func under(format string) string { return strings.ReplaceAll(format, "-", "_") }

// The content of dataset_info.json, as LLaMA-Factory's data/README.md describes it.
type (
	factoryFile struct {
		FileName   string            `json:"file_name"` // from the folder of dataset_info.json
		Formatting string            `json:"formatting"`
		Columns    map[string]string `json:"columns"`
		Tags       map[string]string `json:"tags,omitempty"`
	}
)

// datasetInfo describes every file of lines that LLaMA-Factory reads.
func datasetInfo(formats []string, validation bool) []byte {
	splits := []string{SplitTrain}
	if validation {
		splits = append(splits, SplitValidation)
	}
	info := map[string]factoryFile{}
	for _, format := range formats {
		var file factoryFile
		switch format {
		case rebased.FormatMessages:
			file = factoryFile{Formatting: "sharegpt", Columns: map[string]string{"messages": "messages"}, Tags: map[string]string{
				"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system",
			}}
		case rebased.FormatShareGPT:
			file = factoryFile{Formatting: "sharegpt", Columns: map[string]string{"messages": "conversations"}, Tags: map[string]string{
				"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system",
			}}
		case rebased.FormatAlpaca:
			file = factoryFile{Formatting: "alpaca", Columns: map[string]string{"prompt": "instruction", "query": "input", "response": "output"}}
		case rebased.FormatPromptCompletion:
			file = factoryFile{Formatting: "alpaca", Columns: map[string]string{"prompt": "prompt", "response": "completion"}}
		default:
			continue
		}
		for _, split := range splits {
			file.FileName = fmt.Sprintf("../%s.%s.jsonl", split, format)
			info[split+"_"+under(format)] = file
		}
	}
	return encodeJSON(info)
}
