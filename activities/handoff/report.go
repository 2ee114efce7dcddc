package handoff

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rebased/rebased"
)

const reportName = "report.html"

//go:embed report.html.tmpl
var reportTemplate string

// Bounds of what a report shows.
const (
	reportPoints  = 100  // of the score curve
	reportSources = 20   // datasets
	reportLabels  = 20   // most frequent answers
	reportRows    = 20   // sampled rows
	reportText    = 1500 // characters of a text
)

// facts is what is counted of a set of rows.
type facts struct {
	rows    int
	numbers []histogram    // by the survey's measures
	labels  map[string]int // nil when answers are too long or too many to be labels
}

func newFacts(m measures) facts {
	f := facts{labels: map[string]int{}, numbers: make([]histogram, len(m.names))}
	for i := range f.numbers {
		f.numbers[i] = histogram{}
	}
	return f
}

// clone copies facts, so that more rows can be added to one of the two.
func (f *facts) clone() facts {
	out := facts{rows: f.rows, labels: maps.Clone(f.labels)}
	for _, h := range f.numbers {
		out.numbers = append(out.numbers, maps.Clone(h))
	}
	return out
}

func (f *facts) add(m measures, e *rebased.Example) {
	f.rows++
	for i, v := range m.of(e) {
		f.numbers[i][v]++
	}
	f.label(e.Answer)
}

// sample is a row that the report shows, beside the row that it was made of.
type sample struct {
	rebased.Example
	hash   uint64         // of its id
	Source []rebased.Cell // nil when it is not known
}

// pick keeps the rows whose ids have the lowest hashes.
type pick struct{ rows []sample }

func (p *pick) offer(e *rebased.Example) {
	order := func(a, b sample) int { return cmp.Compare(a.hash, b.hash) }
	s := sample{Example: *e, hash: hashOf(string(e.Row))}
	at, _ := slices.BinarySearchFunc(p.rows, s, order)
	if at == reportRows {
		return
	}
	if p.rows = slices.Insert(p.rows, at, s); len(p.rows) > reportRows {
		p.rows = p.rows[:reportRows]
	}
}

// source finds the rows that the samples were made of.
func (p *pick) source(ctx context.Context, sources Sources) error {
	if sources == nil || len(p.rows) == 0 {
		return nil
	}
	wanted := make(map[rebased.RowID]struct{}, len(p.rows))
	for _, s := range p.rows {
		wanted[s.Row] = struct{}{}
	}
	found, err := sources(ctx, wanted)
	if err != nil {
		return fmt.Errorf("read the source rows of the report: %w", err)
	}
	for i := range p.rows {
		p.rows[i].Source = found[p.rows[i].Row].Cells
	}
	slices.SortFunc(p.rows, func(a, b sample) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), strings.Compare(string(a.Row), string(b.Row)))
	})
	return nil
}

// reportData is what the template is given.
type reportData struct {
	Manifest
	Rows     int
	Demo     bool
	Funnel   template.HTML
	Scores   template.HTML
	Origins  template.HTML
	Others   int // datasets that the chart leaves out
	Findings []finding
	Counted  []counted
	Samples  []sample
}

// counted is a distribution and its chart.
type counted struct {
	Distribution
	Chart template.HTML
}

// report writes the report of a version: one page that needs nothing from elsewhere and runs no script. All that comes from data is escaped.
func report(task rebased.Task, m Manifest, s survey) []byte {
	data := reportData{
		Manifest: m, Rows: s.rows, Demo: demo(m.Teacher), Samples: s.pick.rows, Findings: m.findings(task),
		Funnel: funnelChart(m.Counts), Scores: scoreChart(m.Scores),
	}
	for _, d := range m.Distributions {
		data.Counted = append(data.Counted, counted{d, binChart(d.Bins)})
	}
	names, rows := []string{}, []float64{}
	for _, origin := range m.Sources {
		if i := slices.Index(names, origin.Dataset); i >= 0 {
			rows[i] += float64(origin.Rows)
			continue
		}
		names, rows = append(names, origin.Dataset), append(rows, float64(origin.Rows))
	}
	data.Others = max(0, len(names)-reportSources)
	data.Origins = bars(names[:min(reportSources, len(names))], series{values: rows[:min(reportSources, len(names))]})
	var out bytes.Buffer
	funcs := template.FuncMap{
		"cut": func(text string) string { return cut(text, reportText) }, "tally": tally, "reasons": reasons, "count": count, "grouped": grouped, "title": title,
		"part": func(n int) string { return percent(share(n, s.rows)) },
	}
	if err := template.Must(template.New(reportName).Funcs(funcs).Parse(reportTemplate)).Execute(&out, data); err != nil {
		panic("handoff: " + err.Error()) // the template and its data are this package's own
	}
	return out.Bytes()
}

// funnelChart follows the rows from retrieval to the version.
func funnelChart(counts Funnel) template.HTML {
	labels, rows := []string{"retrieved"}, []float64{float64(counts.Retrieved)}
	for _, step := range counts.Steps {
		labels, rows = append(labels, "after "+step.Step), append(rows, float64(step.Out))
	}
	return bars(labels, series{values: rows})
}

// scoreChart draws the scores from the best row to the last.
func scoreChart(points []Point) template.HTML {
	if len(points) < 2 { // a line has two ends
		return ""
	}
	values, labels := make([]float64, len(points)), make([]string, len(points))
	for i, p := range points {
		values[i], labels[i] = p.Score, strconv.Itoa(p.Row)
	}
	return curve(values, labels)
}

// binChart shows a distribution before and after deduplication.
func binChart(bins []Bin) template.HTML {
	labels, was, is := make([]string, len(bins)), make([]float64, len(bins)), make([]float64, len(bins))
	for i, b := range bins {
		labels[i], was[i], is[i] = b.Label, float64(b.Before), float64(b.After)
	}
	return bars(labels, series{"in the version", is}, series{"before deduplication", was})
}

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	n := 0
	for i := range text {
		if n++; n > most {
			return text[:i] + "…"
		}
	}
	return text
}
