package balance_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/balance"
)

func task(b rebased.Balance, target int, labels ...string) rebased.Task {
	task := rebased.DefaultTask()
	task.Output.Balance, task.Transform.TargetRows, task.Transform.Constraints.Labels = &b, target, labels
	return task
}

// take gives how many rows of each answer are taken of rows in order, up to the target, and what is said of it.
func take(of rebased.Task, answers []string) (map[string]int, string) {
	tally := balance.New(of)
	for _, a := range answers {
		tally.Add(a)
	}
	tally.Close()
	target, _ := of.Target()
	taken, all := map[string]int{}, 0
	for n, a := range answers {
		if (target == 0 || all < target) && tally.Take(n) {
			taken[strings.TrimSpace(a)]++
			all++
		}
	}
	return taken, tally.Short()
}

// rows gives so many of a, b, c, …, mixed.
func rows(counts ...int) (answers []string) {
	for i, n := range counts {
		answers = append(answers, slices.Repeat([]string{string(rune('a' + i))}, n)...)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
	return answers
}

func TestRowsAreTakenInTheSharesThatAreAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		task rebased.Task
		rows []string
		want string
		says string
	}{
		"equal":                        {task(rebased.Balance{Equal: true}, 0), rows(70, 20, 10), "a:10 b:10 c:10", ""},
		"equal, of a target":           {task(rebased.Balance{Equal: true}, 25), rows(70, 20, 10), "a:8 b:8 c:9", ""},
		"equal, too few":               {task(rebased.Balance{Equal: true}, 60), rows(70, 20, 10), "a:20 b:20 c:10", `output.balance: rows are missing: 10 of "c"`},
		"equal, none of a label":       {task(rebased.Balance{Equal: true}, 0, "a", "b", "z"), rows(5, 3), "a:3 b:3", `output.balance: rows are missing: 3 of "z"`},
		"so many each":                 {task(rebased.Balance{PerLabel: 15}, 0), rows(70, 20, 10), "a:15 b:15 c:10", `output.balance: rows are missing: 5 of "c"`},
		"so many each, all there":      {task(rebased.Balance{PerLabel: 10}, 0), rows(70, 20, 10), "a:10 b:10 c:10", ""},
		"a share":                      {task(rebased.Balance{MaxShare: 0.5}, 0), rows(70, 20, 10), "a:30 b:20 c:10", ""},
		"a share of a target":          {task(rebased.Balance{MaxShare: 0.4}, 40), rows(70, 20, 10), "a:15 b:15 c:10", ""},
		"a share, too few others":      {task(rebased.Balance{MaxShare: 0.5}, 80), rows(70, 20, 10), "a:30 b:20 c:10", `output.balance: rows of other answers than "a" are missing`},
		"a share that all have":        {task(rebased.Balance{MaxShare: 0.7}, 0), rows(70, 20, 10), "a:70 b:20 c:10", ""},
		"a share that cannot be":       {task(rebased.Balance{MaxShare: 0.4}, 0), rows(70, 20), "a:20 b:20", "output.balance: 2 answers are too few for a share of 0.4: each has as many rows"},
		"free text":                    {task(rebased.Balance{Equal: true}, 0), []string{"a", "a", strings.Repeat("x", 65)}, "a:2 " + strings.Repeat("x", 65) + ":1", "output.balance: the answers are free text (over 64 bytes, over 1000 of them, or each another): they are not balanced"},
		"an answer that is each other": {task(rebased.Balance{Equal: true}, 0), []string{"a", "b", "c"}, "a:1 b:1 c:1", "output.balance: the answers are free text (over 64 bytes, over 1000 of them, or each another): they are not balanced"},
		"no row":                       {task(rebased.Balance{Equal: true}, 0), nil, "", ""},
	} {
		taken, says := take(c.task, c.rows)
		var got []string
		for _, label := range slices.Sorted(maps(taken)) {
			got = append(got, fmt.Sprintf("%s:%d", label, taken[label]))
		}
		if c.task.Transform.TargetRows == 40 { // rows in order decide which
			if all := taken["a"] + taken["b"] + taken["c"]; all != 40 || taken["a"] > 16 || says != c.says {
				t.Errorf("%s: %v, %q", name, got, says)
			}
		} else if strings.Join(got, " ") != c.want || says != c.says {
			t.Errorf("%s: got %v, %q; want %s, %q", name, got, says, c.want, c.says)
		}
	}
}

func maps(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestNoAnswerHasMoreThanItsShareAndNoRowIsLeftOutForNothing holds for any counts.
func TestNoAnswerHasMoreThanItsShareAndNoRowIsLeftOutForNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 500 {
		counts := make([]int, 2+random.IntN(8))
		for i := range counts {
			counts[i] = 1 + random.IntN(200)
		}
		share := 1/float64(len(counts)) + random.Float64()*(1-1/float64(len(counts)))
		taken, says := take(task(rebased.Balance{MaxShare: share}, 0), rows(counts...))
		all, most := 0, 0
		for _, n := range taken {
			all, most = all+n, max(most, n)
		}
		if says == "" && float64(most) > share*float64(all)+1e-6 {
			t.Fatalf("%v: %d of %d rows have one answer, share %v", counts, most, all, share)
		}
		more := 0 // rows there would be with one more of each answer
		for _, n := range counts {
			more += min(n, most+1)
		}
		if says == "" && all < len(rows(counts...)) && float64(most+1) <= share*float64(more)-1e-6 {
			t.Fatalf("%v: one more row of each answer would have been right: %v, share %v", counts, taken, share)
		}
	}
}
