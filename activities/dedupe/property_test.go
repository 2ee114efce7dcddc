package dedupe

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// planted makes n rows of random words. A tenth are copies of an earlier row with up to 10% of the words replaced, a few are equal rows and
// conflicts; scores repeat, so that every rule of the order is needed.
func planted(seed uint64, n, minWords, maxWords int) []rebased.Example {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // test data
	word := func() string { return fmt.Sprintf("w%d", rng.IntN(5000)) }
	rows := make([]rebased.Example, 0, n)
	for i := range n {
		var words []string
		output := word()
		if i > 10 && rng.IntN(10) == 0 {
			source := rows[rng.IntN(i)]
			words, output = strings.Fields(source.Input), source.Output
			for range rng.IntN(len(words)/10 + 1) {
				words[rng.IntN(len(words))] = word()
			}
			if rng.IntN(20) == 0 {
				output = word()
			}
		} else {
			for range minWords + rng.IntN(maxWords-minWords+1) {
				words = append(words, word())
			}
		}
		e := row(i, strings.Join(words, " "), output)
		e.Score = float32(rng.IntN(50)) / 50
		rows = append(rows, e)
	}
	return rows
}

// unspaced joins the words, as in scripts that put no space between them.
func unspaced(rows []rebased.Example) []rebased.Example {
	for i := range rows {
		rows[i].Input = strings.ReplaceAll(rows[i].Input, " ", "")
	}
	return rows
}

func shuffled(seed uint64, rows []rebased.Example) []rebased.Example {
	rng := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // test data
	rows = slices.Clone(rows)
	rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

func TestDedupingTwiceChangesNothing(t *testing.T) {
	for seed := range uint64(5) {
		once := dedupe(t, defaults, planted(seed, 2000, 3, 40))
		twice := dedupe(t, defaults, once.Kept)
		if len(once.Rejects) == 0 || len(twice.Rejects) != 0 || !slices.Equal(ids(twice.Kept), ids(once.Kept)) {
			t.Errorf("seed %d: %d rejected, then %d", seed, len(once.Rejects), len(twice.Rejects))
		}
	}
}

func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	for seed := range uint64(5) {
		rows := planted(seed, 2000, 3, 40)
		want := dedupe(t, defaults, rows)
		if got := dedupe(t, defaults, shuffled(seed, rows)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("seed %d: %d kept, %d when shuffled", seed, len(want.Kept), len(got.Kept))
		}
	}
}

// plainShingles and plainJaccard say the same as shingles and jaccard without a hash.
func plainShingles(text string) map[string]bool {
	set, words, runes := map[string]bool{}, strings.Fields(text), []rune(text)
	switch {
	case len(words) >= 8:
		for i := range len(words) - 2 {
			set[strings.Join(words[i:i+3], " ")] = true
		}
	case len(runes) < 5 && len(runes) > 0:
		set["chars "+text] = true
	default:
		for i := range len(runes) - 4 {
			set["chars "+string(runes[i:i+5])] = true
		}
	}
	return set
}

func plainJaccard(a, b map[string]bool) float64 {
	shared := 0
	for s := range a {
		if b[s] {
			shared++
		}
	}
	if shared == 0 {
		return 0
	}
	return float64(shared) / float64(len(a)+len(b)-shared)
}

// plain is the definition, pair by pair: what Rows must give, in the form id -> reason and kept row.
func plain(settings rebased.Dedupe, rows []rebased.Example) map[rebased.RowID]string {
	return definition(Config{Dedupe: settings}, nil, rows)
}

