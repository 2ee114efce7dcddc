package handoff

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

const reportName = "report.html"

//go:embed report.html.tmpl
var reportTemplate string

// Bounds of what a report shows.
const (
	reportPoints  = 200  // of the score curve
	reportSources = 20   // datasets
	reportLabels  = 20   // most frequent answers
	reportRows    = 20   // sampled rows
	reportText    = 1500 // characters of a text
)

// lengths counts texts by the power of two that their characters reach.
type lengths [24]int

func (l *lengths) add(text string) { l[min(bits.Len(uint(utf8.RuneCountInString(text))), len(l)-1)]++ } //nolint:gosec // a count

// facts is what a report tells of a set of rows.
type facts struct {
	rows          int
	input, output lengths
	labels        map[string]int // nil when answers are too long or too many to be labels
}

func newFacts() facts { return facts{labels: map[string]int{}} }

func (f *facts) add(input, output, answer string) {
	f.rows++
	f.input.add(input)
	f.output.add(output)
	f.label(answer)
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
	Reasoned bool
	Funnel   template.HTML
	Scores   template.HTML
	Origins  template.HTML
	Others   int // datasets that the chart leaves out
	Labels   template.HTML
	Inputs   template.HTML
	Outputs  template.HTML
	Samples  []sample
}

// report writes the report of a version: one page that needs nothing from elsewhere and runs no script. All that comes from data is escaped.
func report(task rebased.Task, m Manifest, s survey) []byte {
	data := reportData{
		Manifest: m, Rows: s.rows, Demo: demo(m.Teacher), Reasoned: task.Reason.Mode != rebased.ReasonNone, Samples: s.pick.rows,
		Funnel: funnelChart(m.Counts), Scores: scoreChart(s.scores), Labels: labelChart(s.before, s.facts),
		Inputs: lengthChart(s.before.input, s.input), Outputs: lengthChart(s.before.output, s.output),
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
		"share": func(of float64) string { return fmt.Sprintf("%.1f %%", 100*of) }, "cut": func(text string) string { return cut(text, reportText) }, "tally": tally, "reasons": reasons,
		"part": func(n int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(1, s.rows))) },
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
func scoreChart(scores []float32) template.HTML {
	sorted := slices.Clone(scores)
	slices.SortFunc(sorted, func(a, b float32) int { return cmp.Compare(b, a) })
	n := min(reportPoints, len(sorted))
	values, labels := make([]float64, n), make([]string, n)
	for i := range n {
		at := i * (len(sorted) - 1) / max(1, n-1)
		values[i], labels[i] = float64(sorted[at]), strconv.Itoa(at+1)
	}
	if n < 2 { // a line has two ends
		return ""
	}
	return curve(values, labels)
}

// labelChart shows the most frequent answers before and after deduplication; nothing when answers are no labels.
func labelChart(before, after facts) template.HTML {
	names := slices.Collect(maps.Keys(after.labels))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(after.labels[b], after.labels[a]), strings.Compare(a, b))
	})
	if len(names) == 0 || after.labels[names[0]] < 2 || before.labels == nil {
		return ""
	}
	names = names[:min(reportLabels, len(names))]
	was, is := make([]float64, len(names)), make([]float64, len(names))
	for i, name := range names {
		was[i], is[i] = float64(before.labels[name]), float64(after.labels[name])
	}
	return bars(names, series{"in the version", is}, series{"before deduplication", was})
}

// lengthChart shows how long texts are before and after deduplication.
func lengthChart(before, after lengths) template.HTML {
	first := slices.IndexFunc(before[:], func(n int) bool { return n > 0 })
	if first < 0 {
		return ""
	}
	last := len(before) - 1
	for before[last] == 0 {
		last--
	}
	var labels []string
	var was, is []float64
	for i := first; i <= last; i++ {
		low, high := 1<<max(0, i-1), 1<<i-1
		if i == 0 {
			low = 0
		}
		labels = append(labels, fmt.Sprintf("%d to %d characters", low, high))
		was, is = append(was, float64(before[i])), append(is, float64(after[i]))
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
