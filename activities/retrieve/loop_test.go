package retrieve_test

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
)

// tolerance is how far scores computed in two ways may be apart.
const tolerance = 1e-5

// loopRow is a row as the plain loop scores it.
type loopRow struct {
	row                 rebased.Row
	total, in, out, dat float64
	cells               []float64 // per cell, mean cosine with the inputs; NaN without a vector
	outs                []float64
}

// loop is the method's score written down as it is defined: every example with every cell of every row.
type loop struct {
	t       testing.TB
	encoder rebased.Encoder
	cache   map[string][]float32
}

func (l *loop) encode(text string) []float32 {
	if v, ok := l.cache[text]; ok {
		return v
	}
	v, err := l.encoder.Encode(context.Background(), []string{text})
	if err != nil {
		l.t.Fatal(err)
	}
	l.cache[text] = v[0]
	return v[0]
}

func cosine(a, b []float32) float64 {
	product, na, nb := 0.0, 0.0, 0.0
	for i := range slices.Backward(a) {
		product += float64(a[i]) * float64(b[i])
		na += float64(a[i]) * float64(a[i])
		nb += float64(b[i]) * float64(b[i])
	}
	if na == 0 || nb == 0 {
		return 0
	}
	return product / math.Sqrt(na*nb)
}

// rank scores every row of the splits and orders them; rows of datasets that keep refuses are left out.
func (l *loop) rank(task rebased.Task, splits []indextest.Split, keep func(name string) bool) []loopRow {
	var all []loopRow
	for _, s := range splits {
		if !keep(s.Name) {
			continue
		}
		data := cosine(l.encode(task.Instruction), l.encode(s.Name+"\n"+s.Config+"\n"+s.Description))
		for _, part := range s.Parts {
			for _, row := range part {
				if scored, ok := l.score(task, row, data); ok {
					all = append(all, scored)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b loopRow) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.row.ID, b.row.ID))
	})
	return all
}

func (l *loop) score(task rebased.Task, row rebased.Row, data float64) (loopRow, bool) {
	s := loopRow{row: row, in: math.Inf(-1), out: math.Inf(-1), dat: data}
	for _, cell := range row.Cells {
		v := l.encode(cell.Text)
		in, out := math.NaN(), math.NaN()
		if cosine(v, v) > 0 {
			in, out = 0, 0
			for _, e := range task.Examples {
				target := e.Output
				if e.Answer != "" {
					target = e.Answer
				}
				in += cosine(l.encode(e.Input), v) / float64(len(task.Examples))
				out += cosine(l.encode(target), v) / float64(len(task.Examples))
			}
			s.in, s.out = max(s.in, in), max(s.out, out)
		}
		s.cells, s.outs = append(s.cells, in), append(s.outs, out)
	}
	s.total = (s.in + s.out + s.dat) / 3
	return s, !math.IsInf(s.in, -1)
}

// diverse gives rows the scores of mode diverse and their order: a cell with fewer than 12 letters and digits does not decide S_out.
func diverse(paper []loopRow) []loopRow {
	all := slices.Clone(paper)
	for i, r := range all {
		weak, strong := math.Inf(-1), math.Inf(-1)
		for c, cell := range r.row.Cells {
			switch {
			case math.IsNaN(r.outs[c]):
			case rebased.TextLetters(cell.Text) < 12:
				weak = max(weak, r.outs[c])
			default:
				strong = max(strong, r.outs[c])
			}
		}
		if all[i].out = strong; math.IsInf(strong, -1) {
			all[i].out = min(weak, 0)
		}
		all[i].total = (r.in + all[i].out + r.dat) / 3
	}
	slices.SortFunc(all, func(a, b loopRow) int { return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.row.ID, b.row.ID)) })
	return all
}

// says is what a row says in cells of so many letters and digits, whatever its columns are called.
func (r loopRow) says(letters int) string {
	var said []string
	for c, cell := range r.row.Cells {
		if !math.IsNaN(r.outs[c]) && rebased.TextLetters(cell.Text) >= letters {
			said = append(said, strings.ToLower(strings.Join(strings.Fields(cell.Text), " ")))
		}
	}
	slices.Sort(said)
	return strings.Join(slices.Compact(said), "\x00")
}

// heard is what rows that were taken say, and of which datasets they are.
type heard map[string]map[string]bool

func (h heard) add(r loopRow) {
	for _, key := range []string{"all " + r.says(0), "long " + r.says(12)} {
		if h[key] == nil {
			h[key] = map[string]bool{}
		}
		h[key][r.row.Dataset.Name] = true
	}
}

// mirrors tells whether a row repeats one that was taken: all of it, or in another dataset all but its weak cells.
func (h heard) mirrors(r loopRow) bool {
	others := len(h["long "+r.says(12)])
	if h["long "+r.says(12)][r.row.Dataset.Name] {
		others--
	}
	return len(h["all "+r.says(0)]) > 0 || r.says(12) != "" && others > 0
}

