package retrieve

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/decontaminate"
)

// leakSearch looks into the rows of rankings for texts of benchmarks. Only rows that were taken are read; where one of a part leaks, all rows of the
// part are looked at, so that a dataset that holds a benchmark is found at once.
type leakSearch struct {
	set    *decontaminate.Set // nil = no benchmarks
	clean  map[rebased.RowKey]struct{}
	leaked map[rebased.RowKey]decontaminate.Leak
}

// find reports whether a ranking has rows that leak; then they are in leaked.
func (l *leakSearch) find(ctx context.Context, ranking Ranking) (more bool, err error) {
	if l.set == nil {
		return false, nil
	}
	wanted := make(map[int32][]int32) // part -> rows there
	for _, row := range ranking.taken {
		if _, known := l.clean[row.id]; !known {
			wanted[row.part] = append(wanted[row.part], row.row)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(wanted)) {
		part := ranking.parts[number]
		rows, err := ranking.rows.Read(ctx, part.Key)
		if err != nil {
			return false, fmt.Errorf("read %s: %w", part.Key, err)
		}
		leaks := false
		for _, place := range wanted[number] {
			if int(place) >= len(rows) {
				return false, misplaced(int(place), "")
			}
			found, err := l.look(rows[place])
			if err != nil {
				return false, err
			}
			leaks = leaks || found
		}
		for i := 0; leaks && i < len(rows); i++ {
			if _, err := l.look(rows[i]); err != nil {
				return false, err
			}
		}
		more = more || leaks
	}
	return more, ctx.Err()
}

// look reports whether a row leaks.
func (l *leakSearch) look(row rebased.Row) (bool, error) {
	key, err := row.ID.Key()
	if err != nil {
		return false, err
	}
	texts := make([]string, len(row.Cells))
	for i, cell := range row.Cells {
		texts[i] = cell.Text
	}
	leak, found := l.set.Find(texts)
	if found {
		l.leaked[key] = leak
	} else {
		l.clean[key] = struct{}{}
	}
	return found, nil
}
