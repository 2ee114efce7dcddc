package dedupe

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// wordEncoder adds up a random vector for each word; "big" and "large" are one word to it, and text without letters is none.
type wordEncoder struct {
	dimensions int
	fail       error
}

func (wordEncoder) Identity() string  { return "words" }
func (e wordEncoder) Dimensions() int { return e.dimensions }

func (e wordEncoder) Encode(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		sum := make([]float64, e.dimensions)
		for word := range strings.FieldsSeq(text) {
			if word == "large" {
				word = "big"
			}
			if strings.Trim(word, ".?!") == "" {
				continue
			}
			h := fnv.New64a()
			_, _ = h.Write([]byte(word))
			rng := rand.New(rand.NewPCG(h.Sum64(), 9)) //nolint:gosec // test data
			for j := range sum {
				sum[j] += rng.NormFloat64()
			}
		}
		norm := 0.0
		for _, v := range sum {
			norm += v * v
		}
		out[i] = make([]float32, e.dimensions)
		for j, v := range sum {
			if norm > 0 {
				out[i][j] = float32(v / math.Sqrt(norm))
			}
		}
	}
	return out, e.fail
}

func sequence(given []Given) iter.Seq2[Given, error] {
	return func(yield func(Given, error) bool) {
		for _, g := range given {
			if !yield(g, nil) {
				return
			}
		}
	}
}

// run deduplicates with everything that a Config can say, in parts of so many rows.
func run(t testing.TB, c Config, given []Given, rows []rebased.Example, part int) Result {
	t.Helper()
	files := &memory{parts: slices.Collect(slices.Chunk(rows, part)), open: temporary(t)}
	c.Parts, c.Given = len(files.parts), sequence(given)
	if err := Rows(t.Context(), c, files); err != nil {
		t.Fatal(err)
	}
	return files.Result
}

func reasonsOf(result Result) map[rebased.RowID]string {
	out := map[rebased.RowID]string{}
	for _, r := range result.Rejects {
		out[r.Row] = fmt.Sprint(r.Reason, r.Of)
	}
	return out
}

func TestRowsOfOneMeaningAreToldByTheCosineOfTheirVectors(t *testing.T) {
	rows := []rebased.Example{
		row(0, "A big dog ran home", "yes"), row(1, "a large dog ran home", "yes"), row(2, "A big cat ran home", "yes"), row(3, "...", ""), row(4, "?!", ""),
	}
	c := Config{Dedupe: rebased.Dedupe{Exact: true, MinHash: 0.8, Semantic: &rebased.Semantic{Threshold: 0.95}}, Encoder: wordEncoder{dimensions: 64}}
	result := run(t, c, nil, rows, 2)
	if len(result.Rejects) != 1 {
		t.Fatalf("%+v", result.Rejects)
	}
	want := rebased.Reject{
		Lineage: rows[1].Lineage, Step: "dedupe", Reason: rebased.ReasonSemanticDuplicate, Detail: "cosine 1.000, threshold 0.95", Attempts: 2,
		Input: "a large dog ran home", Output: "yes", Of: rows[0].Row, Usage: rows[1].Usage,
	}
	if got := result.Rejects[0]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	c.Semantic, c.Encoder = nil, nil
	if result := run(t, c, nil, rows, 2); len(result.Rejects) != 0 {
		t.Errorf("off by default: %+v", result.Rejects)
	}
}

func TestAnEncoderThatFailsOrIsNotOpenEndsTheStep(t *testing.T) {
	down := rebased.E(rebased.Unavailable, "down")
	c := Config{Dedupe: rebased.Dedupe{Semantic: &rebased.Semantic{}}, Parts: 1, Encoder: wordEncoder{dimensions: 8, fail: down}}
	files := &memory{parts: [][]rebased.Example{{row(0, "a", "b")}}}
	if err := Rows(t.Context(), c, files); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	c.Encoder = nil
	if err := Rows(t.Context(), c, files); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v", err)
	}
}

// givenOf cuts rows into given ones, of a version and of a file, and those of a build.
func givenOf(rows []rebased.Example) (given []Given, rest []rebased.Example) {
	version, file := slices.Clone(rows[:100]), slices.Clone(rows[100:130])
	for i := range file {
		file[i].Row, file[i].Rank = "", i+1
	}
	return []Given{{"other@0123456789ab", version[:40]}, {"other@0123456789ab", version[40:]}, {"held.jsonl", file}}, rows[130:]
}

// everyRule is a Config with all rules on.
func everyRule(seed uint64) Config {
	return Config{
		Dedupe: rebased.Dedupe{
			Exact: true, MinHash: []float64{0.5, 0.7, 0.8, 1}[seed%4], Semantic: &rebased.Semantic{Threshold: []float64{0.85, 0.9, 0.95}[seed%3]},
		},
		Encoder: wordEncoder{dimensions: 33}, Verified: func(e *rebased.Example) bool { return e.Rank%3 == 0 },
	}
}

