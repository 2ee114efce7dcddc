package handoff

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rebased/rebased"
)

// This file is what a version is said to be: every figure stands in the manifest once, and report and card show what they find there. A new one is a
// measure of rows (measuresOf), which becomes a distribution with a chart, or a line of findings.

// Distribution counts rows by one property of theirs.
type Distribution struct {
	Of      string   `json:"of"`
	Summary *Summary `json:"summary,omitempty"` // of the version's rows; nil when the property is no number
	Bins    []Bin    `json:"bins"`              // of answers the most frequent, of numbers all from the least to the greatest
}

// Bin counts the rows that share a label: an answer, or a range of numbers.
type Bin struct {
	Label  string `json:"label"`
	Before int    `json:"before"` // rows that came to deduplication
	After  int    `json:"after"`  // rows of the version
}

// Summary describes the numbers of the version's rows. P50 and P95 are the least numbers that half and 95 % of the rows do not exceed.
type Summary struct {
	Total int64   `json:"total"`
	Mean  float64 `json:"mean"` // to two digits
	P50   int     `json:"p50"`
	P95   int     `json:"p95"`
	Max   int     `json:"max"`
}

// Point is one of the curve of scores: that of the n-th best row, from 1.
type Point struct {
	Row   int     `json:"row"`
	Score float64 `json:"score"` // to four digits
}

// TokenizerRef is who counted tokens.
type TokenizerRef struct {
	Name   string `json:"name"`   // as the task file has it
	SHA256 string `json:"sha256"` // of its tokenizer.json
}

// Tokenizer counts the tokens of texts for a student. It is safe for use by one goroutine.
type Tokenizer interface {
	Ref() TokenizerRef
	// Count gives the tokens of a text alone, without those that a model puts around it.
	Count(text string) int
}

// measures are the numbers that are counted of every row: their names, and their values in that order.
type measures struct {
	names []string
	of    func(e *rebased.Example) []int
}

// measuresOf gives what is counted of a task's rows. A message is what a student reads and writes of a row, the instruction included, without
// what its chat template adds.
func measuresOf(task rebased.Task, tokens Tokenizer) measures {
	m := measures{names: []string{"characters of the input", "characters of the output"}}
	m.of = func(e *rebased.Example) []int {
		return []int{utf8.RuneCountInString(e.Input), utf8.RuneCountInString(e.Output)}
	}
	if tokens == nil {
		return m
	}
	m.names = append(m.names, "tokens of the input", "tokens of the output", "tokens of the message")
	characters, instruction := m.of, tokens.Count(task.Instruction)
	if system := task.Output.System; system != rebased.SystemNone {
		instruction += tokens.Count(system)
	}
	m.of = func(e *rebased.Example) []int {
		input, output := tokens.Count(e.Input), tokens.Count(e.Output)
		return append(characters(e), input, output, instruction+input+output)
	}
	return m
}

// histogram counts rows by a number of theirs.
type histogram map[int]int

func (h histogram) summary() *Summary {
	values := slices.Sorted(maps.Keys(h))
	s := &Summary{}
	rows := 0
	for _, v := range values {
		rows += h[v]
		s.Total += int64(v) * int64(h[v])
		s.Max = v
	}
	if rows == 0 {
		return s
	}
	s.Mean = rounded(float64(s.Total)/float64(rows), 100)
	seen := 0
	for _, v := range values {
		before := seen
		seen += h[v]
		for _, p := range []struct {
			rank int
			at   *int
		}{{(rows + 1) / 2, &s.P50}, {(95*rows + 99) / 100, &s.P95}} {
			if before < p.rank && p.rank <= seen {
				*p.at = v
			}
		}
	}
	return s
}

// bins counts by the power of two that a number reaches, from the least range that has rows to the greatest.
func bins(before, after histogram) []Bin {
	var was, is [bits.UintSize + 1]int
	first, last := len(was), -1
	for v, n := range before {
		at := bits.Len(uint(v)) //nolint:gosec // a count
		was[at] += n
		first, last = min(first, at), max(last, at)
	}
	for v, n := range after {
		is[bits.Len(uint(v))] += n //nolint:gosec // a count
	}
	var out []Bin
	for at := first; at <= last; at++ {
		label := "0"
		if at == 1 {
			label = "1"
		} else if at > 1 {
			label = fmt.Sprintf("%s to %s", count(1<<(at-1)), count(1<<at-1))
		}
		out = append(out, Bin{Label: label, Before: was[at], After: is[at]})
	}
	return out
}

