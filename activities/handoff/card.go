package handoff

import (
	"bytes"
	_ "embed" // the card's template
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/rebased/rebased"
)

//go:embed card.md.tmpl
var cardTemplate string

// cardData is what the template shows.
type cardData struct {
	Manifest
	Task           rebased.Task
	Demo           bool
	HubLicense     string // an identifier that hubs know
	LicenseName    string // set when it is "other"
	SizeCategory   string
	ValidationRows int
	Findings       []finding
	Curve          []Point  // best, middle and last
	Lines          []string // formats of JSONL files to train on
}

// card writes the dataset card: front matter for hubs and loaders, then prose. Whatever comes from data, a provider or the task is escaped.
func card(task rebased.Task, m Manifest) []byte {
	rows := m.Counts.Train + m.Counts.Validation
	data := cardData{Manifest: m, Task: task, Demo: demo(m.Teacher), SizeCategory: sizeCategory(rows), ValidationRows: m.Counts.Validation, Findings: m.findings(task)}
	if n := len(m.Scores); n > 0 {
		data.Curve = []Point{m.Scores[0], m.Scores[n/2], m.Scores[n-1]}
	}
	data.Lines = slices.DeleteFunc(slices.Clone(task.Output.Formats), func(format string) bool {
		return format == rebased.FormatPreference && m.Counts.Preference[SplitTrain] == 0
	})
	data.HubLicense, data.LicenseName = hubLicense(task.Output.License)
	funcs := template.FuncMap{
		"text": escape, "fenced": fenced, "yaml": yamlString, "reasons": reasons, "tally": tally, "title": title, "percent": func(n int) string {
			return percent(share(n, rows))
		},
	}
	var out bytes.Buffer
	if err := template.Must(template.New(cardName).Funcs(funcs).Parse(cardTemplate)).Execute(&out, data); err != nil {
		panic("handoff: " + err.Error()) // the template and its data are this package's own
	}
	return out.Bytes()
}

// demo reports whether a demo teacher had a part in the answers: its model names say so.
func demo(t TeacherRef) bool {
	names := []string{t.Model}
	for _, a := range t.Answered {
		names = append(names, a.Model)
	}
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "rebased-demo") || strings.HasPrefix(name, "rebased-replay")
	})
}

// sizeCategory is the hubs' class of size.
func sizeCategory(rows int) string {
	switch {
	case rows < 1_000:
		return "n<1K"
	case rows < 10_000:
		return "1K<n<10K"
	case rows < 100_000:
		return "10K<n<100K"
	case rows < 1_000_000:
		return "100K<n<1M"
	}
	return "1M<n<10M"
}

// hubLicenses are identifiers of licences in use for data that hubs know; any other is given by name.
const hubLicenses = ` apache-2.0 mit bsd-2-clause bsd-3-clause cc cc0-1.0 cc-by-2.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0
 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 c-uda cdla-sharing-1.0 cdla-permissive-1.0
 cdla-permissive-2.0 odbl odc-by pddl gfdl gpl-2.0 gpl-3.0 lgpl-3.0 agpl-3.0 mpl-2.0 openrail unlicense unknown `

func hubLicense(stated string) (id, name string) {
	if stated == "" {
		return "unknown", ""
	}
	if id := strings.ToLower(stated); slices.Contains(strings.Fields(hubLicenses), id) {
		return id, ""
	}
	return "other", stated
}

// yamlString quotes a value for the front matter: every string of JSON is one of YAML.
func yamlString(s string) (string, error) {
	quoted, err := json.Marshal(s)
	return string(quoted), err
}

func reasons(counts map[rebased.Reason]int) string {
	plain := map[string]int{}
	for reason, n := range counts {
		plain[string(reason)] = n
	}
	return tally(plain)
}

// tally lists counts as "3 duplicate, 1 conflict", the largest first.
func tally(counts map[string]int) string {
	counts = maps.Clone(counts)
	maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 0 })
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %s", count(counts[name]), strings.ReplaceAll(name, "_", " "))
	}
	return strings.Join(names, ", ")
}
