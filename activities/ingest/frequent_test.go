package ingest

import (
	"fmt"
	"reflect"
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
