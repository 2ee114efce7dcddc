package retrieve

import (
	"context"
	"math/bits"
	"slices"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
)

// Bounds of ties.
const (
	tieWidth = 0.001 // of the score, within which mode diverse puts what is different before what is better
	mostTied = 4096  // rows; more are chosen from in several steps
)

// maxPassed is how many rows that were passed over are told one by one, of each reason.
const maxPassed = 1000

// Passed is a row that was passed over, though it scored higher than the last one taken.
type Passed struct {
	Row     rebased.RowID       `json:"row"`
	Dataset rebased.DatasetID   `json:"dataset"`
	Score   float32             `json:"score"` // at most that, of a row over the quota
	Reason  string              `json:"reason"`
	Of      rebased.RowID       `json:"of,omitempty"`   // the row that it repeats
	Leak    *decontaminate.Leak `json:"leak,omitempty"` // what it shares with a benchmark
}

// ranked gives rows one by one, best first, in the order of compare; ok is false after the last one.
type ranked interface {
	next(ctx context.Context) (row scored, ok bool, err error)
}

// taker walks down a ranked list and says which rows are taken.
type taker struct {
	retrieve rebased.Retrieve
	sources  []*source
	leaked   map[rebased.RowKey]decontaminate.Leak
	quota    *quota
	progress func(rows int)

	taken   []scored
	skipped map[string]int
	leaks   map[string]int // rows passed over as such, by file of a benchmark
	passed  []Passed

	ahead   []scored          // read from the list, not judged yet
	said    map[uint64]int32  // content -> place in taken
	strong  map[uint64]int32  // what the cells say that are not weak -> the first place in taken
	counted map[mirrored]bool // rows that count for a dataset by their mirrors
}

// mirrored is a taken row and the name of a dataset that repeats it.
type mirrored struct{ place, name int32 }

func newTaker(r rebased.Retrieve, sources []*source, leaked map[rebased.RowKey]decontaminate.Leak, progress func(rows int)) *taker {
	all := 0
	for _, s := range sources {
		all += s.Rows
	}
	t := &taker{
		retrieve: r, sources: sources, leaked: leaked, progress: progress, quota: &quota{taken: make([]int, names(sources))},
		taken: make([]scored, 0, min(r.Rows, all)), skipped: map[string]int{SkippedQuota: 0}, leaks: map[string]int{}, said: map[uint64]int32{}, strong: map[uint64]int32{}, counted: map[mirrored]bool{},
	}
	if t.diverse() {
		t.quota.most = r.MaxPerDataset
	}
	return t
}

// names is how many names of datasets there are.
func names(sources []*source) (n int32) {
	for _, s := range sources {
		n = max(n, s.name+1)
	}
	return n
}

func (t *taker) diverse() bool { return t.retrieve.Mode == rebased.ModeDiverse }

// take goes on until enough rows are taken, or the list or the scores end.
func (t *taker) take(ctx context.Context, from ranked) error {
	for len(t.taken) < t.retrieve.Rows {
		tie, err := t.tie(ctx, from)
		if err != nil || len(tie) == 0 {
			return err
		}
		t.choose(tie)
	}
	return nil
}

// tie gives the rows that come next: in mode diverse those within tieWidth of the best one left, else that one alone.
func (t *taker) tie(ctx context.Context, from ranked) ([]scored, error) {
	width, most := float32(tieWidth), mostTied
	if !t.diverse() {
		width, most = 0, 1
	}
	for len(t.ahead) < most && (len(t.ahead) == 0 || t.ahead[len(t.ahead)-1].total >= t.ahead[0].total-width) {
		row, ok, err := from.next(ctx)
		if err != nil {
			return nil, err
		}
		if least := t.retrieve.MinScore; !ok || least > 0 && float64(row.total) < least {
			break
		}
		t.ahead = append(t.ahead, row)
	}
	n := 0
	for n < len(t.ahead) && t.ahead[n].total >= t.ahead[0].total-width {
		n++
	}
	tie := slices.Clone(t.ahead[:n])
	t.ahead = slices.Delete(t.ahead, 0, n)
	return tie, nil
}

// choose judges the rows of a tie: those of the dataset that gave least first, then those least like the ones taken of the tie, then as they come.
func (t *taker) choose(tie []scored) {
	like := make([]int, len(tie)) // bits shared with the most like row taken
	for len(tie) > 0 && len(t.taken) < t.retrieve.Rows {
		best := 0
		for i := 1; i < len(tie); i++ {
			a, b := t.quota.taken[t.name(tie[i])], t.quota.taken[t.name(tie[best])]
			if a < b || a == b && like[i] < like[best] {
				best = i
			}
		}
		row := tie[best]
		tie, like = slices.Delete(tie, best, best+1), slices.Delete(like, best, best+1)
		if !t.judge(row) {
			continue
		}
		for i := range tie {
			like[i] = max(like[i], lookBits-bits.OnesCount64(tie[i].look^row.look))
		}
	}
}

func (t *taker) name(row scored) int32 { return t.sources[row.source].name }

// judge takes a row or says why not.
func (t *taker) judge(row scored) bool {
	name := t.name(row)
	if leak, leaks := t.leaked[row.id]; leaks {
		t.leaks[leak.File]++
		t.pass(row, Passed{Reason: SkippedLeaked, Leak: &leak})
		return false
	}
	if place, mirrors := t.mirrors(row); mirrors {
		if m := (mirrored{place, name}); t.name(t.taken[place]) != name && !t.counted[m] {
			t.counted[m] = true
			t.quota.taken[name]++
		}
		t.pass(row, Passed{Reason: SkippedMirror, Of: t.taken[place].id.ID()})
		return false
	}
	if !t.quota.accept(name) {
		t.pass(row, Passed{Reason: SkippedQuota})
		return false
	}
	if row.content != 0 {
		t.said[row.content] = int32(len(t.taken)) //nolint:gosec // bounded by the task
	}
	if _, known := t.strong[row.strong]; row.strong != 0 && !known {
		t.strong[row.strong] = int32(len(t.taken)) //nolint:gosec // the same
	}
	t.taken = append(t.taken, row)
	if len(t.taken)%fetchStep == 0 {
		t.progress(len(t.taken))
	}
	return true
}

// mirrors finds the row that was taken and says the same: all of it or, in another dataset, all but its weak cells, such as labels and numbers.
func (t *taker) mirrors(row scored) (place int32, ok bool) {
	if place, ok = t.said[row.content]; ok {
		return place, true
	}
	place, ok = t.strong[row.strong]
	return place, ok && t.name(t.taken[place]) != t.name(row)
}

func (t *taker) pass(row scored, why Passed) {
	t.skipped[why.Reason]++
	if t.skipped[why.Reason] <= maxPassed {
		why.Row, why.Dataset, why.Score = row.id.ID(), t.sources[row.source].DatasetID, row.total
		t.passed = append(t.passed, why)
	}
}

// quota counts the rows taken of each dataset name.
type quota struct {
	most  int // 0 = no quota
	taken []int
}

func (q *quota) full(s *source) bool { return q.most > 0 && q.taken[s.name] >= q.most }

func (q *quota) accept(name int32) bool {
	if q.most > 0 && q.taken[name] >= q.most {
		return false
	}
	q.taken[name]++
	return true
}
