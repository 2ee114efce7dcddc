package dedupe

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// words of a large vocabulary.
func sentence(random *rand.Rand, n int) []string {
	text := make([]string, n)
	for i := range text {
		text[i] = fmt.Sprintf("w%d", random.IntN(4000))
	}
	return text
}

func find(t *testing.T, rows []rebased.Example, threshold float64) []int32 {
	t.Helper()
	groups := NewGroups(func() (Scratch, error) { return os.CreateTemp(t.TempDir(), "") })
	groups.words.limit = 1 << 10 // so that the scratch file is used
	for part := range slices.Chunk(rows, 300) {
		if err := groups.Add(part); err != nil {
			t.Fatal(err)
		}
	}
	of, err := groups.Find(t.Context(), threshold)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// TestRowsOfAJaccardFromTheThresholdOnAreTogether compares with all pairs, of texts that are alike to any degree and of texts that share a template.
func TestRowsOfAJaccardFromTheThresholdOnAreTogether(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	template := strings.Join(sentence(random, 18), " ")
	var rows []rebased.Example
	for family := range 400 {
		base := sentence(random, 40)
		for range 1 + random.IntN(3) {
			text := slices.Clone(base)
			for range random.IntN(4) {
				text[random.IntN(len(text))] = fmt.Sprintf("v%d", random.IntN(4000))
			}
			input := strings.Join(text, " ")
			if family%2 == 0 {
				input = template + " " + input
			}
			rows = append(rows, rebased.Example{Input: input})
		}
	}
	for _, threshold := range []float64{0.5, 0.8} {
		of := find(t, rows, threshold)
		maker := groupMaker{hasher: newHasher(), normaliser: newNormaliser()}
		var sets [][]uint64
		for i := range rows {
			sets = append(sets, maker.group(&rows[i]).shingles)
		}
		want := joined{of: make([]int32, len(rows))}
		for i := range want.of {
			want.of[i] = int32(i)
		}
		pairs, missed := 0, 0
		for a := range rows {
			for b := range a {
				if _, near := jaccard(sets[a], sets[b], threshold); near {
					pairs++
					want.join(int32(a), int32(b))
					if of[a] != of[b] {
						missed++
					}
				}
			}
		}
		together := 0
		for a := range rows {
			for b := range a {
				if of[a] == of[b] {
					together++
					if want.root(int32(a)) != want.root(int32(b)) {
						t.Fatalf("rows %d and %d are together and no chain of near rows joins them", a, b)
					}
				}
			}
		}
		t.Logf("threshold %g: %d pairs, %d overlooked, %d together", threshold, pairs, missed, together)
		if pairs < 40 || missed > 1+pairs/100 {
			t.Errorf("%d of %d pairs at %g overlooked", missed, pairs, threshold)
		}
	}
}

func TestRowsOfOneSourceAndOfEqualInputAreTogether(t *testing.T) {
	rows := []rebased.Example{
		{Input: "one", Lineage: rebased.Lineage{Row: "a"}}, {Input: "two", Lineage: rebased.Lineage{Row: "a"}}, {Input: " TWO ", Lineage: rebased.Lineage{Row: "b"}},
		{Input: "three"}, {Input: "four"}, {Input: ""}, {Input: " "},
	}
	if of := find(t, rows, 2); !slices.Equal(of, []int32{0, 0, 0, 3, 4, 5, 5}) {
		t.Errorf("got %v", of)
	}
}
