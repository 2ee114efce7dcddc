package ingest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

func TestShortTextsThatStandInManyRowsAreFrequent(t *testing.T) {
	hash := func(text string) string { return fmt.Sprintf("%016x", rebased.TextHash(text)) }
	rows := make([]rebased.Row, 1000)
	for i := range rows {
		own := fmt.Sprintf("a text of row %d alone", i)
		rows[i].Cells = []rebased.Cell{{Text: own}, {Text: own}, {Text: "True"}} // twice in a row is one row
		if i < 20 {
			rows[i].Cells = append(rows[i].Cells, rebased.Cell{Text: "almost NO\nchance at all"}, rebased.Cell{Text: "a passage that is asked about again and again is told apart from others by what it says itself"})
		}
		if i < 19 {
			rows[i].Cells = append(rows[i].Cells, rebased.Cell{Text: "some chance of that"})
		}
	}
	if got, want := Frequent(rows), []string{hash("almost no chance at all")}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range rows {
		rows[i].Cells = nil
		for n := range 80 {
			rows[i].Cells = append(rows[i].Cells, rebased.Cell{Text: fmt.Sprintf("frequent text number %d", n)})
		}
	}
	if got := Frequent(rows); len(got) != frequentListed {
		t.Errorf("%d are listed, want %d", len(got), frequentListed)
	}
	large := make([]rebased.Row, 10_000)
	for i := range 99 {
		large[i].Cells = []rebased.Cell{{Text: "a name of a few words"}}
	}
	if got := Frequent(large); len(got) > 0 {
		t.Errorf("99 of 10,000 rows: %v", got)
	}
}

// Texts that differ by case and white space are one, whatever their letters are: 'K' may be the sign of kelvin, which is no ASCII.
func TestAFrequentTextIsFoundInAllItsSpellings(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	spelled := func(text string) string {
		var out strings.Builder
		for _, r := range text {
			other := []string{string(r), strings.ToUpper(string(r)), strings.ReplaceAll(string(r), "k", "\u212a")}
			out.WriteString(other[random.IntN(3)])
			if r == ' ' {
				out.WriteString([]string{"", "\n", "\u00a0\t"}[random.IntN(3)])
			}
		}
		return out.String()
	}
	for _, text := range []string{"one kind knight asks", "\u00e9t\u00e9 \u2014 kept \u65e5\u672c\u8a9e and more", "1 2 3 4 5 6 7 8 9 10 11 (k)", "\u0130stanbul \u0130k \u0130k"} {
		rows := make([]rebased.Row, 500)
		for i := range rows {
			rows[i].Cells = []rebased.Cell{{Text: fmt.Sprint("row number ", i, " with its text")}}
		}
		for _, i := range random.Perm(len(rows))[:frequentRows] {
			rows[i].Cells = append(rows[i].Cells, rebased.Cell{Text: spelled(text)})
		}
		if got, want := Frequent(rows), []string{fmt.Sprintf("%016x", rebased.TextHash(text))}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
