// Package dedupe removes the rows of a build that repeat others: equal rows, rows of equal input with another output, and near-duplicates
// by the Jaccard similarity of their shingles. It stands between reason, which gives the examples, and handoff, which publishes those kept.
//
// # What is compared
//
// Input and output after normalisation (see normalise): compatibility forms, case and white space do not count, punctuation does, because in
// tasks of arithmetic, logic or code it carries the meaning. For near-duplicates the two are joined and cut into shingles: trigrams of words,
// or character 5-grams where the text has fewer than eight words, as text in scripts without spaces has. Two texts cut in different ways
// share nothing.
//
// # Which row stays
//
// Rows are taken best first: the higher score, then the longer compared text, then the lower row id. A row is removed only for a row that
// was kept, and for near-duplicates only if their true Jaccard similarity reaches the threshold; MinHash only proposes the pairs to look at,
// and its hashes are fixed. So neither the order of arrival nor how the work is split changes the result, and what was deduplicated once is
// left as it is the second time.
package dedupe

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/rebased/rebased"
)

// Step is the name of this step in rejects.
const Step = "dedupe"

// Result is what became of the examples: each stands in one of the two, both ordered by rank, then row id.
type Result struct {
	Kept    []rebased.Example
	Rejects []rebased.Reject
}

// Rows deduplicates examples. The only error is that of a context that ended.
func Rows(ctx context.Context, settings rebased.Dedupe, examples []rebased.Example) (Result, error) {
	rows, err := fingerprints(ctx, settings, examples)
	if err != nil {
		return Result{}, err
	}
	slices.SortFunc(rows, bestFirst)
	pass := newPass(settings, rows)
	verdicts := make([]verdict, len(rows))
	for row := range rows {
		if row%1024 == 0 && ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		verdicts[row] = pass.judge(row)
		if verdicts[row].reason == "" {
			pass.keep(row)
		}
	}
	result := Result{Kept: make([]rebased.Example, 0, len(rows))}
	for _, row := range byRank(rows) {
		if v := verdicts[row]; v.reason != "" {
			result.Rejects = append(result.Rejects, reject(rows[row].example, v, rows[v.of].example.Row))
		} else {
			result.Kept = append(result.Kept, *rows[row].example)
		}
	}
	return result, nil
}

// bestFirst orders rows from the best to the worst. The texts come last, so that the order is total even where ids repeat.
func bestFirst(x, y *fingerprint) int {
	a, b := x.example, y.example
	if c := cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(y.length, x.length), cmp.Compare(a.Row, b.Row)); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Input, b.Input), cmp.Compare(a.Output, b.Output))
}

// byRank gives the places of rows in the order of their ranks.
func byRank(rows []*fingerprint) []int {
	places := make([]int, len(rows))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(i, j int) int {
		a, b := rows[i].example, rows[j].example
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Row, b.Row), cmp.Compare(i, j))
	})
	return places
}

// verdict says why a row goes and for which kept row; without a reason the row stays.
type verdict struct {
	reason rebased.Reason
	of     int
	detail string
}

// pass goes once over the rows, best first, and knows those kept so far. Rows are numbered by their place.
type pass struct {
	settings rebased.Dedupe
	rows     []*fingerprint
	byInput  map[digest]int // the kept row of an input
	near     *nearIndex     // nil when near-duplicates stay
}

func newPass(settings rebased.Dedupe, rows []*fingerprint) *pass {
	p := &pass{settings: settings, rows: rows, byInput: map[digest]int{}}
	if settings.MinHash > 0 {
		p.near = newNearIndex(settings.MinHash, rows)
	}
	return p
}

func (p *pass) judge(row int) verdict {
	if kept, found := p.byInput[p.rows[row].input]; found && p.settings.Exact {
		if p.rows[kept].output == p.rows[row].output {
			return verdict{rebased.ReasonDuplicate, kept, "equal after normalisation"}
		}
		return verdict{rebased.ReasonConflict, kept, "same input, another output"}
	}
	if p.near == nil {
		return verdict{}
	}
	kept, jaccard := p.near.closest(row)
	if kept < 0 {
		return verdict{}
	}
	return verdict{rebased.ReasonNearDuplicate, kept, fmt.Sprintf("Jaccard %.3f, threshold %g", jaccard, p.settings.MinHash)}
}

func (p *pass) keep(row int) {
	p.byInput[p.rows[row].input] = row
	if p.near != nil {
		p.near.add(row)
	}
}

func reject(e *rebased.Example, v verdict, of rebased.RowID) rebased.Reject {
	return rebased.Reject{
		Lineage: e.Lineage, Step: Step, Reason: v.reason, Detail: v.detail, Attempts: len(e.Responses),
		Input: e.Input, Output: e.Output, Of: of, Usage: e.Usage,
	}
}
