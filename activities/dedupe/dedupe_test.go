package dedupe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

var defaults = rebased.DefaultTask().Dedupe

// row makes an example; ids and ranks follow from n, and so does the score: a lower n is the better row.
func row(n int, input, output string) rebased.Example {
	return rebased.Example{
		Input: input, Output: output, Answer: output,
		Lineage: rebased.Lineage{
			DatasetID: rebased.DatasetID{Name: "owner/source", Config: "default", Split: "train"},
			Row:       id(n), Rank: n, Score: 1 / float32(n+1), Responses: []string{"a", "b"},
		},
		Usage: rebased.Usage{InputTokens: 10, OutputTokens: 2},
	}
}

func id(n int) rebased.RowID { return rebased.RowID(fmt.Sprintf("00000000-0000-8000-8000-%012d", n)) }

func dedupe(t testing.TB, settings rebased.Dedupe, examples []rebased.Example) Result {
	t.Helper()
	files := &memory{parts: slices.Collect(slices.Chunk(examples, 1000)), open: temporary(t)}
	if err := Rows(context.Background(), Config{Dedupe: settings, Parts: len(files.parts)}, files); err != nil {
		t.Fatal(err)
	}
	result := files.Result
	if len(result.Kept)+len(result.Rejects) != len(examples) {
		t.Fatalf("%d kept and %d rejected of %d rows", len(result.Kept), len(result.Rejects), len(examples))
	}
	if !slices.IsSortedFunc(result.Kept, func(a, b rebased.Example) int { return a.Rank - b.Rank }) ||
		!slices.IsSortedFunc(result.Rejects, func(a, b rebased.Reject) int { return a.Rank - b.Rank }) {
		t.Fatal("the result is not in the order of ranks")
	}
	return result
}

func ids(examples []rebased.Example) []rebased.RowID {
	var out []rebased.RowID
	for _, e := range examples {
		out = append(out, e.Row)
	}
	return out
}

func TestRowsThatReadTheSameAreDuplicates(t *testing.T) {
	for _, c := range []struct{ name, a, b string }{
		{"case", "What is the capital?", "WHAT is the Capital?"},
		{"white space", "What is  the\n\tcapital? ", "What is the capital?"},
		{"compatibility forms", "ﬁve ｆｕｌｌ １２", "five full 12"},
		{"composed and decomposed", "caf\u00e9", "cafe\u0301"},
		{"full case folding", "Straße ΣΑΣ", "STRASSE σας"},
		{"characters nobody sees", "soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := dedupe(t, rebased.Dedupe{Exact: true}, []rebased.Example{row(0, c.a, "Paris"), row(1, c.b, "paris")})
			if len(result.Rejects) != 1 || result.Rejects[0].Reason != rebased.ReasonDuplicate {
				t.Fatalf("%q and %q: %+v", c.a, c.b, result.Rejects)
			}
		})
	}
}

func TestPunctuationTellsRowsApart(t *testing.T) {
	result := dedupe(t, defaults, []rebased.Example{row(0, "5 + 3 =", "8"), row(1, "5 - 3 =", "2"), row(2, "(a) or [a]?", "x"), row(3, "[a] or (a)?", "x")})
	if len(result.Kept) != 4 {
		t.Fatalf("kept %v", ids(result.Kept))
	}
}

