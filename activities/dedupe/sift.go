package dedupe

import (
	"context"

	"github.com/rebased/rebased"
)

// sifter reads the rows a second time and writes each where it belongs.
type sifter struct {
	files   Files
	table   *table
	open    map[int32]*openPart
	kept    []rebased.Example
	rejects []rebased.Reject
}

// openPart is a part of which some rows are still to be written.
type openPart struct {
	rows []rebased.Example
	left int
}

// sift writes all rows in the order of their ranks. A part is in memory from its first row in that order to its last.
func sift(ctx context.Context, settings rebased.Dedupe, files Files, t *table, rows []int32, verdicts []verdict) error {
	s := &sifter{files: files, table: t, open: map[int32]*openPart{}}
	for _, place := range t.byRank(rows) {
		row := rows[place]
		e, err := s.example(ctx, row)
		if err != nil {
			return err
		}
		if v := verdicts[row]; v.cause == stays {
			s.kept = append(s.kept, *e)
		} else {
			s.rejects = append(s.rejects, v.reject(settings, e, t.name(v.of)))
		}
		if err := s.flush(ctx, PartRows); err != nil {
			return err
		}
	}
	return s.flush(ctx, 1)
}

// example gives a row, which is asked for once.
func (s *sifter) example(ctx context.Context, row int32) (*rebased.Example, error) {
	part := s.table.at(row).part
	first, end := s.table.first[part], s.table.first[part+1]
	p := s.open[part]
	if p == nil {
		rows, err := s.files.Read(ctx, int(part))
		if err != nil {
			return nil, err
		}
		if len(rows) != int(end-first) {
			return nil, rebased.E(rebased.Unavailable, "part %d had %d rows at first and has %d now", part, end-first, len(rows))
		}
		p = &openPart{rows: rows, left: len(rows)}
		s.open[part] = p
	}
	if p.left--; p.left == 0 {
		delete(s.open, part)
	}
	return &p.rows[row-first], nil
}

// flush writes what has come to so many rows.
func (s *sifter) flush(ctx context.Context, rows int) error {
	if len(s.kept) >= rows {
		if err := s.files.Keep(ctx, s.kept); err != nil {
			return err
		}
		s.kept = nil
	}
	if len(s.rejects) >= rows {
		if err := s.files.Reject(ctx, s.rejects); err != nil {
			return err
		}
		s.rejects = nil
	}
	return nil
}