// definition is the same with everything that a Config can say.
func definition(c Config, given []Given, rows []rebased.Example) map[rebased.RowID]string {
	n := newNormaliser()
	type text struct {
		rebased.Example
		name     rebased.RowID
		in, out  string
		set      map[string]bool
		vector   []float32
		verified bool
	}
	of := func(name rebased.RowID, e rebased.Example) text {
		t := text{Example: e, name: name, in: n.text(e.Input), out: n.text(e.Output)}
		t.set = plainShingles(compared(t.in, t.out))
		if c.Encoder != nil {
			vectors, err := c.Encoder.Encode(context.Background(), []string{compared(t.in, t.out)})
			if err != nil {
				panic(err)
			}
			t.vector = vectors[0]
		}
		t.verified = c.Verified != nil && c.Verified(&e)
		return t
	}
	texts := make([]text, len(rows))
	for i, e := range rows {
		texts[i] = of(e.Row, e)
	}
	slices.SortFunc(texts, func(a, b text) int {
		switch {
		case a.verified != b.verified:
			return map[bool]int{true: -1, false: 1}[a.verified]
		case a.Score != b.Score:
			return map[bool]int{true: -1, false: 1}[a.Score > b.Score]
		case len(a.in)+len(a.out) != len(b.in)+len(b.out):
			return len(b.in) + len(b.out) - len(a.in) - len(a.out)
		}
		return strings.Compare(string(a.Row), string(b.Row))
	})
	var kept []text
	for _, g := range given {
		for _, e := range g.Rows {
			name := rebased.RowID(g.Source) + "/" + e.Row
			if e.Row == "" {
				name = rebased.RowID(fmt.Sprintf("%s:%d", g.Source, e.Rank))
			}
			kept = append(kept, of(name, e))
		}
	}
	removed := map[rebased.RowID]string{}
next:
	for _, e := range texts {
		for _, reason := range []rebased.Reason{rebased.ReasonDuplicate, rebased.ReasonConflict} {
			for _, k := range kept {
				if c.Exact && e.in == k.in && (e.out == k.out || reason == rebased.ReasonConflict) {
					removed[e.Row] = fmt.Sprint(reason, k.name)
					continue next
				}
			}
		}
		best := 0.0
		for _, k := range kept {
			if j := plainJaccard(e.set, k.set); c.MinHash > 0 && j >= c.MinHash && j > best {
				best = j
				removed[e.Row] = fmt.Sprint(rebased.ReasonNearDuplicate, k.name)
			}
		}
		if best == 0 && c.Semantic != nil {
			for _, k := range kept {
				if s := plainCosine(e.vector, k.vector); s >= c.Semantic.Least() && s > best {
					best = s
					removed[e.Row] = fmt.Sprint(rebased.ReasonSemanticDuplicate, k.name)
				}
			}
		}
		if best == 0 {
			kept = append(kept, e)
		}
	}
	return removed
}

func plainCosine(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestRowsAgreesWithTheDefinitionPairByPair(t *testing.T) {
	for seed := range uint64(12) {
		settings := rebased.Dedupe{Exact: true, MinHash: []float64{0.5, 0.7, 0.8, 1}[seed%4]}
		rows := planted(seed, 400, 3, 30)
		want, got := plain(settings, rows), map[rebased.RowID]string{}
		for _, r := range dedupe(t, settings, rows).Rejects {
			got[r.Row] = fmt.Sprint(r.Reason, r.Of)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("seed %d, threshold %v:\n got %v\nwant %v", seed, settings.MinHash, got, want)
		}
	}
}

func TestSignaturesEstimateTheJaccard(t *testing.T) {
	rng, h := rand.New(rand.NewPCG(3, 3)), newHasher() //nolint:gosec // test data
	const pairs = 2000
	for _, want := range []float64{0.2, 0.5, 0.8} {
		var sum, squares float64
		for range pairs {
			a := make([]uint64, 90)
			for i := range a {
				a[i] = rng.Uint64()
			}
			b := slices.Clone(a)
			for i := range int(float64(len(a)) * (1 - want) / (1 + want)) {
				b[i] = rng.Uint64()
			}
			slices.Sort(a)
			slices.Sort(b)
			truth, _ := jaccard(a, b, 0)
			agree := 0
			x, y := h.sign(a), h.sign(b)
			for i := range x {
				if x[i] == y[i] {
					agree++
				}
			}
			e := float64(agree)/permutations - truth
			sum += e
			squares += e * e
		}
		// Independent permutations give a mean error of zero and a variance of J(1-J)/128.
		if bias, ratio := sum/pairs, squares/pairs/(want*(1-want)/permutations); bias < -0.004 || bias > 0.004 || ratio > 1.1 {
			t.Errorf("J %.1f: bias %.4f, variance %.2f of the ideal", want, bias, ratio)
		}
	}
}

func TestPlantedNearDuplicatesAreFoundAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		name string
		rows []rebased.Example
	}{
		{"word trigrams", planted(42, 8000, 20, 60)},
		{"character 5-grams", unspaced(planted(43, 1500, 8, 20))},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, wrong, due := judge(t, c.rows, dedupe(t, rebased.Dedupe{MinHash: 0.8}, c.rows))
			t.Logf("%d of %d rows with a better one at J >= 0.8 removed, %d without one", found, due, wrong)
			if due < 80 || float64(found) < 0.99*float64(due) || wrong != 0 {
				t.Errorf("found %d of %d, %d wrong", found, due, wrong)
			}
		})
	}
}

