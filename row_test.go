package rebased_test

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/rebased/rebased"
)

var riverRow = []rebased.Cell{{Column: "question", Text: "What river?"}, {Column: "answers.text", Text: "Висла"}}

var riverSet = rebased.DatasetID{Name: "owner/qa", Config: "default", Split: "train"}

// The ids are computed by hand from the rule: the first half of the SHA-256 of length-prefixed fields, as a UUID of version 8. They stand in
// buckets and indexes, so that they may never change.
func TestRowIDsStayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		dataset    rebased.DatasetID
		cells      []rebased.Cell
		occurrence int
		want       rebased.RowID
	}{
		{riverSet, riverRow, 0, "3fde7150-7143-835f-aec8-34cac98a25c8"},
		{riverSet, riverRow, 1, "9b08fa0b-c2c7-810b-a3eb-e0e183752e1a"},
		{rebased.DatasetID{}, nil, 0, "66687aad-f862-8d77-ac8f-c18b8e9f8e20"},
	} {
		if got := rebased.NewRowID(c.dataset, c.cells, c.occurrence); got != c.want {
			t.Errorf("%v %v %d: got %s, want %s", c.dataset, c.cells, c.occurrence, got, c.want)
		}
	}
}

func TestRowIDsDifferInEveryFieldAndAtEveryBorder(t *testing.T) {
	cells := func(fields ...string) (out []rebased.Cell) {
		for i := 0; i < len(fields); i += 2 {
			out = append(out, rebased.Cell{Column: fields[i], Text: fields[i+1]})
		}
		return out
	}
	set := func(name, config, split string) rebased.DatasetID {
		return rebased.DatasetID{Name: name, Config: config, Split: split}
	}
	seen := map[rebased.RowID]string{}
	for _, c := range []struct {
		name       string
		dataset    rebased.DatasetID
		cells      []rebased.Cell
		occurrence int
	}{
		{"plain", set("a", "b", "c"), cells("q", "x", "a", "y"), 0},
		{"second occurrence", set("a", "b", "c"), cells("q", "x", "a", "y"), 1},
		{"tenth thousandth occurrence", set("a", "b", "c"), cells("q", "x", "a", "y"), 10_000},
		{"other dataset", set("A", "b", "c"), cells("q", "x", "a", "y"), 0},
		{"other config", set("a", "B", "c"), cells("q", "x", "a", "y"), 0},
		{"other split", set("a", "b", "C"), cells("q", "x", "a", "y"), 0},
		{"other column", set("a", "b", "c"), cells("Q", "x", "a", "y"), 0},
		{"other text", set("a", "b", "c"), cells("q", "X", "a", "y"), 0},
		{"other order", set("a", "b", "c"), cells("a", "y", "q", "x"), 0},
		{"texts swapped", set("a", "b", "c"), cells("q", "y", "a", "x"), 0},
		{"border of name and config", set("ab", "", "c"), cells("q", "x", "a", "y"), 0},
		{"border of config and split", set("a", "bc", ""), cells("q", "x", "a", "y"), 0},
		{"border of split and column", set("a", "b", "cq"), cells("", "x", "a", "y"), 0},
		{"border of column and text", set("a", "b", "c"), cells("qx", "", "a", "y"), 0},
		{"border of two cells", set("a", "b", "c"), cells("q", "xa", "", "y"), 0},
		{"one cell less", set("a", "b", "c"), cells("q", "x"), 0},
		{"an empty cell more", set("a", "b", "c"), cells("q", "x", "a", "y", "", ""), 0},
		{"no cells", set("a", "b", "c"), nil, 0},
	} {
		id := rebased.NewRowID(c.dataset, c.cells, c.occurrence)
		if other, known := seen[id]; known {
			t.Errorf("%s has the id of %s", c.name, other)
		}
		seen[id] = c.name
	}
}

func FuzzRowIDsAreUUIDsThatTellOccurrencesApart(f *testing.F) {
	f.Add("owner/qa", "question", "What river?", 0)
	f.Add("", "", "\xff\x00", 1<<40)
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	f.Fuzz(func(t *testing.T, name, column, text string, occurrence int) {
		dataset, cells := rebased.DatasetID{Name: name}, []rebased.Cell{{Column: column, Text: text}}
		id := rebased.NewRowID(dataset, cells, occurrence)
		if !form.MatchString(string(id)) {
			t.Errorf("%q is no UUID of version 8", id)
		}
		if id != rebased.NewRowID(dataset, cells, occurrence) || id == rebased.NewRowID(dataset, cells, occurrence+1) {
			t.Errorf("%q does not depend on the occurrence, and on it alone", id)
		}
	})
}

func TestAKeyIsTheIDInSixteenBytes(t *testing.T) {
	ids := []rebased.RowID{"3fde7150-7143-835f-aec8-34cac98a25c8", "3fde7150-7143-835f-aec8-34cac98a25c9", "a0000000-0000-0000-0000-000000000000"}
	var before rebased.RowKey
	for _, id := range ids {
		key, err := id.Key()
		if err != nil || key.ID() != id {
			t.Errorf("%s: key %x, %v", id, key, err)
		}
		if bytes.Compare(before[:], key[:]) >= 0 {
			t.Errorf("%s: the keys are not in the order of the ids", id)
		}
		before = key
	}
	for _, id := range []rebased.RowID{
		"", "row-7", "3fde7150-7143-835f-aec8-34cac98a25c", "3fde7150-7143-835f-aec8-34cac98a25c80", "3FDE7150-7143-835f-aec8-34cac98a25c8",
		"3fde7150+7143-835f-aec8-34cac98a25c8", "3fde715-07143-835f-aec8-34cac98a25c8", "zfde7150-7143-835f-aec8-34cac98a25c8",
	} {
		if _, err := id.Key(); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("%q: got %v, want Invalid", id, err)
		}
	}
}
