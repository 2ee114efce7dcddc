package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// unit says how a figure is written, and which way is better.
type unit int

const (
	inSeconds      unit = iota // at most its target
	inBytes                    // at most its target
	inPercent                  // at least its target
	inShare                    // per cent, at most its target
	inCount                    // at most its target
	inMilliseconds             // at most its target
)

// figure is one line of the table.
type figure struct {
	name            string
	unit            unit
	value           float64
	low, high       float64 // of all runs
	target, plain   float64 // 0 = none
	worker, servers spent   // of the two processes meanwhile; the zero value is not shown
}

// since is what was spent after before.
func (s spent) since(before spent) spent {
	return spent{CPU: s.CPU - before.CPU, Now: s.Now, Peak: s.Peak}
}

// and is what was spent on two things, one after the other.
func (s spent) and(next spent) spent {
	return spent{CPU: s.CPU + next.CPU, Now: next.Now, Peak: max(s.Peak, next.Peak)}
}

// medians are the figures of several runs as one: medians of what was measured, the highest of the peaks.
func medians(runs [][]figure) []figure {
	out := slices.Clone(runs[0])
	for i := range out {
		f := &out[i]
		over := func(of func(figure) float64) (all []float64) {
			for _, run := range runs {
				all = append(all, of(run[i]))
			}
			return all
		}
		values := over(func(f figure) float64 { return f.value })
		f.value, f.low, f.high = median(values), slices.Min(values), slices.Max(values)
		f.plain = median(over(func(f figure) float64 { return f.plain }))
		f.worker.CPU = median(over(func(f figure) float64 { return f.worker.CPU }))
		f.servers.CPU = median(over(func(f figure) float64 { return f.servers.CPU }))
		f.worker.Peak = slices.Max(over(func(f figure) float64 { return f.worker.Peak }))
		f.servers.Peak = slices.Max(over(func(f figure) float64 { return f.servers.Peak }))
	}
	return out
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// sizes are those of the programs.
func (p programs) sizes() ([]figure, error) {
	figures := []figure{{name: "rebased-worker, size of the binary", target: 71e6}, {name: "rebased, size of the binary"}, {name: "rebased-local, size of the binary"}}
	for i := range figures {
		program, _, _ := strings.Cut(figures[i].name, ",")
		info, err := os.Stat(p.path(program))
		if err != nil {
			return nil, err
		}
		figures[i].unit, figures[i].value = inBytes, float64(info.Size())
	}
	return figures, nil
}

func printTable(w io.Writer, figures []figure) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FIGURE\tMEASURED\tLOW TO HIGH\tTARGET\tRATIO\tCPU WORKER\tCPU SERVERS\tPEAK WORKER\tPEAK SERVERS")
	for _, f := range figures {
		fmt.Fprintln(table, strings.Join([]string{
			f.name, known(f.unit, f.value), f.spread(), f.goal(), f.ratio(),
			known(inSeconds, f.worker.CPU), known(inSeconds, f.servers.CPU), known(inBytes, f.worker.Peak), known(inBytes, f.servers.Peak),
		}, "\t"))
	}
	return table.Flush()
}

func (u unit) text(v float64) string {
	switch {
	case u == inShare:
		return fmt.Sprintf("%.1f %%", v)
	case u == inMilliseconds:
		return fmt.Sprintf("%.0f ms", v)
	case u == inCount:
		return fmt.Sprintf("%.0f", v)
	case u == inPercent:
		return fmt.Sprintf("%.0f %%", v)
	case u == inBytes:
		return fmt.Sprintf("%.0f MB", v/1e6)
	case v < 10:
		return fmt.Sprintf("%.2f s", v)
	}
	return fmt.Sprintf("%.1f s", v)
}

// known is a dash for what was not measured.
func known(u unit, v float64) string {
	if v == 0 && u != inCount && u != inShare && u != inMilliseconds {
		return "-"
	}
	return u.text(v)
}

func (f figure) spread() string {
	if f.low == f.high {
		return "-"
	}
	return f.unit.text(f.low) + " to " + f.unit.text(f.high)
}

func (f figure) goal() string {
	switch {
	case f.target == 0:
		return "-"
	case f.unit == inPercent:
		return ">= " + f.unit.text(f.target)
	}
	return "<= " + f.unit.text(f.target)
}

// ratio compares with the target and with the plain alternative, and says so when the target is missed.
func (f figure) ratio() string {
	var parts []string
	if f.target != 0 {
		text := fmt.Sprintf("%.2f of target", f.value/f.target)
		if missed := f.value > f.target; missed != (f.unit == inPercent) && f.value != f.target {
			text += ", MISSED"
		}
		parts = append(parts, text)
	}
	if f.plain != 0 {
		parts = append(parts, fmt.Sprintf("%.2f of plain", f.value/f.plain))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// thousands writes a count with a comma between groups of three digits.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