func TestEveryRuleAndGivenRowsAgreeWithTheDefinitionPairByPair(t *testing.T) {
	reasons := map[rebased.Reason]int{}
	for seed := range uint64(12) {
		c := everyRule(seed)
		given, rows := givenOf(planted(seed, 500, 3, 30))
		want, result := definition(c, given, rows), run(t, c, given, rows, 70)
		if got := reasonsOf(result); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("seed %d, %+v: %d removed, want %d", seed, c.Dedupe, len(got), len(want))
			for row, why := range want {
				if got[row] != why {
					t.Logf("%s: got %q, want %q", row, got[row], why)
				}
			}
		}
		for _, r := range result.Rejects {
			reasons[r.Reason]++
		}
	}
	if len(reasons) != 4 {
		t.Errorf("only these rules were tried: %v", reasons)
	}
}

func TestARowThatRepeatsAGivenOneGoesWhateverItsScoreAndNamesIt(t *testing.T) {
	const text = "one two three four five six seven eight nine ten eleven twelve a b c d e f g h"
	given := []Given{
		{"squad@0123456789ab", []rebased.Example{row(7, text, "a")}},
		{"held.jsonl", []rebased.Example{{Input: "Who wrote Emma?", Output: "Jane Austen", Lineage: rebased.Lineage{Rank: 3}}, {Input: "who wrote emma?", Output: "x"}}},
	}
	rows := []rebased.Example{row(0, text+" thirteen", "a"), row(1, "who wrote  Emma?", "jane austen"), row(2, "Who wrote EMMA?", "Austen"), row(3, "something else", "b")}
	result := run(t, Config{Dedupe: defaults}, given, rows, 10)
	want := map[rebased.RowID]string{
		id(0): fmt.Sprint(rebased.ReasonNearDuplicate, "squad@0123456789ab/", id(7)),
		id(1): fmt.Sprint(rebased.ReasonDuplicate, "held.jsonl:3"),
		id(2): fmt.Sprint(rebased.ReasonConflict, "held.jsonl:3"),
	}
	if got := reasonsOf(result); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if !slices.Equal(ids(result.Kept), []rebased.RowID{id(3)}) {
		t.Errorf("kept %v", ids(result.Kept))
	}
}

func TestVerifiedRowsStandBeforeThoseOfAHigherScore(t *testing.T) {
	rows := []rebased.Example{row(0, "same input", "a"), row(1, "same input", "b")}
	c := Config{Dedupe: defaults, Verified: func(e *rebased.Example) bool { return e.Output == "b" }}
	if result := run(t, c, nil, rows, 1); !slices.Equal(ids(result.Kept), []rebased.RowID{id(1)}) {
		t.Errorf("kept %v", ids(result.Kept))
	}
}

func TestWhatWasRemovedForWhatIsTold(t *testing.T) {
	const text = "one two three four five six seven eight nine ten eleven twelve a b c d e f g h"
	given := []Given{{"held.jsonl", []rebased.Example{{Input: "given", Output: "x", Lineage: rebased.Lineage{Rank: 1}}}}}
	rows := []rebased.Example{row(0, text, "a"), row(1, text, "b"), row(2, "given", "x"), row(3, text+" thirteen", "a"), row(4, text, "a")}
	result := run(t, Config{Dedupe: defaults}, given, rows, 2)
	want := []Removal{
		{id(2), "held.jsonl:1", rebased.ReasonDuplicate, true, 1},
		{id(3), id(0), rebased.ReasonNearDuplicate, false, 18. / 21},
		{id(1), id(0), rebased.ReasonConflict, false, 1},
		{id(4), id(0), rebased.ReasonDuplicate, false, 1},
	}
	sorted := slices.Clone(result.Removals)
	slices.SortFunc(sorted[1:], func(a, b Removal) int { return strings.Compare(fmt.Sprint(a.Rule), fmt.Sprint(b.Rule)) })
	slices.SortFunc(want[1:], func(a, b Removal) int { return strings.Compare(fmt.Sprint(a.Rule), fmt.Sprint(b.Rule)) })
	if len(result.Removals) != 4 || result.Removals[0] != want[0] {
		t.Fatalf("got %+v", result.Removals)
	}
	for i, r := range sorted {
		if r.Removed != want[i].Removed || r.Kept != want[i].Kept || r.Rule != want[i].Rule || math.Abs(r.Similarity-want[i].Similarity) > 0.02 {
			t.Errorf("got %+v, want %+v", r, want[i])
		}
	}
}

func TestSidesFollowTheAngle(t *testing.T) {
	rng, p := rand.New(rand.NewPCG(3, 3)), newPlanes(50) //nolint:gosec // test data
	const pairs = 300
	for _, want := range []float64{0.3, 0.8, 0.95} {
		agree, ideal := 0.0, 0.0
		for range pairs {
			a, b := make([]float32, 50), make([]float32, 50)
			for i := range a {
				x, y := rng.NormFloat64(), rng.NormFloat64()
				a[i], b[i] = float32(x), float32(want*x+math.Sqrt(1-want*want)*y)
			}
			dot := plainCosine(a, b) / math.Sqrt(plainCosine(a, a)*plainCosine(b, b))
			ideal += sameSide(dot) / pairs
			x, y := p.sides(a), p.sides(b)
			for i := range x {
				if x[i] == y[i] {
					agree += 1. / planeCount / pairs
				}
			}
		}
		if math.Abs(agree-ideal) > 0.005 {
			t.Errorf("cosine %.2f: %.4f of the sides agree, %.4f by the angle", want, agree, ideal)
		}
	}
}
