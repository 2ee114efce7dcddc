package dedupe

import (
	"context"
	"encoding/binary"

	"github.com/rebased/rebased"
)

// pass goes once over the rows, best first, and knows those kept so far.
type pass struct {
	*table
	settings rebased.Dedupe
	rows     []int32    // by place
	inputs   *shared    // rows whose input is also another's
	near     *nearIndex // nil when near-duplicates stay
	kept     []int32    // reused
}

// decide gives the verdicts, by row, on rows that are given best first.
func decide(ctx context.Context, settings rebased.Dedupe, t *table, rows []int32) ([]verdict, error) {
	p := &pass{table: t, settings: settings, rows: rows}
	sharer := newSharer(len(rows))
	p.inputs = sharer.find(func(place int32) uint64 { return binary.LittleEndian.Uint64(t.at(rows[place]).input[:]) })
	if settings.MinHash > 0 {
		var err error
		if p.near, err = newNearIndex(ctx, settings.MinHash, t, rows, sharer); err != nil {
			return nil, err
		}
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

// verdict judges the row of the next place, and keeps it where nothing speaks against it.
func (p *pass) verdict(place int32) (verdict, error) {
	input := p.inputs.entry(place)
	if input >= 0 && p.settings.Exact {
		if v := p.sameInput(place, input); v.cause != stays {
			return v, nil
		}
	}
	if p.near != nil {
		kept, jaccard, err := p.near.closest(place)
		if err != nil || kept >= 0 {
			return verdict{cause: nearDuplicate, of: p.rowAt(kept), similarity: jaccard}, err
		}
		p.near.keep()
	}
	if input >= 0 {
		p.inputs.keep(input)
	}
	return verdict{}, nil
}

// sameInput looks for a kept row of the same input. The key that they share is only the beginning of the input's digest.
func (p *pass) sameInput(place, entry int32) verdict {
	own := p.at(p.rows[place])
	p.kept = p.inputs.appendKept(p.kept[:0], entry)
	for _, kept := range p.kept {
		other := p.at(p.rows[kept])
		switch {
		case other.input != own.input:
		case other.output == own.output:
			return verdict{cause: duplicate, of: p.rows[kept]}
		default:
			return verdict{cause: conflict, of: p.rows[kept]}
		}
	}
	return verdict{}
}

// rowAt is the row of a place, or -1 of none.
func (p *pass) rowAt(place int32) int32 {
	if place < 0 {
		return -1
	}
	return p.rows[place]
}
