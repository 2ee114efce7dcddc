// Package balance says how many rows of each answer a version takes, so that no answer has more than its share. It stands behind dedupe, whose rows
// it is shown in the order of their ranks, and before handoff.
//
// Answers are balanced where they are labels: those that the task's constraints list, or else those found, as long as none has more than
// rebased.LabelBytes bytes, no more than rebased.MaxLabels differ and at least one comes twice. Free text is left as it is, and Short says so.
package balance

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// Tally counts the answers of rows that could be taken. It holds four bytes a row.
type Tally struct {
	spec   rebased.Balance
	target int // 0 = all rows that can be had
	ids    map[string]int32
	labels []string // by id
	counts []int
	rows   []int32 // label of each row
	free   bool
	caps   []int // by label; nil = none
	quotas []int // rows that are wanted of each; nil = no certain number
	taken  []int
	total  int
}

// New prepares for the rows of a task with an active balance.
func New(task rebased.Task) *Tally {
	t := &Tally{spec: *task.Output.Balance, ids: map[string]int32{}}
	t.target, _ = task.Target()
	for _, label := range task.Transform.Constraints.Labels {
		t.id(label)
	}
	return t
}

func (t *Tally) id(label string) int32 {
	id, known := t.ids[label]
	if !known {
		id = int32(len(t.labels)) //nolint:gosec // at most MaxLabels and one
		t.ids[label], t.labels, t.counts = id, append(t.labels, label), append(t.counts, 0)
	}
	return id
}

// Add counts the answer of the next row.
func (t *Tally) Add(answer string) {
	if t.free {
		return
	}
	answer = strings.TrimSpace(answer)
	id := t.id(answer)
	t.counts[id]++
	t.rows = append(t.rows, id)
	if t.free = len(answer) > rebased.LabelBytes || len(t.labels) > rebased.MaxLabels; t.free {
		t.rows, t.ids = nil, nil
	}
}

// Close is called when all rows were counted, before Take.
func (t *Tally) Close() {
	t.free = t.free || len(t.rows) > 1 && slices.Max(t.counts) < 2
	t.taken = make([]int, len(t.labels))
	if t.free || len(t.rows) == 0 {
		return
	}
	switch {
	case t.spec.PerLabel > 0:
		t.quotas = slices.Repeat([]int{t.spec.PerLabel}, len(t.labels))
		t.caps = t.quotas
	case t.spec.Equal && t.target > 0:
		t.quotas = make([]int, len(t.labels))
		for place, id := range t.byName() {
			t.quotas[id] = (place+1)*t.target/len(t.labels) - place*t.target/len(t.labels)
		}
		t.caps = t.quotas
	case t.spec.Equal:
		t.quotas = slices.Repeat([]int{t.fewest()}, len(t.labels))
		t.caps = t.quotas
	default:
		t.caps = slices.Repeat([]int{t.shareCap()}, len(t.labels))
	}
}

// byName gives the labels in an order that follows no order of rows.
func (t *Tally) byName() []int {
	ids := make([]int, len(t.labels))
	for i := range ids {
		ids[i] = i
	}
	slices.SortFunc(ids, func(a, b int) int { return cmp.Compare(t.labels[a], t.labels[b]) })
	return ids
}

// fewest is how many rows the rarest answer has that was found at all.
func (t *Tally) fewest() int {
	least := math.MaxInt
	for _, n := range t.counts {
		if n > 0 {
			least = min(least, n)
		}
	}
	return least
}

// shareCap is the most rows that every answer may have, so that none has more than its share of what is taken then. Where there are too few answers
// for that, all have as many.
func (t *Tally) shareCap() int {
	most := slices.Max(t.counts)
	for {
		all := 0
		for _, n := range t.counts {
			all += min(n, most)
		}
		if t.target > 0 {
			all = min(all, t.target)
		}
		next := int(t.spec.MaxShare*float64(all) + 1e-9)
		switch {
		case next >= most:
			return most
		case next == 0:
			return t.fewest()
		}
		most = next
	}
}

// Take says whether the n-th row, from 0, may be taken, and counts it then. Rows are asked for in their order, until as many are taken as wanted.
func (t *Tally) Take(n int) bool {
	if t.caps == nil {
		t.total++
		return true
	}
	id := t.rows[n]
	if t.taken[id] >= t.caps[id] {
		return false
	}
	t.taken[id]++
	t.total++
	return true
}

// shown is how many answers Short names.
const shown = 10

// Short says in one line what could not be had; "" = nothing.
func (t *Tally) Short() string {
	const key = "output.balance: "
	switch {
	case t.free:
		return fmt.Sprintf("%sthe answers are free text (over %d bytes, over %d of them, or each another): they are not balanced", key, rebased.LabelBytes, rebased.MaxLabels)
	case t.quotas != nil:
		return prefixed(key, t.missing())
	case t.caps == nil:
		return ""
	}
	full := t.full()
	most := slices.Max(t.taken)
	switch {
	case len(full) > 0 && float64(most) > t.spec.MaxShare*float64(t.total)+1e-9:
		return fmt.Sprintf("%s%d answers are too few for a share of %g: each has as many rows", key, len(t.labels), t.spec.MaxShare)
	case len(full) > 0 && t.target > t.total:
		return fmt.Sprintf("%srows of other answers than %s are missing", key, strings.Join(full, ", "))
	}
	return ""
}

// missing lists the answers that have less than their quota.
func (t *Tally) missing() string {
	var short []string
	left := 0
	for _, id := range t.byName() {
		n := t.quotas[id] - t.taken[id]
		switch {
		case n <= 0 || t.target > 0 && t.total >= t.target:
		case len(short) == shown:
			left++
		default:
			short = append(short, fmt.Sprintf("%d of %.40q", n, t.labels[id]))
		}
	}
	if left > 0 {
		short = append(short, fmt.Sprintf("some of %d more answers", left))
	}
	if len(short) == 0 {
		return ""
	}
	return "rows are missing: " + strings.Join(short, ", ")
}

// full lists the answers of which more rows could have been had.
func (t *Tally) full() (names []string) {
	for _, id := range t.byName() {
		if t.counts[id] > t.caps[id] && len(names) < shown {
			names = append(names, fmt.Sprintf("%.40q", t.labels[id]))
		}
	}
	return names
}

func prefixed(key, text string) string {
	if text == "" {
		return ""
	}
	return key + text
}