func TestSameInputWithAnotherOutputIsAConflictAndTheBetterRowStays(t *testing.T) {
	worse, better := row(7, "Is it raining?", "yes"), row(2, "is it  raining?", "no")
	result := dedupe(t, defaults, []rebased.Example{worse, better})
	if !slices.Equal(ids(result.Kept), []rebased.RowID{better.Row}) {
		t.Fatalf("kept %v", ids(result.Kept))
	}
	want := rebased.Reject{
		Lineage: worse.Lineage, Step: "dedupe", Reason: rebased.ReasonConflict, Detail: "same input, another output", Attempts: 2,
		Input: "Is it raining?", Output: "yes", Of: better.Row, Usage: worse.Usage,
	}
	if got := result.Rejects[0]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestTheBetterRowHasTheHigherScoreThenTheLongerTextThenTheLowerID(t *testing.T) {
	of := func(last string, score float32, input string) rebased.Example {
		e := row(0, input, "the answer")
		e.Row, e.Score = id(0)[:35]+rebased.RowID(last), score
		return e
	}
	const text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen a b c d e f g h i j k l m"
	for _, c := range []struct {
		name          string
		better, worse rebased.Example
	}{
		{"score", of("b", 0.9, text), of("a", 0.8, text+" nineteen")},
		{"length", of("b", 0.9, text+" nineteen"), of("a", 0.9, text)},
		{"id", of("a", 0.9, text), of("b", 0.9, text)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, order := range [][]rebased.Example{{c.better, c.worse}, {c.worse, c.better}} {
				result := dedupe(t, defaults, order)
				if !slices.Equal(ids(result.Kept), []rebased.RowID{c.better.Row}) {
					t.Fatalf("kept %v", ids(result.Kept))
				}
			}
		})
	}
}

func TestNearDuplicatesAreDecidedByTheirTrueJaccard(t *testing.T) {
	words := func(n int, last string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "w%d ", i)
		}
		return b.String() + last
	}
	// n words and a last one that differs give n-1 trigrams each, n-2 of them shared: J = (n-2)/n. The output is empty here.
	for _, c := range []struct {
		n    int
		near bool
	}{{n: 10, near: true}, {n: 9, near: false}} {
		result := dedupe(t, defaults, []rebased.Example{row(0, words(c.n, "end"), ""), row(1, words(c.n, "fin"), "")})
		if near := len(result.Rejects) == 1; near != c.near {
			t.Fatalf("J = %d/%d: near-duplicate is %v", c.n-2, c.n, near)
		}
		if c.near && (result.Rejects[0].Reason != rebased.ReasonNearDuplicate || result.Rejects[0].Detail != "Jaccard 0.800, threshold 0.8") {
			t.Fatalf("%+v", result.Rejects[0])
		}
	}
}

func TestShortTextsAreComparedByCharacters(t *testing.T) {
	result := dedupe(t, defaults, []rebased.Example{
		row(0, "東京都の人口はおよそ千四百万人であり日本で一番多い", "はい"), row(1, "東京都の人口はおよそ千四百万人であり日本で一番多いよ", "はい"),
		row(2, "ab", ""), row(3, "abc", ""), row(4, "", ""),
	})
	if len(result.Rejects) != 0 { // one character more changes five of thirty 5-grams
		t.Fatalf("%+v", result.Rejects)
	}
	result = dedupe(t, defaults, []rebased.Example{
		row(0, "Unquestionably characteristic internationalisation terminology", "yes"), row(1, "unquestionably characteristic internationalization terminology", "yes"),
	})
	if len(result.Rejects) != 1 || result.Rejects[0].Reason != rebased.ReasonNearDuplicate {
		t.Fatalf("%+v", result.Rejects)
	}
}

func TestSettingsSwitchTheRulesOff(t *testing.T) {
	const text = "the quick brown fox jumps over the lazy dog and runs away from it"
	rows := []rebased.Example{row(0, text, "a"), row(1, text, "a"), row(2, text, "b"), row(3, "one two three", "c")}
	for _, c := range []struct {
		settings rebased.Dedupe
		want     []rebased.Reason
	}{
		{rebased.Dedupe{}, nil},
		{rebased.Dedupe{Exact: true}, []rebased.Reason{rebased.ReasonDuplicate, rebased.ReasonConflict}},
		{rebased.Dedupe{MinHash: 0.8}, []rebased.Reason{rebased.ReasonNearDuplicate, rebased.ReasonNearDuplicate}},
	} {
		var got []rebased.Reason
		for _, r := range dedupe(t, c.settings, rows).Rejects {
			got = append(got, r.Reason)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.settings, got, c.want)
		}
	}
}

func TestRowsStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	files := &memory{parts: [][]rebased.Example{{row(0, "a", "b")}}}
	if err := Rows(ctx, Config{Dedupe: defaults, Parts: 1}, files); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