// checkDiverse holds a ranking of mode diverse against its rules, given all rows by the scores of paper.
func checkDiverse(t testing.TB, got ranked, paper []loopRow, most, rows int) {
	t.Helper()
	const width = 0.001 + tolerance
	all := diverse(paper)
	byID := make(map[rebased.RowID]loopRow, len(all))
	for _, r := range all {
		byID[r.row.ID] = r
	}
	said, taken, least := heard{}, map[string]int{}, math.Inf(1)
	for i, c := range got.Candidates {
		w, ok := byID[c.ID]
		delete(byID, c.ID)
		if !ok || off(c.Total, w.total) || off(c.In, w.in) || off(c.Out, w.out) || off(c.Data, w.dat) {
			t.Fatalf("rank %d: row %s scores %+v, want %v %v %v %v", i, c.ID, c.Scores, w.total, w.in, w.out, w.dat)
		}
		if said.mirrors(w) {
			t.Fatalf("rank %d: row %s says the same as one before it", i, c.ID)
		}
		if taken[c.Dataset.Name]++; taken[c.Dataset.Name] > most {
			t.Fatalf("rank %d: %s has more than %d rows", i, c.Dataset.Name, most)
		}
		said.add(w)
		if w.total > least+width {
			t.Fatalf("rank %d: score %v stands after %v", i, w.total, least)
		}
		least = min(least, w.total)
		checkContents(t, i, c, w)
	}
	checkLeftOut(t, byID, said, taken, most, len(got.Candidates) < rows, least+width)
}

// checkLeftOut finds the reason of every row that scores more than the ones taken and is not among them.
func checkLeftOut(t testing.TB, left map[rebased.RowID]loopRow, said heard, taken map[string]int, most int, short bool, above float64) {
	t.Helper()
	counts := map[string]int{} // by dataset: its rows that repeat others, each of which may count for its quota
	for _, r := range left {
		if said.mirrors(r) {
			counts[r.row.Dataset.Name]++
		}
	}
	for _, r := range left {
		name := r.row.Dataset.Name
		if (short || r.total > above) && !said.mirrors(r) && taken[name]+counts[name] < most {
			t.Fatalf("row %s of %s scores %v and was left out: %d rows of it were taken, %d count for it", r.row.ID, name, r.total, taken[name], counts[name])
		}
	}
}

// check compares a ranking of mode paper with the plain loop's. Of rows that score the same to the last digit but one, either may be taken.
func check(t testing.TB, got ranked, want []loopRow, rows int) {
	t.Helper()
	if n := min(rows, len(want)); len(got.Candidates) != n {
		t.Fatalf("got %d candidates, want %d", len(got.Candidates), n)
	}
	byID := make(map[rebased.RowID]loopRow, len(want))
	for _, r := range want {
		byID[r.row.ID] = r
	}
	for i, c := range got.Candidates {
		w, ok := byID[c.ID]
		delete(byID, c.ID)
		if !ok {
			t.Fatalf("rank %d: row %s of %s does not belong there, or comes twice", i, c.ID, c.Dataset)
		}
		if off(c.Total, w.total) || off(c.In, w.in) || off(c.Out, w.out) || off(c.Data, w.dat) {
			t.Fatalf("rank %d: row %s scores %+v, want %v %v %v %v", i, c.ID, c.Scores, w.total, w.in, w.out, w.dat)
		}
		if off(c.Total, want[i].total) {
			t.Fatalf("rank %d: score %v, the loop has %v there", i, c.Total, want[i].total)
		}
		if i > 0 {
			if p := got.Candidates[i-1]; c.Total > p.Total || c.Total == p.Total && c.ID <= p.ID {
				t.Fatalf("rank %d: %v %s stands after %v %s", i, c.Total, c.ID, p.Total, p.ID)
			}
		}
		checkContents(t, i, c, w)
	}
}

func checkContents(t testing.TB, i int, c rebased.Candidate, w loopRow) {
	t.Helper()
	if c.Rank != i || c.Dataset != w.row.Dataset || !slices.Equal(c.Cells, w.row.Cells) {
		t.Fatalf("rank %d: row %s came with rank %d and other contents than it has", i, c.ID, c.Rank)
	}
	if !decided(c.InColumn, w.row, w.cells, w.in) || w.out > 0 && !decided(c.OutColumn, w.row, w.outs, w.out) {
		t.Fatalf("rank %d: row %s: %s and %s did not decide", i, c.ID, c.InColumn, c.OutColumn)
	}
	if !strings.HasPrefix(c.License, "license of "+c.Dataset.Name) || !strings.HasPrefix(c.Revision, "revision of "+c.Dataset.Name) {
		t.Fatalf("rank %d: row %s of %s has license %q and revision %q", i, c.ID, c.Dataset, c.License, c.Revision)
	}
}

// decided reports whether a cell of that column has the best score of the row.
func decided(column string, row rebased.Row, scores []float64, best float64) bool {
	for i, cell := range row.Cells {
		if cell.Column == column && math.Abs(scores[i]-best) <= tolerance {
			return true
		}
	}
	return false
}

func off(got float32, want float64) bool { return math.Abs(float64(got)-want) > tolerance }
