package dedupe

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/rebased/rebased"
)

// pass goes once over the rows, best first, and knows those kept so far.
type pass struct {
	*table
	settings rebased.Dedupe
	rows     []int32    // by place
	inputs   *shared    // rows whose input is also another's
	indexes  []*similar // of the rules by likeness that are on
	kept     []int32    // reused
}

// decide gives the verdicts, by row, on rows that are given best first.
func decide(ctx context.Context, c Config, t *table, rows []int32) ([]verdict, error) {
	p := &pass{table: t, settings: c.Dedupe, rows: rows}
	sharer := newSharer(len(rows))
	p.inputs = sharer.find(func(place int32) uint64 { return binary.LittleEndian.Uint64(t.at(rows[place]).input[:]) })
	var err error
	if p.indexes, err = newIndexes(ctx, c, t, rows, sharer); err != nil {
		return nil, err
	}
	verdicts := make([]verdict, len(rows))
	for i, row := range rows {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v, err := p.verdict(int32(i)) //nolint:gosec // rows fit in 31 bits
		if err != nil {
			return nil, err
		}
		verdicts[row] = v
	}
	return verdicts, nil
}

// verdict judges the row of the next place, and keeps it where nothing speaks against it. Given rows stay whatever they repeat.
func (p *pass) verdict(place int32) (verdict, error) {
	input, given := p.inputs.entry(place), p.isGiven(p.rows[place])
	if input >= 0 && p.settings.Exact && !given {
		if v := p.sameInput(place, input); v.cause != stays {
			return v, nil
		}
	}
	for _, x := range p.indexes {
		x.enter(place)
		if given {
			continue
		}
		kept, similarity, err := x.closest(place)
		if err != nil {
			return verdict{}, err
		}
		if kept >= 0 {
			return verdict{cause: x.cause, of: p.rows[kept], similarity: similarity}, nil
		}
	}
	for _, x := range p.indexes {
		x.keep()
	}
	if input >= 0 {
		p.inputs.keep(input)
	}
	return verdict{}, nil
}

// sameInput looks for the best kept row of the same input, one of the same output if there is one: given rows may have both. The key that they share
// is only the beginning of the input's digest.
func (p *pass) sameInput(place, entry int32) (v verdict) {
	own := p.at(p.rows[place])
	p.kept = p.inputs.appendKept(p.kept[:0], entry)
	for _, kept := range slices.Backward(p.kept) { // the best was kept first, and comes last
		other := p.at(p.rows[kept])
		switch {
		case other.input != own.input:
		case other.output == own.output:
			return verdict{cause: duplicate, of: p.rows[kept]}
		case v.cause == stays:
			v = verdict{cause: conflict, of: p.rows[kept]}
		}
	}
	return v
}