// distributions are those of answers, unless they are no labels, and of every measure.
func (s *survey) distributions() []Distribution {
	all := []Distribution{}
	if answers := answerBins(s.before, s.facts); len(answers) > 0 {
		all = append(all, Distribution{Of: "answer", Bins: answers})
	}
	for i, name := range s.measures.names {
		all = append(all, Distribution{Of: name, Summary: s.numbers[i].summary(), Bins: bins(s.before.numbers[i], s.numbers[i])})
	}
	return all
}

// answerBins are the most frequent answers; none when answers are no labels.
func answerBins(before, after facts) []Bin {
	names := slices.Collect(maps.Keys(after.labels))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(after.labels[b], after.labels[a]), strings.Compare(a, b))
	})
	if len(names) == 0 || after.labels[names[0]] < 2 || before.labels == nil {
		return nil
	}
	var out []Bin
	for _, name := range names[:min(reportLabels, len(names))] {
		out = append(out, Bin{Label: name, Before: before.labels[name], After: after.labels[name]})
	}
	return out
}

// curveOf takes points of the scores, from the best to the last.
func curveOf(scores []float32) []Point {
	sorted := slices.Clone(scores)
	slices.SortFunc(sorted, func(a, b float32) int { return cmp.Compare(b, a) })
	const digits = 10_000
	points := make([]Point, min(reportPoints, len(sorted)))
	for i := range points {
		at := i * (len(sorted) - 1) / max(1, len(points)-1)
		points[i] = Point{Row: at + 1, Score: rounded(float64(sorted[at]), digits)}
	}
	return points
}

func rounded(v, digits float64) float64 { return math.Round(digits*v) / digits }

// finding is one line of what was found out about the rows.
type finding struct{ What, Value string }

// findings are the lines that report and card show.
func (m *Manifest) findings(task rebased.Task) []finding {
	q := m.Quality
	all := []finding{{"of the rows retrieved, gave a usable example", percent(q.Parsed)}}
	if task.Reason.Mode != rebased.ReasonNone {
		all = append(all, finding{"of the rows reasoned about, have an answer that stood", percent(q.Agreement)})
	}
	all = append(all, finding{"of the rows before deduplication, repeat others", percent(q.Duplicates)})
	for _, repeat := range []struct {
		reason rebased.Reason
		what   string
	}{
		{rebased.ReasonDuplicate, "rows removed, equal to another"},
		{rebased.ReasonNearDuplicate, "rows removed, nearly equal to another"},
		{rebased.ReasonSemanticDuplicate, "rows removed, of the meaning of another"},
		{rebased.ReasonConflict, "rows removed, with the input of another and another output"},
	} {
		if repeat.reason != rebased.ReasonSemanticDuplicate || task.Dedupe.Semantic != nil {
			all = append(all, finding{repeat.what, count(m.Counts.Rejected[repeat.reason])})
		}
	}
	if len(m.Benchmarks) == 0 {
		all = append(all, finding{"rows left out, that share text with a benchmark", "the task names none"})
	}
	for _, b := range m.Benchmarks {
		all = append(all, finding{
			fmt.Sprintf("rows that share text with the benchmark %s (%s rows, SHA-256 %.12s…)", b.Name, count(b.Rows), b.SHA256),
			fmt.Sprintf("%s not retrieved, %s rejected", count(b.Corpus), count(b.Examples)),
		})
	}
	if q.Judge != nil {
		all = append(all, finding{"the judge's score of the version's rows, of 10, on average", fmt.Sprintf("%.2f", q.Judge.Mean)})
	}
	all = append(all, finding{"of the version's rows, have their answer in the input, word for word", percent(q.InInput)})
	if q.Label != "" {
		all = append(all, finding{"of the version's rows, have the most frequent answer, “" + q.Label + "”", percent(q.LabelShare)})
	}
	return all
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// count writes a number of rows or tokens as 1,234,567.
func count(n int) string { return grouped(int64(n)) }

// title begins a name as a heading does.
func title(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}
