package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/console"
)

// phases are those that every build goes through, in order; a build with a target goes back from dedupe to transform.
var phases = []string{"plan", "retrieve", "transform", "dedupe", "handoff"}

// labelled is how wide the names of a frame's lines are.
const labelled = 11

// frame draws one build.
func frame(s standing, notice string, width int) []console.Line {
	lines := []console.Line{
		{{Text: s.name() + "  ", Style: console.Bold}, {Text: string(s.State), Style: styleOf(s.State)}, {Text: "  " + short(time.Duration(s.Seconds*float64(time.Second)))}},
		phaseLine(s.Phase), nil,
	}
	add := func(label, format string, args ...any) {
		for i, text := range wrapped(fmt.Sprintf(format, args...), width-labelled) {
			if i > 0 {
				label = ""
			}
			lines = append(lines, console.Line{{Text: fmt.Sprintf("%-*s", labelled, label), Style: console.Dim}, {Text: text}})
		}
	}
	if s.Detail != "" {
		add("because", "%s", s.Detail)
	}
	if s.Phase == "transform" && s.ToAsk > 0 {
		add("asked", "%s %3.0f %%  %s of %s rows", bar(s.part(), min(20, max(8, width-labelled-48))), 100*s.part(), console.Thousands(s.Asked), console.Thousands(s.ToAsk))
	}
	if s.Retrieved > 0 {
		add("rows", "%s good of %s retrieved", console.Thousands(s.Rows), console.Thousands(s.Retrieved))
	}
	if rejected := byCount(s.Rejected); rejected != "" {
		add("rejected", "%s: %s", console.Thousands(sum(s.Rejected)), rejected)
	}
	if s.Phase == "transform" {
		add("rate", "%s", rateLine(s))
		add("in flight", "%s", flightLine(s))
	}
	if s.Calls != (rebased.Calls{}) {
		add("calls", "%s made, %s reused, %s failed", console.Thousands(s.Calls.Made), console.Thousands(s.Calls.Reused), console.Thousands(s.Calls.Failed))
	}
	if s.Batches > 0 {
		add("batches", "%s under way at the provider", console.Thousands(s.Batches))
	}
	if line := tokenLine(s); line != "" {
		add("tokens", "%s", line)
	}
	if s.Spent.USD > 0 || s.Cap.USD > 0 {
		add("cost", "%s", costLine(s, width))
	}
	if s.State == rebased.StateRunning {
		add("workers", "%s", workersLine(s.Workers))
	}
	for _, a := range s.Again[:min(3, len(s.Again))] {
		add("again", "%s", a)
	}
	return append(lines, foot(notice)...)
}

func foot(notice string) []console.Line {
	lines := []console.Line{nil}
	if notice != "" {
		lines = append(lines, console.Line{{Text: notice, Style: console.Yellow}})
	}
	return append(lines, console.Line{{Text: "q quits, what runs goes on", Style: console.Dim}})
}

// phaseLine shows where a build is among its phases.
func phaseLine(phase string) (line console.Line) {
	shown := phases
	at := slices.Index(phases, phase)
	if at < 0 && phase != "" { // approval, release, trigger: what comes behind
		shown = append(slices.Clone(phases), phase)
		at = len(phases)
	}
	for i, name := range shown {
		if i > 0 {
			line = append(line, console.Span{Text: " > ", Style: console.Dim})
		}
		switch {
		case i == at:
			line = append(line, console.Span{Text: "[" + name + "]", Style: console.Bold})
		case i > at:
			line = append(line, console.Span{Text: name, Style: console.Dim})
		default:
			line = append(line, console.Span{Text: name, Style: console.Green})
		}
	}
	return line
}

func styleOf(s rebased.State) console.Style {
	switch {
	case s == rebased.StateFailed, s == rebased.StateRejected:
		return console.Red
	case s.Waits(), s == rebased.StateCanceled, s == rebased.StateSuperseded:
		return console.Yellow
	}
	return console.Green
}

func rateLine(s standing) string {
	if s.RowRate == 0 && s.CallRate == 0 {
		if !s.measured {
			return "measured in a moment"
		}
		return "nothing answered in the last " + short(window)
	}
	line := fmt.Sprintf("%.1f rows/s, %.1f calls/s", s.RowRate, s.CallRate)
	if left := s.left(); left != "" {
		line += ", about " + left + " left"
	}
	return line
}

func flightLine(s standing) string {
	line := console.Thousands(s.InFlight)
	if s.Most > 0 {
		line += ", the pace allows " + console.Thousands(s.Most)
	}
	if s.Pace > 0 {
		line += fmt.Sprintf(" and %.1f calls/s", s.Pace)
	}
	if s.Throttled > 0 {
		line += fmt.Sprintf(", throttled %s times", console.Thousands(s.Throttled))
	}
	if s.Hold >= 1 {
		line += ", held for " + short(time.Duration(s.Hold*float64(time.Second)))
	}
	return line
}

