package handoff

import (
	"context"
	"fmt"
	"html"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

func TestASummaryCountsEveryRow(t *testing.T) {
	h := histogram{}
	for v := 1; v <= 100; v++ {
		h[v]++
	}
	if d := cmp.Diff(&Summary{Total: 5050, Mean: 50.5, P50: 50, P95: 95, Max: 100}, h.summary()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&Summary{Total: 7, Mean: 7, P50: 7, P95: 7, Max: 7}, histogram{7: 1}.summary()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&Summary{}, histogram{}.summary()); d != "" {
		t.Error(d)
	}
}

func TestBinsHoldEveryRowOnce(t *testing.T) {
	got := bins(histogram{0: 1, 1: 2, 2: 1, 3: 1, 2000: 4}, histogram{1: 1, 2000: 4})
	want := []Bin{
		{"0", 1, 0},
		{"1", 2, 1},
		{"2 to 3", 2, 0},
		{"4 to 7", 0, 0},
		{"8 to 15", 0, 0},
		{"16 to 31", 0, 0},
		{"32 to 63", 0, 0},
		{"64 to 127", 0, 0},
		{"128 to 255", 0, 0},
		{"256 to 511", 0, 0},
		{"512 to 1,023", 0, 0},
		{"1,024 to 2,047", 4, 4},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheCurveOfScoresHasItsEnds(t *testing.T) {
	scores := make([]float32, 1000)
	for i := range scores {
		scores[i] = float32(i) / 1000
	}
	got := curveOf(scores)
	if len(got) != reportPoints || got[0] != (Point{1, 0.999}) || got[len(got)-1] != (Point{1000, 0}) {
		t.Errorf("%d points, %v to %v", len(got), got[0], got[len(got)-1])
	}
	if !slices.IsSortedFunc(got, func(a, b Point) int { return a.Row - b.Row }) {
		t.Error("the points are not in the order of rows")
	}
	if got := curveOf([]float32{0.5}); len(got) != 1 || got[0] != (Point{1, 0.5}) {
		t.Error(got)
	}
}

// TestManifestCardAndReportHaveTheSameFigures looks for every figure of the manifest in the other two.
func TestManifestCardAndReportHaveTheSameFigures(t *testing.T) {
	in, rows := input(), examples()
	in.Benchmarks, in.Skipped = []Benchmark{{Name: "dev.jsonl", SHA256: sha("bench"), Rows: 5000, Pieces: 9, Corpus: 1234, Examples: 5}}, map[string]int{"leaked": 1234, "quota": 7}
	for i := range rows {
		rows[i].Answer = []string{"yes", "no", "<b>perhaps</b>"}[i%3]
	}
	in.Rows = parts(rows, 5)
	in.Removed = func(_ context.Context, visit func(*rebased.Reject)) error {
		for i := range 5 {
			visit(&rebased.Reject{Input: fmt.Sprint("a removed row ", i), Output: "yes"})
		}
		return nil
	}
	objects := mem.NewObjects()
	staged := stage(t, versionsOn(objects), in)
	files := contents(t, objects, rebased.VersionKey(in.Task.Name, staged.Version)+"/")
	page := files[rebased.VersionKey(in.Task.Name, staged.Version, reportName)]
	readme := files[rebased.VersionKey(in.Task.Name, staged.Version, cardName)]
	m := staged.Manifest
	var of []string
	for _, d := range m.Distributions {
		of = append(of, d.Of)
		for _, b := range d.Bins {
			if want := fmt.Sprintf("<th scope=\"row\">%s</th><td class=\"n\">%d</td><td class=\"n\">%d</td>", html.EscapeString(b.Label), b.Before, b.After); !strings.Contains(page, want) {
				t.Errorf("%s: the report has no %s", d.Of, want)
			}
			if want := fmt.Sprintf("| %s | %d | %d |", escape(b.Label), b.Before, b.After); !strings.Contains(readme, want) {
				t.Errorf("%s: the card has no %s", d.Of, want)
			}
		}
		if s := d.Summary; s != nil && (!strings.Contains(page, fmt.Sprintf("mean %v, half of the rows at most %d, 95 %% at most %d, the longest %d", s.Mean, s.P50, s.P95, s.Max)) ||
			!strings.Contains(readme, fmt.Sprintf("| %s | %d | %v | %d | %d | %d |", title(d.Of), s.Total, s.Mean, s.P50, s.P95, s.Max))) {
			t.Errorf("%s: the summary is not in report and card", d.Of)
		}
	}
	want := []string{"answer", "characters of the input", "characters of the output", "tokens of the input", "tokens of the output", "tokens of the message"}
	if d := cmp.Diff(want, of); d != "" {
		t.Error(d)
	}
	before := 0
	for _, b := range m.Distributions[0].Bins {
		before += b.Before
	}
	if before != len(rows)+5 {
		t.Errorf("%d rows before deduplication, want %d", before, len(rows)+5)
	}
	for _, f := range m.findings(in.Task) {
		if !strings.Contains(page, html.EscapeString(title(f.What))+`</th><td class="n">`+html.EscapeString(f.Value)) || !strings.Contains(readme, escape(title(f.What))+" | "+escape(f.Value)) {
			t.Errorf("%q is not in report and card", f)
		}
	}
	for _, figure := range []string{"1,234 not retrieved, 5 rejected", "2 unusable answer, 1 refused", sha("words"), "hf&#58;//student/model", "4000 | 900"} {
		if !strings.Contains(readme, figure) {
			t.Errorf("the card has no %q", figure)
		}
	}
	for _, figure := range []string{"2 unusable answer, 1 refused", sha("words"), "hf://student/model", "<td class=\"n\">4,000</td><td class=\"n\">900</td>"} {
		if !strings.Contains(page, figure) {
			t.Errorf("the report has no %q", figure)
		}
	}
}

func TestWithoutATokenizerNoTokensAreTold(t *testing.T) {
	in := input()
	in.Tokenizer = nil
	m := manifestOf(t, in, examples())
	if m.Tokenizer != nil || len(m.Distributions) != 2 {
		t.Errorf("%+v", m.Distributions)
	}
}
