package handoff

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// Format names the layout of a version; it is in every manifest.
const Format = "rebased.dataset/v1"

// Names of the files that every version has.
const (
	manifestName = "manifest.json"
	taskName     = "task.yaml"
	cardName     = "README.md"
)

// Manifest says what a version holds and what it was made from: the content of manifest.json. It tells nothing about the build that made it.
type Manifest struct {
	Format      string        `json:"format"`
	Task        string        `json:"task"`
	Instruction string        `json:"instruction"`
	System      string        `json:"system,omitempty"` // as the task file has it
	License     string        `json:"license"`          // as the task file states it; "" = not stated
	Corpus      CorpusRef     `json:"corpus"`
	Encoder     string        `json:"encoder"` // identity
	Teacher     TeacherRef    `json:"teacher"`
	DeltaTo     []string      `json:"delta_to,omitempty"` // versions of the task, oldest first, whose rows this one leaves out; none = it is a whole version
	Counts      Funnel        `json:"counts"`
	Tokens      rebased.Usage `json:"tokens"` // of the answers used, whoever paid
	Quality     Quality       `json:"quality"`
	Benchmarks  []Benchmark   `json:"benchmarks,omitempty"` // that no row shares text with, in the order of the task
	Sources     []Origin      `json:"sources"`              // most rows first
	// Distributions, the curve of Scores and the Tokenizer whose tokens are among the former are what the report draws.
	Distributions []Distribution `json:"distributions"`
	Scores        []Point        `json:"scores"`
	Tokenizer     *TokenizerRef  `json:"tokenizer,omitempty"`
	Files         []Entry        `json:"files"` // by name; all but the manifest
}

// Benchmark is a file that rows were held against, and how many were left out for it.
type Benchmark struct {
	Name     string `json:"name"` // as the task names it
	SHA256   string `json:"sha256"`
	Rows     int    `json:"rows"`
	Pieces   int    `json:"pieces"`   // n-grams, and whole texts shorter than that, which no benchmark before it has
	Corpus   int    `json:"corpus"`   // rows of the corpus that were not retrieved since they share text with it
	Examples int    `json:"examples"` // examples, made of retrieved rows, that were rejected for that
}

// CorpusRef names one revision of a corpus.
type CorpusRef struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
}

// TeacherRef is who was asked and who answered.
type TeacherRef struct {
	Endpoint string     `json:"endpoint"`
	Model    string     `json:"model"`    // asked for
	Answered []Answered `json:"answered"` // as the provider reported it, most rows first
}

// Answered counts the rows of one model.
type Answered struct {
	Model string `json:"model"`
	Rows  int    `json:"rows"`
}

// Funnel follows the rows through the steps: Retrieved = Train + Validation + all that were rejected.
type Funnel struct {
	Retrieved  int                    `json:"retrieved"`
	Skipped    map[string]int         `json:"skipped"` // kept out before they were retrieved
	Steps      []StepCount            `json:"steps"`
	Rejected   map[rebased.Reason]int `json:"rejected"`        // of all steps
	Given      map[rebased.Reason]int `json:"given,omitempty"` // of those that dedupe rejected, the ones that repeat a row of dedupe.against or of DeltaTo
	Train      int                    `json:"train"`
	Validation int                    `json:"validation"`
	// Preference counts the preference pairs of each split; nil = the task asks for none.
	Preference map[string]int `json:"preference,omitempty"`
}

// StepCount is what one step took in and gave out, and what its answers took. Of an Input, Step, Rejected and Tokens are read.
type StepCount struct {
	Step     string                 `json:"step"`
	In       int                    `json:"in"`
	Rejected map[rebased.Reason]int `json:"rejected"`
	Out      int                    `json:"out"`
	// Tokens are those of the answers that were used, whoever paid. Zero for a step that asks nobody, and where a build that an older
	// program began does not know its steps' parts.
	Tokens rebased.Usage `json:"tokens,omitzero"`
}

// Origin counts the rows of one dataset under one licence.
type Origin struct {
	Dataset string `json:"dataset"`
	License string `json:"license"` // "" = unknown
	Rows    int    `json:"rows"`
}

// Entry is one file of the version, by its name in the folder.
type Entry struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
	Rows   int    `json:"rows"` // 0 for files that hold no rows
}

