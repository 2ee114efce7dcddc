package handoff

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/rebased/rebased"
)

// rows goes over the rows of a build as often as it is asked to. The part that was read last stays, so that rows of one part are read once.
type rows struct {
	parts Parts
	part  int // the one that is held; -1 = none
	held  []rebased.Example
}

func newRows(parts Parts) *rows { return &rows{parts: parts, part: -1} }

// each visits all rows in order; n counts them from 0.
func (r *rows) each(ctx context.Context, visit func(n int, e *rebased.Example) error) error {
	n := 0
	for part := range r.parts.Count {
		if err := r.hold(ctx, part); err != nil {
			return err
		}
		for i := range r.held {
			if err := visit(n, &r.held[i]); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

func (r *rows) hold(ctx context.Context, part int) (err error) {
	if part == r.part {
		return ctx.Err()
	}
	r.part, r.held = -1, nil // before the next is read: two are never in memory
	if r.held, err = r.parts.Read(ctx, part); err != nil {
		return fmt.Errorf("read part %d of the rows: %w", part, err)
	}
	r.part = part
	return nil
}

// survey is what the first pass finds out: all that must be known of the rows before the first file is made.
type survey struct {
	teachers map[string]int
	sources  map[Origin]int // Rows is 0
	splits   splits

	measures measures
	facts          // of the rows
	before   facts // of these and of those that deduplication removed
	inInput  int   // rows whose answer stands in the input
	judged   judged
	wrong    []uint8 // outputs of each row that were wrong
	scores   []float32
	pick     pick
}

func newSurvey(ctx context.Context, rows *rows, removed Removed, m measures, validation float64) (survey, error) {
	s := survey{teachers: map[string]int{}, sources: map[Origin]int{}, measures: m, facts: newFacts(m)}
	splitter := newSplitter(validation)
	err := rows.each(ctx, func(_ int, e *rebased.Example) error {
		s.add(m, e)
		s.scores = append(s.scores, e.Score)
		s.pick.offer(e)
		s.teachers[e.Teacher]++
		s.sources[Origin{Dataset: e.Name, License: e.License}]++
		if strings.Contains(e.Input, e.Answer) {
			s.inInput++
		}
		s.judged.add(e.Judged.Score)
		s.wrong = append(s.wrong, uint8(min(len(e.Rejected), math.MaxUint8))) //nolint:gosec // bounded
		return splitter.add(e)
	})
	if err == nil {
		s.splits, err = splitter.split(ctx, s.rows)
	}
	err = errors.Join(err, splitter.close())
	s.before = s.clone()
	if err == nil && removed != nil {
		err = removed(ctx, func(r *rebased.Reject) {
			s.before.add(m, &rebased.Example{Input: r.Input, Output: r.Output, Answer: rebased.ShortAnswer(r.Output), Lineage: r.Lineage})
		})
	}
	return s, err
}

// pairs counts the preference pairs of each split.
func (s *survey) pairs() map[string]int {
	pairs := map[string]int{SplitTrain: 0}
	if s.splits.validation > 0 {
		pairs[SplitValidation] = 0
	}
	for n, wrong := range s.wrong {
		pairs[s.splits.of(n)] += int(wrong)
	}
	return pairs
}

// judged counts scores.
type judged struct {
	rows   int
	sum    float64
	scores [rebased.MaxScore]int // rows that score from 1 to under 2, and so on
}

func (j *judged) add(score float32) {
	if score == 0 { // no judge was asked
		return
	}
	j.rows++
	j.sum += float64(score)
	j.scores[min(max(int(score), 1), rebased.MaxScore)-1]++
}

// splitRows are the rows of a version, a split at a time.
type splitRows struct {
	*rows
	splits splits
}

// each visits the rows of a split in order.
func (s splitRows) each(ctx context.Context, split string, visit func(e *rebased.Example) error) error {
	return s.rows.each(ctx, func(n int, e *rebased.Example) error {
		if s.splits.of(n) != split {
			return nil
		}
		return visit(e)
	})
}
