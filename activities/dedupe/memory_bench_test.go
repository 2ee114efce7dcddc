package dedupe

import (
	"context"
	"fmt"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
)

// generated is a build whose rows are made when they are read and forgotten when they are written, as those of a bucket are.
type generated struct {
	memory
	near bool // every fourth row is nearly the one before
	kept int
}

func (g *generated) Read(_ context.Context, part int) ([]rebased.Example, error) {
	rows := planted(uint64(part), PartRows, 60, 200) //nolint:gosec // a test's seed
	for i := range rows {
		if g.near && i%4 != 0 {
			rows[i].Input, rows[i].Output = rows[i-1].Input+fmt.Sprintf(" w%d", i%4), rows[i-1].Output
		}
		rows[i].Rank, rows[i].Row = part*PartRows+i, id(part*PartRows+i)
	}
	return rows, nil
}

func (g *generated) Keep(_ context.Context, rows []rebased.Example) error {
	g.kept += len(rows)
	return nil
}

func (*generated) Reject(context.Context, []rebased.Reject) error { return nil }

func (*generated) Removed(context.Context, []Removal) error { return nil }

// BenchmarkMemory reports what deduplication holds of rows of some 130 words.
func BenchmarkMemory(b *testing.B) {
	for _, near := range []bool{false, true} {
		for _, rows := range []int{20_000, 200_000, 1_000_000} {
			b.Run(fmt.Sprintf("%d rows, families %v", rows, near), func(b *testing.B) {
				for range b.N {
					files := &generated{near: near, memory: memory{open: temporary(b)}}
					indextest.Heap(b, func() {
						if err := Rows(b.Context(), Config{Dedupe: defaults, Parts: rows / PartRows}, files); err != nil {
							b.Fatal(err)
						}
					})
					b.ReportMetric(float64(files.kept), "kept")
				}
			})
		}
	}
}
