package workflows_test

import (
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// labels counts the answers of a build's version.
func (w *world) labels(t *testing.T, build string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for o, err := range w.objects.List(t.Context(), rebased.BuildKey("numbers", build, "deduped")+"/") {
		if err != nil {
			t.Fatal(err)
		}
		rows, err := mem.NewTable[rebased.Example](w.objects).Read(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range rows {
			counts[e.Answer]++
		}
	}
	return counts
}

const labelsYAML = `name: numbers
corpus: hub
instruction: Say yes or no about a number.
examples:
  - {input: what is number 7 of 1, output: "yes"}
retrieve: {rows: 60}
`

func TestABuildTakesFurtherCandidatesUntilEveryAnswerHasItsRows(t *testing.T) {
	for yaml, want := range map[string]struct{ yes, no, rows int }{
		"transform: {target_rows: 12, constraints: {labels: [\"yes\", \"no\"]}}\noutput: {balance: {equal: true}}\n":    {6, 6, 12},
		"transform: {constraints: {labels: [\"yes\", \"no\"]}}\noutput: {balance: {per_label: 5}}\n":                    {5, 5, 10},
		"transform: {target_rows: 12, constraints: {labels: [\"yes\", \"no\"]}}\noutput: {balance: {max_share: 0.6}}\n": {7, 5, 12},
		"transform: {target_rows: 12}\noutput: {balance: {equal: true}}\n":                                              {6, 6, 12},
	} {
		w := newWorld()
		w.indexed(t, 120)
		w.teacher.Labels = []string{"yes", "yes", "yes", "yes", "no"}
		r, err := w.runBuild(t, w.environment(t), "1", labelsYAML+yaml)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, r)
		got := w.labels(t, "1")
		if got["yes"] != want.yes || got["no"] != want.no || r.Rows != want.rows || r.Rejected[rebased.ReasonBalance] == 0 || r.Detail != "" || r.Retrieved == 60 {
			t.Errorf("%s: %v, %+v", yaml, got, r)
		}
		if kept := w.files(t, rebased.BuildKey("numbers", "1", "kept")); len(kept) != 0 {
			t.Errorf("%v is left", kept)
		}
	}
}

func TestABuildSaysWhichAnswersAreMissing(t *testing.T) {
	for yaml, says := range map[string]string{
		"transform: {target_rows: 40, constraints: {labels: [\"yes\", \"no\"]}}\noutput: {balance: {equal: true}}\n":    `33 of the 40 rows of transform.target_rows: all 60 candidates are used up, raise retrieve.rows or import more; output.balance: rows are missing: 7 of "no"`,
		"transform: {constraints: {labels: [\"yes\", \"no\", maybe]}}\noutput: {balance: {per_label: 3}}\n":             `6 of the 9 rows of output.balance.per_label: all 60 candidates are used up, raise retrieve.rows or import more; output.balance: rows are missing: 3 of "maybe"`,
		"transform: {target_rows: 40, constraints: {labels: [\"yes\", \"no\"]}}\noutput: {balance: {max_share: 0.6}}\n": `output.balance: rows of other answers than "yes" are missing`,
	} {
		w := newWorld()
		w.indexed(t, 120)
		w.teacher.Labels = []string{"yes", "yes", "yes", "yes", "no"}
		r, err := w.runBuild(t, w.environment(t), "1", labelsYAML+yaml)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, r)
		if r.State != rebased.StateReleased || !strings.Contains(r.Detail, says) || r.Retrieved != 60 {
			t.Errorf("%s: %+v", yaml, r)
		}
	}
}

func TestFreeTextIsNotBalancedAndTheBuildSaysSo(t *testing.T) {
	w := newWorld()
	w.indexed(t, 120)
	w.teacher.Labels = []string{strings.Repeat("a long answer ", 5) + "one", strings.Repeat("a long answer ", 5) + "two"}
	r, err := w.runBuild(t, w.environment(t), "1", labelsYAML+"output: {balance: {equal: true}}\n")
	if err != nil || r.Rows != 60 || !strings.Contains(r.Detail, "output.balance: the answers are free text") {
		t.Errorf("%+v, %v", r, err)
	}
}
