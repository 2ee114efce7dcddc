package handoff

import (
	"html/template"
	"strconv"

	"github.com/go-analyze/charts"
)

// Charts are drawn as SVG without a background, in colours that can be read on a light page and, inverted by the page's style, on a dark one.

const (
	chartWidth = 480 // as wide as a phone or little more: texts stay legible there
	barHeight  = 26
	labelChars = 28 // of what stands beside a bar
)

var (
	ink     = charts.Color{R: 60, G: 64, B: 72, A: 255}
	faint   = charts.Color{R: 214, G: 218, B: 226, A: 255}
	palette = charts.MakeTheme(charts.ThemeOption{
		BackgroundColor: charts.ColorTransparent, TextColor: ink, AxisStrokeColor: ink, AxisSplitLineColor: faint,
		SeriesColors: []charts.Color{{R: 42, G: 98, B: 194, A: 255}, {R: 150, G: 156, B: 168, A: 255}},
	})
)

// series is one row of figures of a chart.
type series struct {
	name   string // "" = the chart has only this one
	values []float64
}

// bars draws a horizontal bar for each label, from the top down; of several series side by side.
func bars(labels []string, of ...series) template.HTML {
	values, names := make([][]float64, len(of)), []string{}
	shown := make([]string, len(labels))
	for i := range labels { // the library draws from the bottom up
		shown[len(labels)-1-i] = cut(labels[i], labelChars)
	}
	for i, s := range of {
		for k := range s.values {
			values[i] = append(values[i], s.values[len(s.values)-1-k])
		}
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	opt := charts.NewBarChartOptionWithData(values)
	opt.Horizontal, opt.Theme, opt.CategoryAxis.Labels = true, palette, shown
	opt.ValueAxis = []charts.ValueAxisOption{{Min: new(0.0), LabelCount: 3}} // each bar has its number
	opt.CategoryAxis.LabelCount = len(labels)
	opt.ValueFormatter, opt.Legend.SeriesNames = number, names
	opt.Legend.Show = new(len(names) > 0)
	for i := range opt.SeriesList {
		opt.SeriesList[i].Label.Show, opt.SeriesList[i].Label.ValueFormatter = new(true), number
	}
	const around = 60
	return draw(around+barHeight*len(labels)*len(of), func(p *charts.Painter) error { return p.BarChart(opt) })
}

// curve draws values against evenly spaced places that the labels name.
func curve(values []float64, labels []string) template.HTML {
	opt := charts.NewLineChartOptionWithData([][]float64{values})
	opt.Theme, opt.XAxis.Labels, opt.XAxis.LabelCount = palette, labels, 6
	opt.XAxis.BoundaryGap = new(false)
	opt.Symbol.Shape, opt.LineStrokeWidth = charts.SymbolNone, 2
	opt.Legend.Show = new(false)
	return draw(240, func(p *charts.Painter) error { return p.LineChart(opt) })
}

func draw(height int, on func(*charts.Painter) error) template.HTML {
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: height})
	if err := on(painter); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(err.Error()) + "</p>") //nolint:gosec // escaped
	}
	svg, err := painter.Bytes()
	if err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(err.Error()) + "</p>") //nolint:gosec // escaped
	}
	return template.HTML(svg) //nolint:gosec // the library escapes its texts, a test tries
}

// number writes whole numbers in groups of three digits, others as they are.
func number(v float64) string {
	if whole := int64(v); float64(whole) == v {
		return grouped(whole)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// grouped writes a count as 1,234,567.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