func tokenLine(s standing) string {
	switch {
	case s.Cap.Tokens > 0:
		return fmt.Sprintf("%s of %s (%.0f %%)", console.Thousands(int(s.Spent.Tokens)), console.Thousands(int(s.Cap.Tokens)), 100*float64(s.Spent.Tokens)/float64(s.Cap.Tokens))
	case s.Tokens != (rebased.Usage{}):
		return fmt.Sprintf("%s in, %s out", console.Thousands(int(s.Tokens.InputTokens)), console.Thousands(int(s.Tokens.OutputTokens)))
	}
	return ""
}

func costLine(s standing, width int) string {
	line := s.money()
	if s.Cap.USD > 0 {
		part := s.Spent.USD / s.Cap.USD
		line = fmt.Sprintf("%s %3.0f %%  %s", bar(min(1, part), min(20, max(8, width-labelled-48))), 100*part, line)
	}
	if s.Forecast > 0 {
		line += fmt.Sprintf(" (some %.2f in all)", s.Forecast)
	}
	return line
}

func workersLine(workers []string) string {
	if len(workers) == 0 {
		return "none has a step now"
	}
	return fmt.Sprintf("%d: %s", len(workers), strings.Join(workers, ", "))
}

// bar draws a part of one.
func bar(part float64, width int) string {
	full := int(part * float64(width))
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// wrapped breaks text between words into lines of so many columns.
func wrapped(text string, columns int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(console.OneLine(text)) {
		if line != "" && console.Columns(line)+1+console.Columns(word) > columns {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// column is one of the table of builds. Of those that do not fit, the last go first.
type column struct {
	name string
	text func(standing) string
}

var columns = []column{
	{"BUILD", standing.name},
	{"STANDS AT", standsAt},
	{"DONE", func(s standing) string {
		if s.Phase != "transform" || s.ToAsk == 0 {
			return ""
		}
		return fmt.Sprintf("%.0f%%", 100*s.part())
	}},
	{"LEFT", standing.left},
	{"ROWS/S", func(s standing) string { return rate(s.RowRate) }},
	{"USD", func(s standing) string {
		if s.Spent.USD == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f", s.Spent.USD)
	}},
	{"GOOD", func(s standing) string { return count(s.Rows) }},
	{"REJECTED", func(s standing) string { return count(sum(s.Rejected)) }},
	{"IN FLIGHT", func(s standing) string { return count(s.InFlight) }},
	{"429S", func(s standing) string { return count(s.Throttled) }},
	{"CALLS/S", func(s standing) string { return rate(s.CallRate) }},
	{"TOOK", func(s standing) string { return short(time.Duration(s.Seconds * float64(time.Second))) }},
}

func standsAt(s standing) string {
	if s.State == rebased.StateRunning && s.Phase != "" {
		return s.Phase
	}
	return string(s.State)
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return console.Thousands(n)
}

func rate(r float64) string {
	if r == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", r)
}

// table draws several builds, one a line.
func table(builds []standing, notice string, width, height int) []console.Line {
	end := foot(notice)
	fit := max(1, height-1-len(end))
	hidden := 0
	if len(builds) > fit {
		hidden = len(builds) - fit + 1
		builds = builds[:fit-1]
	}
	cells, widths := make([][]string, len(builds)), make([]int, len(columns))
	for c, column := range columns {
		widths[c] = len(column.name)
		for i, b := range builds {
			text := column.text(b)
			cells[i] = append(cells[i], text)
			widths[c] = max(widths[c], console.Columns(text))
		}
	}
	shown := len(columns)
	for shown > 2 && total(widths[:shown]) > width {
		shown--
	}
	widths[0] = max(8, widths[0]-max(0, total(widths[:shown])-width))
	header := console.Line{}
	for c, column := range columns[:shown] {
		header = append(header, console.Span{Text: padded(column.name, widths[c], c < 2), Style: console.Bold})
	}
	lines := []console.Line{header}
	for i, b := range builds {
		var line console.Line
		for c := range columns[:shown] {
			style := console.Plain
			if c == 1 {
				style = styleOf(b.State)
			}
			line = append(line, console.Span{Text: padded(cells[i][c], widths[c], c < 2), Style: style})
		}
		lines = append(lines, line)
	}
	for _, b := range builds[:min(len(builds), max(0, height-len(lines)-len(end)))] {
		for _, a := range b.Again[:min(1, len(b.Again))] {
			lines = append(lines, console.Line{{Text: b.name() + ": " + a.String(), Style: console.Dim}})
		}
	}
	if hidden > 0 {
		lines = append(lines, console.Line{{Text: fmt.Sprintf("and %d more, for which the screen has no room", hidden), Style: console.Dim}})
	}
	return append(lines, end...)
}

const between = 2 // columns of a terminal between two of the table

func total(widths []int) (sum int) {
	for _, w := range widths {
		sum += w + between
	}
	return sum - between
}

// padded fills a cell up, at its right or, for numbers, at its left, and leaves room before the next.
func padded(text string, width int, left bool) string {
	text = console.Fit(text, width)
	fill := strings.Repeat(" ", max(0, width-console.Columns(text)))
	if left {
		return text + fill + "  "
	}
	return fill + text + "  "
}
