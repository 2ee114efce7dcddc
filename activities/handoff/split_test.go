package handoff

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rebased/rebased"
)

func inputs(n int) []rebased.Example {
	var rows []rebased.Example
	for i := range n {
		rows = append(rows, rebased.Example{Input: fmt.Sprintf("question %d", i), Lineage: rebased.Lineage{Rank: i}})
	}
	return rows
}

func ranks(rows []rebased.Example) []int {
	var out []int
	for _, e := range rows {
		out = append(out, e.Rank)
	}
	return out
}

// split gives the rows of both splits.
func split(rows []rebased.Example, share float64) (train, validation []rebased.Example) {
	var hashes []uint64
	for _, e := range rows {
		hashes = append(hashes, hashOf(e.Input))
	}
	s := newSplits(len(rows), hashes, share)
	for n, e := range rows {
		if s.of(n) == SplitValidation {
			validation = append(validation, e)
		} else {
			train = append(train, e)
		}
	}
	return train, validation
}

func TestSplitTakesTheShareThatWasAskedFor(t *testing.T) {
	for _, c := range []struct {
		rows  int
		share float64
		want  int
	}{{1000, 0, 0}, {1000, 0.05, 50}, {1000, 0.5, 500}, {3, 0.01, 1}, {1, 0.5, 0}, {2, 0.5, 1}, {0, 0.5, 0}} {
		train, validation := split(inputs(c.rows), c.share)
		if len(validation) != c.want || len(train)+len(validation) != c.rows {
			t.Errorf("%d rows, share %v: %d and %d", c.rows, c.share, len(train), len(validation))
		}
		if !slices.IsSorted(ranks(train)) || !slices.IsSorted(ranks(validation)) {
			t.Error("the order of the rows changed")
		}
	}
}

func TestSplitDoesNotFollowTheOrderOfRows(t *testing.T) {
	rows := inputs(500)
	_, want := split(rows, 0.1)
	slices.Reverse(rows)
	_, got := split(rows, 0.1)
	slices.Reverse(got)
	if !slices.Equal(ranks(got), ranks(want)) {
		t.Errorf("%v\n%v", ranks(got), ranks(want))
	}
}

func TestSplitHardlyChangesFromOneNightToTheNext(t *testing.T) {
	_, before := split(inputs(1000), 0.1)
	_, after := split(inputs(1050), 0.1) // fifty rows are new
	kept := 0
	for _, rank := range ranks(before) {
		if slices.Contains(ranks(after), rank) {
			kept++
		}
	}
	if kept < 90 {
		t.Errorf("%d of %d validation rows stayed", kept, len(before))
	}
}

func TestSplitKeepsRowsOfEqualInputTogether(t *testing.T) {
	var rows []rebased.Example
	for i := range 300 {
		rows = append(rows, rebased.Example{Input: fmt.Sprintf("Question  %d", i/3)}, rebased.Example{Input: fmt.Sprintf("question %d ", i/3)})
	}
	train, validation := split(rows, 0.2)
	norm := func(e rebased.Example) string {
		var n int
		if _, err := fmt.Sscanf(e.Input[1:], "uestion %d", &n); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(n)
	}
	seen := map[string]bool{}
	for _, e := range validation {
		seen[norm(e)] = true
	}
	for _, e := range train {
		if seen[norm(e)] {
			t.Fatalf("%q is on both sides", e.Input)
		}
	}
	if len(validation) < 120 || len(validation) > 126 {
		t.Errorf("%d of %d rows for validation", len(validation), len(rows))
	}
}
