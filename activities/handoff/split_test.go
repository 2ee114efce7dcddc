package handoff

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/porttest"
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
	splitter := newSplitter(share)
	for i := range rows {
		if err := splitter.add(&rows[i]); err != nil {
			panic(err)
		}
	}
	s, err := splitter.split(context.Background(), len(rows))
	if err = errors.Join(err, splitter.close()); err != nil {
		panic(err)
	}
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

// prose is so many words of a large vocabulary.
func prose(random *rand.Rand, words int) []string {
	text := make([]string, words)
	for i := range text {
		text[i] = fmt.Sprintf("word%d", random.IntN(5000))
	}
	return text
}

// family is near-duplicates of one text: some words of each are others.
func family(random *rand.Rand, size int) (texts []string) {
	base := prose(random, 60)
	for range size {
		text := slices.Clone(base)
		for range random.IntN(4) {
			text[random.IntN(len(text))] = fmt.Sprintf("other%d", random.IntN(1000))
		}
		texts = append(texts, strings.Join(text, " "))
	}
	return texts
}

// planted makes rows in families of near-duplicates, of which each row has a label, and says which family a rank is of.
func planted(random *rand.Rand, families int) (rows []rebased.Example, of map[int]int) {
	of = map[int]int{}
	labels := []string{"yes", "yes", "yes", "yes", "no", "no", "maybe"}
	for f := range families {
		size := 1
		if random.IntN(4) == 0 {
			size += 1 + random.IntN(4)
		}
		for _, text := range family(random, size) {
			rank := len(rows)
			of[rank] = f
			rows = append(rows, rebased.Example{
				Input: text, Answer: labels[random.IntN(len(labels))],
				Lineage: rebased.Lineage{Rank: rank, Row: rebased.RowID(fmt.Sprintf("row-%d-%d", families, rank))},
			})
		}
	}
	return rows, of
}

// TestSplitPartsNoRowsThatAreNearlyEqual holds for any set: near-duplicates and rows of one source row are on one side, each answer has its share, all
// of it whatever the order of the rows.
func TestSplitPartsNoRowsThatAreNearlyEqual(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 20 {
		rows, of := planted(random, 100+random.IntN(400))
		twin := random.IntN(len(rows) - 1)
		rows[twin].Row = rows[twin+1].Row // two examples of one source row
		share := 0.05 + 0.4*random.Float64()
		train, validation := split(rows, share)
		side := map[int]string{}
		for name, split := range map[string][]rebased.Example{SplitTrain: train, SplitValidation: validation} {
			for _, e := range split {
				if other, known := side[of[e.Rank]]; known && other != name {
					t.Fatalf("family %d is on both sides", of[e.Rank])
				}
				side[of[e.Rank]] = name
			}
		}
		for _, e := range train {
			for _, v := range validation {
				if e.Row == v.Row {
					t.Fatalf("source row %s is on both sides", e.Row)
				}
			}
		}
		counts, held := map[string]int{}, map[string]int{}
		for _, e := range rows {
			counts[e.Answer]++
		}
		for _, e := range validation {
			held[e.Answer]++
		}
		for label, n := range counts {
			if want := share * float64(n); math.Abs(want-float64(held[label])) > 2 {
				t.Errorf("%d of %d rows of %q for validation, share %.3f", held[label], n, label, share)
			}
		}
		if want := math.Round(share * float64(len(rows))); math.Abs(want-float64(len(validation))) > 1 {
			t.Errorf("%d of %d rows for validation, share %.3f", len(validation), len(rows), share)
		}
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		_, again := split(rows, share)
		slices.SortFunc(again, func(a, b rebased.Example) int { return a.Rank - b.Rank })
		if !slices.Equal(ranks(again), ranks(validation)) {
			t.Fatalf("another order of rows gives another split: %v, %v", ranks(again), ranks(validation))
		}
	}
}

// TestRowsOfValidationHardlyEverBecomeRowsToTrainOn grows a set night by night, labels and near-duplicates in it.
func TestRowsOfValidationHardlyEverBecomeRowsToTrainOn(t *testing.T) {
	rows, _ := planted(rand.New(rand.NewPCG(3, 1)), 3000)
	moved, held := 0, 0
	var before []int
	for n := 1000; n <= len(rows); n += 100 {
		_, validation := split(rows[:n], 0.1)
		now := map[int]bool{}
		for _, rank := range ranks(validation) {
			now[rank] = true
		}
		for _, rank := range before {
			held++
			if !now[rank] {
				moved++
			}
		}
		before = ranks(validation)
	}
	t.Logf("%d of %d moved in %d nights", moved, held, (len(rows)-1000)/100)
	if float64(moved) > 0.03*float64(held) {
		t.Errorf("%d of %d rows of validation moved to train", moved, held)
	}
}

func TestInputsThatAreAllAlikeAreSplitByAHigherSimilarityAndThatIsSaid(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 1))
	rules := strings.Join(prose(random, 100), " ")
	var rows []rebased.Example
	for i := range 300 {
		rows = append(rows, rebased.Example{Input: rules + " " + strings.Join(prose(random, 20), " "), Answer: "yes", Lineage: rebased.Lineage{Rank: i}})
	}
	s := newSplitter(0.1)
	for i := range rows {
		if err := s.add(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	made, err := s.split(t.Context(), len(rows))
	if err != nil || made.validation != 30 || made.near <= 0.5 || !strings.Contains(made.warning(), "from a Jaccard similarity of ") {
		t.Errorf("%d rows at %v: %q, %v", made.validation, made.near, made.warning(), err)
	}
	for i := range rows {
		rows[i].Input = rules
	}
	_, validation := split(rows, 0.1)
	if len(validation) != 0 {
		t.Errorf("%d of 300 rows of one input are held apart", len(validation))
	}
}

// BenchmarkSplit reports rows a CPU second and what is held of each.
func BenchmarkSplit(b *testing.B) {
	random := rand.New(rand.NewPCG(5, 1))
	rows, _ := planted(random, 50_000)
	start := porttest.ProcessorTime(b)
	for b.Loop() {
		_, validation := split(rows, 0.05)
		if len(validation) == 0 {
			b.Fatal("no row for validation")
		}
	}
	b.ReportMetric(float64(len(rows)*b.N)/(porttest.ProcessorTime(b)-start).Seconds(), "rows/cpu-s")
}