// newManifest fills in all but the files.
func newManifest(in Input, of survey) (Manifest, error) {
	if of.rows == 0 {
		return Manifest{}, rebased.E(rebased.Invalid, "no row is left to make a version of task %s from: the rejects of the build say why", in.Task.Name)
	}
	counts, err := newCounts(in, of.rows)
	if err != nil {
		return Manifest{}, err
	}
	counts.Train, counts.Validation = of.splits.size(SplitTrain), of.splits.size(SplitValidation)
	if slices.Contains(in.Task.Output.Formats, rebased.FormatPreference) {
		counts.Preference = of.pairs()
	}
	m := Manifest{
		Format: Format, Task: in.Task.Name, Instruction: in.Task.Instruction, System: in.Task.Output.System, License: in.Task.Output.License,
		Corpus: CorpusRef{Name: in.Task.Corpus, Revision: in.Revision}, Encoder: in.Encoder,
		Teacher: TeacherRef{Endpoint: in.Endpoint, Model: in.Task.Transform.Teacher.Model}, DeltaTo: deltaTo(in.Task), Counts: counts, Tokens: in.Tokens,
		Quality: newQuality(counts, of), Benchmarks: in.Benchmarks, Distributions: of.distributions(), Scores: curveOf(of.scores),
	}
	if in.Tokenizer != nil {
		m.Tokenizer = new(in.Tokenizer.Ref())
	}
	for model, rows := range of.teachers {
		m.Teacher.Answered = append(m.Teacher.Answered, Answered{Model: model, Rows: rows})
	}
	slices.SortFunc(m.Teacher.Answered, func(a, b Answered) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), strings.Compare(a.Model, b.Model))
	})
	for s, rows := range of.sources {
		m.Sources = append(m.Sources, Origin{Dataset: s.Dataset, License: s.License, Rows: rows})
	}
	slices.SortFunc(m.Sources, func(a, b Origin) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), strings.Compare(a.Dataset, b.Dataset), strings.Compare(a.License, b.License))
	})
	return m, nil
}

// deltaTo lists the versions of the task itself that its rows must not repeat.
func deltaTo(task rebased.Task) (versions []string) {
	for _, ref := range task.Dedupe.Against {
		if of, version, ok := rebased.ParseVersionRef(ref); ok && of == task.Name {
			versions = append(versions, version)
		}
	}
	return versions
}

// newCounts follows the rows through the steps and checks that none is lost.
func newCounts(in Input, there int) (Funnel, error) {
	counts := Funnel{Retrieved: in.Retrieved, Skipped: map[string]int{}, Steps: []StepCount{}, Rejected: map[rebased.Reason]int{}}
	maps.Copy(counts.Skipped, in.Skipped)
	if len(in.Given) > 0 {
		counts.Given = maps.Clone(in.Given)
	}
	rows := in.Retrieved
	for _, given := range in.Steps {
		step := StepCount{Step: given.Step, In: rows, Tokens: given.Tokens, Rejected: map[rebased.Reason]int{}}
		for reason, n := range given.Rejected {
			if n == 0 {
				continue
			}
			step.Rejected[reason] = n
			counts.Rejected[reason] += n
			rows -= n
		}
		step.Out = rows
		counts.Steps = append(counts.Steps, step)
	}
	if rows != there {
		return Funnel{}, rebased.E(rebased.Invalid, "the counts do not add up: %d rows retrieved less those rejected are %d, but %d are there", in.Retrieved, rows, there)
	}
	return counts, nil
}

// rows is how many rows a version has.
func (m *Manifest) rows() int { return m.Counts.Train + m.Counts.Validation }

func (m *Manifest) add(entry Entry) {
	m.Files = append(m.Files, entry)
	slices.SortFunc(m.Files, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
}

// tables finds the Parquet files of a split, in the order of its rows.
func (m *Manifest) tables(split string) []Entry {
	var found []Entry
	for _, f := range m.Files {
		if isParquet(f.Name, split) {
			found = append(found, f)
		}
	}
	return found
}

// encode gives the one form that a manifest is written in.
func (m *Manifest) encode() []byte { return encodeJSON(m) }

// encodeJSON writes structs in the order of their fields, maps by key, two spaces a level, no escapes for HTML, one line feed at the end.
// It panics on what JSON cannot say, which the types of this package never hold.
func encodeJSON(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		panic("handoff: " + err.Error())
	}
	return out.Bytes()
}
