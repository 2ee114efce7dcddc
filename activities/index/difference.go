package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

const (
	// readers is how many lists of ids are read at once.
	readers = 8
	// surveyRows is how many ids of a corpus a survey holds in memory, 24 bytes each.
	surveyRows = 4 << 20
)

// all is every row of a corpus.
func all(corpus rebased.Corpus) []Work {
	work := make([]Work, len(corpus.Parts))
	for i := range work {
		work[i].Part = i
	}
	return work
}

// difference finds the rows of one revision that another does not have, and the other way round. Parts that both name are not looked into;
// rows of one dataset split alone can be the same row. Of splits whose change no import has told, the ids of all rows are read.
func (x *Indexer) difference(ctx context.Context, from, to rebased.Corpus) (work []Work, gone []rebased.RowKey, err error) {
	changed := changes(from, to)
	told, err := x.recorded(ctx, from, to)
	if err != nil {
		return nil, nil, err
	}
	for id, c := range changed {
		if fresh, old, ok := c.take(told[id]); ok {
			work, gone = append(work, fresh...), append(gone, old...)
			delete(changed, id)
		}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, c := range changed {
		group.Go(func() error {
			fresh, old, err := x.compare(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			work, gone = append(work, fresh...), append(gone, old...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return work, gone, nil
}

// change is the parts of one dataset split that came and that went.
type change struct {
	came []Work // all of each part
	now  []rebased.Part
	went []rebased.Part
}

func changes(from, to rebased.Corpus) map[rebased.DatasetID]*change {
	kept := make(map[string]bool, len(to.Parts)) // key -> in both
	for _, part := range to.Parts {
		kept[part.Key] = false
	}
	changed := make(map[rebased.DatasetID]*change)
	of := func(id rebased.DatasetID) *change {
		if changed[id] == nil {
			changed[id] = new(change)
		}
		return changed[id]
	}
	for _, part := range from.Parts {
		if _, ok := kept[part.Key]; ok {
			kept[part.Key] = true
			continue
		}
		c := of(part.Dataset)
		c.went = append(c.went, part)
	}
	for i, part := range to.Parts {
		if !kept[part.Key] {
			c := of(part.Dataset)
			c.came, c.now = append(c.came, Work{Part: i}), append(c.now, part)
		}
	}
	return changed
}

// compare finds what is new and what is gone in one dataset split.
func (x *Indexer) compare(ctx context.Context, c *change) (fresh []Work, gone []rebased.RowKey, err error) {
	if len(c.went) == 0 {
		return c.came, nil, nil
	}
	before := make(map[rebased.RowKey]bool) // row -> is still there
	for _, part := range c.went {
		ids, err := rebased.ReadPartIDs(ctx, x.objects, x.rows, part.File)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range ids {
			before[id] = false
		}
	}
	for i, part := range c.now {
		ids, err := rebased.ReadPartIDs(ctx, x.objects, x.rows, part.File)
		if err != nil {
			return nil, nil, err
		}
		w := c.came[i]
		for row, id := range ids {
			if _, ok := before[id]; ok {
				before[id] = true
				continue
			}
			w.Rows = append(w.Rows, int32(row)) //nolint:gosec // rows of a part are not that many
		}
		if len(w.Rows) > 0 {
			fresh = append(fresh, w)
		}
	}
	for id, still := range before {
		if !still {
			gone = append(gone, id)
		}
	}
	return fresh, gone, nil
}

// survey compares a corpus with what the index really holds: it lists the ids of both, about so many at a time.
func (x *Indexer) survey(ctx context.Context, collection string, corpus rebased.Corpus, atOnce int) (work []Work, gone []rebased.RowKey, err error) {
	missing := make(map[int][]int32)               // part -> rows
	passes := uint32(corpus.RowCount()/atOnce + 1) //nolint:gosec // positive
	for pass := range passes {
		low, high := share(pass, passes), share(pass+1, passes)
		wanted, err := x.within(ctx, corpus, low, high)
		if err != nil {
			return nil, nil, err
		}
		old, err := x.merge(ctx, collection, wanted, low, high, missing)
		if err != nil {
			return nil, nil, fmt.Errorf("list the index of %s: %w", corpus.Name, err)
		}
		gone = append(gone, old...)
	}
	for part, rows := range missing {
		slices.Sort(rows)
		if len(rows) == corpus.Parts[part].Rows {
			rows = nil
		}
		work = append(work, Work{Part: part, Rows: rows})
	}
	return work, gone, nil
}

// share is where the n-th of so many equal shares of all keys begins, by the first four bytes of a key.
func share(n, of uint32) uint64 { return uint64(n) << 32 / uint64(of) }

func place(id rebased.RowKey) uint64 { return uint64(binary.BigEndian.Uint32(id[:])) }

func compareKeys(a, b rebased.RowKey) int { return bytes.Compare(a[:], b[:]) }

// located is a row of a corpus.
type located struct {
	id        rebased.RowKey
	part, row int32
}

// within lists the rows of a corpus whose keys are in a share, in order.
func (x *Indexer) within(ctx context.Context, corpus rebased.Corpus, low, high uint64) (rows []located, err error) {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, part := range corpus.Parts {
		group.Go(func() error {
			ids, err := rebased.ReadPartIDs(ctx, x.objects, x.rows, part.File)
			mu.Lock()
			defer mu.Unlock()
			for row, id := range ids {
				if at := place(id); at >= low && at < high {
					rows = append(rows, located{id: id, part: int32(i), row: int32(row)}) //nolint:gosec // not that many
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b located) int { return compareKeys(a.id, b.id) })
	return rows, nil
}

// merge walks along the ids of the index and those that should be there: both ascend.
func (x *Indexer) merge(
	ctx context.Context, collection string, wanted []located, low, high uint64, missing map[int][]int32,
) (gone []rebased.RowKey, err error) {
	miss := func(row located) { missing[int(row.part)] = append(missing[int(row.part)], row.row) }
	var from rebased.RowKey
	binary.BigEndian.PutUint32(from[:], uint32(low)) //nolint:gosec // below 1 << 32
	for id, err := range x.writer.IDs(ctx, collection, from) {
		if err != nil {
			return nil, err
		}
		if place(id) >= high {
			break
		}
		for len(wanted) > 0 && compareKeys(wanted[0].id, id) < 0 {
			miss(wanted[0])
			wanted = wanted[1:]
		}
		if len(wanted) == 0 || wanted[0].id != id {
			gone = append(gone, id)
			continue
		}
		wanted = wanted[1:]
	}
	for _, row := range wanted {
		miss(row)
	}
	return gone, nil
}
