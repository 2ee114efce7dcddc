package index

import (
	"context"
	"slices"

	"github.com/rebased/rebased"
)

// nights is how many imports back it is looked for what has changed.
const nights = 32

// recorded collects what imports have told of the changes that led from one revision to another, by split, the last change first.
func (x *Indexer) recorded(ctx context.Context, from, to rebased.Corpus) (map[rebased.DatasetID][]rebased.SplitDifference, error) {
	told := make(map[rebased.DatasetID][]rebased.SplitDifference)
	for revision, n := to.Revision, 0; revision != from.Revision && n < nights; n++ {
		d, err := rebased.ReadDifference(ctx, x.objects, to.Name, revision)
		if kind := rebased.KindOf(err); kind == rebased.NotFound || kind == rebased.Invalid { // both revisions say the same
			return told, nil
		}
		if err != nil {
			return nil, err
		}
		for _, split := range d.Splits {
			told[split.Dataset] = append(told[split.Dataset], split)
		}
		revision = d.From
	}
	return told, nil
}

// take gives what is new and what is gone in a split, when an import has told of just this change: from these parts to those.
func (c *change) take(told []rebased.SplitDifference) (fresh []Work, gone []rebased.RowKey, ok bool) {
	for _, d := range told {
		if fresh, ok = c.match(d); ok {
			return fresh, keys(d.Gone), true
		}
	}
	return nil, nil, false
}

func (c *change) match(d rebased.SplitDifference) (fresh []Work, ok bool) {
	if len(d.Came) != len(c.now) || len(d.Went) != len(c.went) || len(d.Gone)%len(rebased.RowKey{}) != 0 {
		return nil, false
	}
	for _, part := range c.went {
		if !slices.Contains(d.Went, part.Key) {
			return nil, false
		}
	}
	for i, part := range c.now {
		at := slices.IndexFunc(d.Came, func(p rebased.PartDifference) bool { return p.Key == part.Key })
		if at < 0 {
			return nil, false
		}
		p := d.Came[at]
		w := Work{Part: c.came[i].Part, Rows: p.Rows}
		if p.Copied {
			w.Copies, w.At = d.Copies, p.At
		}
		if p.All || len(p.Rows) > 0 {
			fresh = append(fresh, w)
		}
	}
	return fresh, true
}
