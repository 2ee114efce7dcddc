package retrieve

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/rebased/rebased"
)

// Bounds of what is read side by side.
const (
	readers   = 8        // parts
	readBytes = 16 << 20 // of their rows in memory, or one part that has more
	inflation = 16       // how many times the size of a part its rows may take
)

// Ranking is what Rank found: which rows, in which order. What they say is still in the corpus.
type Ranking struct {
	Skipped map[string]int // rows kept out, by reason
	Leaked  map[string]int // those of SkippedLeaked, by the benchmark that holds their text
	Passed  []Passed       // of these, the first that stood before the last one taken
	Encoded int            // texts that the second stage's encoder had not encoded before

	rows    rebased.Table[rebased.Row]
	taken   []scored // best first
	sources []*source
	parts   []rebased.Part // by the number that taken has
}

// Len is how many rows were found.
func (r Ranking) Len() int { return len(r.taken) }

// Datasets counts the rows by the name of their dataset.
func (r Ranking) Datasets() map[string]int {
	counts := make(map[string]int)
	for _, row := range r.taken {
		counts[r.sources[row.source].Name]++
	}
	return counts
}

// Curve gives the scores at so many even places at most, the first and the last row's included.
func (r Ranking) Curve(points int) []float32 {
	points = min(points, len(r.taken))
	curve := make([]float32, points)
	for i := range curve {
		curve[i] = r.taken[i*(len(r.taken)-1)/max(1, points-1)].total
	}
	return curve
}

// Read gives the rows of the ranking from one place to before another, best first, with their contents. Invalid: the index and the corpus do
// not fit together.
func (r Ranking) Read(ctx context.Context, from, to int) ([]rebased.Candidate, error) {
	wanted := make(map[int32][]int) // part -> places in the ranking
	for i, row := range r.taken[from:to] {
		wanted[row.part] = append(wanted[row.part], from+i)
	}
	candidates := make([]rebased.Candidate, to-from)
	room := semaphore.NewWeighted(readBytes)
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, number := range slices.Sorted(maps.Keys(wanted)) {
		part := r.parts[number]
		need := min(readBytes, inflation*part.Size)
		if room.Acquire(work, need) != nil {
			break // a part has failed, or the caller's context has ended
		}
		group.Go(func() error {
			defer room.Release(need)
			if err := r.readPart(work, part.Key, wanted[number], candidates, from); err != nil {
				return fmt.Errorf("read %s: %w", part.Key, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return candidates, ctx.Err()
}

// readPart fills in the candidates that one part holds; the first one has the place from. Of the part's other rows no text is made.
func (r Ranking) readPart(ctx context.Context, key string, places []int, candidates []rebased.Candidate, from int) error {
	slices.SortFunc(places, func(a, b int) int { return cmp.Compare(r.taken[a].row, r.taken[b].row) })
	wanted := make([]int32, len(places))
	for i, place := range places {
		wanted[i] = r.taken[place].row
	}
	rows, err := r.rows.Pick(ctx, key, wanted)
	if err != nil {
		return err
	}
	for i, place := range places {
		if candidates[place-from], err = r.candidate(place, rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// candidate joins a row's scores with its contents.
func (r Ranking) candidate(rank int, row rebased.Row) (rebased.Candidate, error) {
	s := r.taken[rank]
	if row.ID != s.id.ID() {
		return rebased.Candidate{}, misplaced(int(s.row), s.id.ID())
	}
	source := r.sources[s.source]
	if last := max(s.inCell, s.outCell); int(last) >= len(row.Cells) {
		return rebased.Candidate{}, rebased.E(rebased.Invalid, "row %s has no cell %d, as the index says: run `rebased index` again", row.ID, last)
	}
	return rebased.Candidate{
		Row: row,
		Scores: rebased.Scores{
			Total: s.total, In: s.in, Out: s.out, Data: float32(source.data),
			InColumn: row.Cells[s.inCell].Column, OutColumn: row.Cells[s.outCell].Column,
		},
		Rank: rank, License: source.License, Revision: source.Revision,
	}, nil
}

func misplaced(place int, id rebased.RowID) error {
	return rebased.E(rebased.Invalid, "row %d is not %s, as the index says: run `rebased index` again", place, id)
}

// locate finds the part and the place in it of each row, and gives the parts. It reads the ids of all parts of the datasets that the rows are
// of, some parts at once.
func (r *Ranker) locate(ctx context.Context, corpus rebased.Corpus, taken []scored, sources []*source) ([]rebased.Part, error) {
	places := make(map[rebased.RowKey]int, len(taken))
	wanted := make(map[rebased.DatasetID]struct{})
	for i, row := range taken {
		places[row.id] = i
		wanted[sources[row.source].DatasetID] = struct{}{}
	}
	parts := slices.DeleteFunc(slices.Clone(corpus.Parts), func(p rebased.Part) bool { _, ok := wanted[p.Dataset]; return !ok })
	var mu sync.Mutex
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for number, part := range parts {
		group.Go(func() error {
			ids, err := rebased.ReadPartIDs(work, r.objects, r.rows, part.File)
			mu.Lock()
			defer mu.Unlock()
			for row, id := range ids {
				if i, ok := places[id]; ok {
					taken[i].part, taken[i].row = int32(number), int32(row) //nolint:gosec // parts and rows of one are not that many
					delete(places, id)
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for id := range places {
		return nil, rebased.E(rebased.Invalid, "index of %s holds row %s, which is not in revision %s: run `rebased index %s` again",
			corpus.Name, id.ID(), corpus.Revision, corpus.Name)
	}
	return parts, nil
}
