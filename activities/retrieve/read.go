package retrieve

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/rebased/rebased"
)

// readers is how many parts are read at once.
const readers = 8

// read gives the rows of a ranking their contents, from the parts of the corpus that hold them.
func (r *Ranker) read(ctx context.Context, corpus rebased.Corpus, taken []scored, tick func()) ([]rebased.Candidate, error) {
	wanted := make(map[string][]int) // part -> places in taken
	for i, row := range taken {
		wanted[row.part] = append(wanted[row.part], i)
	}
	candidates := make([]rebased.Candidate, len(taken))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, part := range corpus.Parts {
		places := wanted[part.SHA256]
		if len(places) == 0 {
			continue
		}
		delete(wanted, part.SHA256)
		group.Go(func() error {
			rows, err := r.rows.Read(ctx, part.Key)
			if err != nil {
				return fmt.Errorf("read %s: %w", part.Key, err)
			}
			for _, i := range places {
				if candidates[i], err = candidate(i, taken[i], rows); err != nil {
					return fmt.Errorf("read %s: %w", part.Key, err)
				}
			}
			return nil
		})
		tick()
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for part, places := range wanted {
		return nil, rebased.E(rebased.Invalid, "index of %s names part %s (row %s), which is not in revision %s: run `rebased index %s` again",
			corpus.Name, part, taken[places[0]].id, corpus.Revision, corpus.Name)
	}
	return candidates, nil
}

// candidate joins a row's scores with its contents.
func candidate(rank int, s scored, rows []rebased.Row) (rebased.Candidate, error) {
	if s.row < 0 || s.row >= len(rows) || rows[s.row].ID != s.id {
		return rebased.Candidate{}, rebased.E(rebased.Invalid, "row %d is not %s, as the index says: run `rebased index` again", s.row, s.id)
	}
	row := rows[s.row]
	if max(s.inCell, s.outCell) >= len(row.Cells) {
		return rebased.Candidate{}, rebased.E(rebased.Invalid, "row %s has no cell %d, as the index says: run `rebased index` again",
			s.id, max(s.inCell, s.outCell))
	}
	return rebased.Candidate{
		Row: row,
		Scores: rebased.Scores{
			Total: s.total, In: s.in, Out: s.out, Data: float32(s.source.data),
			InColumn: row.Cells[s.inCell].Column, OutColumn: row.Cells[s.outCell].Column,
		},
		Rank: rank, License: s.source.License, Revision: s.source.Revision,
	}, nil
}
