package console

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// usualWidth is that of a page, where what is written goes to no terminal.
const usualWidth = 100

// Width is how many characters fit into a line of standard output.
func (c *Console) Width() int {
	if f, ok := c.Out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return max(40, width)
		}
	}
	return usualWidth
}

// eighths fill a character from below, and bars one from the left.
const (
	eighths = " ▁▂▃▄▅▆▇█"
	bars    = " ▏▎▍▌▋▊▉█"
)

func block(blocks string, n int) rune { return []rune(blocks)[min(max(n, 0), 8)] }

// Curve draws values from left to right over a scale of their own; last is the number of the last one, under the right end.
func Curve(w io.Writer, values []float32, last, width int) {
	if len(values) == 0 {
		return
	}
	const height = 6
	most, least := slices.Max(values), slices.Min(values)
	label := fmt.Sprintf("%.3f ", most)
	columns := max(1, min(width-len(label)-1, 100))
	for line := height - 1; line >= 0; line-- {
		var drawn strings.Builder
		drawn.WriteString(pad(line, height, most, least, len(label)))
		for c := range columns {
			v := values[min(c*len(values)/columns, len(values)-1)]
			if c == columns-1 {
				v = values[len(values)-1]
			}
			part := float32(1)
			if most > least {
				part = (v - least) / (most - least)
			}
			drawn.WriteRune(block(eighths, int(1+part*(8*height-1)+0.5)-8*line))
		}
		fmt.Fprintln(w, strings.TrimRight(drawn.String(), " "))
	}
	end := Thousands(last)
	fmt.Fprintf(w, "%*s1%s%s\n", len(label), "", strings.Repeat(" ", max(1, columns-1-len(end))), end)
}

// pad is what stands at the left of a line of a curve: the scale's ends.
func pad(line, height int, most, least float32, width int) string {
	switch line {
	case height - 1:
		return fmt.Sprintf("%*s", width, fmt.Sprintf("%.3f ", most))
	case 0:
		return fmt.Sprintf("%*s", width, fmt.Sprintf("%.3f ", least))
	}
	return strings.Repeat(" ", width)
}

// Bar is a name with its share.
type Bar struct {
	Name  string
	Count int
}

// Bars draws shares of a total, one a line.
func Bars(w io.Writer, entries []Bar, total, width int) {
	names, most := 0, 1
	for _, e := range entries {
		names, most = max(names, utf8.RuneCountInString(OneLine(e.Name))), max(most, e.Count)
	}
	names = min(names, width/2)
	room := max(8, width-names-18)
	for _, e := range entries {
		eighth := 8 * room * e.Count / most
		bar := strings.Repeat("█", eighth/8)
		if eighth%8 > 0 {
			bar += string(block(bars, eighth%8))
		}
		fmt.Fprintf(w, "%-*s %7s %5.1f%% %s\n", names, Cut(e.Name, names), Thousands(e.Count), 100*float64(e.Count)/float64(max(1, total)), bar)
	}
}

// Cut makes text safe to show and short enough for so many characters.
func Cut(s string, width int) string {
	s = OneLine(s)
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(0, width-1)]) + "…"
}

// Indented makes text of several lines safe to show, each after a margin.
func Indented(s, margin string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(margin + OneLine(line) + "\n")
	}
	return b.String()
}