// judge checks a threshold of 0.8 by plain string sets: a row that went must be that near to the row it went for (else it is wrong), and of
// two kept rows that near, found through the shingles they share, one was due.
func judge(t testing.TB, rows []rebased.Example, result Result) (found, wrong, due int) {
	t.Helper()
	n := newNormaliser()
	sets := map[rebased.RowID]map[string]bool{}
	for _, e := range rows {
		sets[e.Row] = plainShingles(compared(n.text(e.Input), n.text(e.Output)))
	}
	for _, r := range result.Rejects {
		if plainJaccard(sets[r.Row], sets[r.Of]) < 0.8 {
			wrong++
		}
	}
	found = len(result.Rejects) - wrong
	due = found
	holders := map[string][]rebased.RowID{}
	for _, e := range result.Kept {
		near := map[rebased.RowID]bool{}
		for s := range sets[e.Row] {
			for _, other := range holders[s] {
				near[other] = true
			}
		}
		for other := range near {
			if plainJaccard(sets[e.Row], sets[other]) >= 0.8 {
				due++ // two kept rows that near: one was overlooked
			}
		}
		for s := range sets[e.Row] {
			holders[s] = append(holders[s], e.Row)
		}
	}
	return found, wrong, due
}

func realRows(t testing.TB, task string) []rebased.Example {
	t.Helper()
	folder := os.Getenv("REBASED_TEST_DATA")
	if folder == "" {
		t.Skip("set REBASED_TEST_DATA to the folder of real data to run this")
	}
	file, err := os.Open(filepath.Join(folder, "outputs", task+".jsonl")) //nolint:gosec // a test's own data
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	var rows []rebased.Example
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line struct{ Input, Output string }
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row(len(rows), line.Input, line.Output))
	}
	return rows
}

func TestRealOutputs(t *testing.T) {
	for _, task := range []string{"squad", "bbh-boolean_expressions", "bbh-hyperbaton", "bbh-logical_deduction_five_objects", "bbh-multistep_arithmetic_two"} {
		rows := realRows(t, task)
		result := dedupe(t, defaults, rows)
		reasons := map[rebased.Reason]int{}
		for _, r := range result.Rejects {
			reasons[r.Reason]++
		}
		t.Logf("%s: %d rows, %d kept, %v", task, len(rows), len(result.Kept), reasons)
		if len(result.Rejects) == 0 {
			t.Errorf("%s: nothing found in a set that holds repeats", task)
		}
		found, wrong, due := judge(t, rows, dedupe(t, rebased.Dedupe{MinHash: 0.8}, rows))
		if wrong != 0 || float64(found) < 0.99*float64(due) {
			t.Errorf("%s: found %d of %d, %d wrong", task, found, due, wrong)
		}
	}
}
