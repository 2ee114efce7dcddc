package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

// fullBucket takes so many parts.
type fullBucket struct {
	rebased.Table[rebased.Row]
	left, asked *atomic.Int64
}

var errFull = errors.New("the bucket is full")

func (b fullBucket) WriteHashed(ctx context.Context, prefix string, rows []rebased.Row) (rebased.File, error) {
	b.asked.Add(1)
	if b.left.Add(-1) < 0 {
		return rebased.File{}, errFull
	}
	return b.Table.WriteHashed(ctx, prefix, rows)
}

func TestAPartThatCannotBeWrittenEndsTheConversion(t *testing.T) {
	limits := ingest.DefaultLimits()
	limits.PartRows = 10
	b := newBucket(t, limits)
	full := fullBucket{Table: b.Rows, left: new(atomic.Int64), asked: new(atomic.Int64)}
	full.left.Store(3)
	b.Rows = full
	ctx := context.Background()
	sources, err := ingest.Upload(ctx, b.objects, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 100_000)})), limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	run, err := b.Start(ctx, ingest.Import{Corpus: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = run.Convert(ctx, sources, nil); !errors.Is(err, errFull) {
		t.Fatalf("got %v, want %v", err, errFull)
	}
	if asked := full.asked.Load(); asked > 1000 {
		t.Errorf("%d parts were tried after the third", asked)
	}
}

// Parts take over each other's memory: no row of one may be seen in another, whatever the sizes.
func TestPartsDoNotShareTexts(t *testing.T) {
	limits := ingest.DefaultLimits()
	limits.PartRows = 7
	b := newBucket(t, limits)
	var lines []string
	want := map[string]string{}
	for i := range 500 {
		text := strings.Repeat(string(rune('a'+i%26)), i*i%5000*(1+100*(i%97/96)))
		lines = append(lines, fmt.Sprintf(`{"n":%d,"text":%q,"empty":""}`, i, text))
		want[fmt.Sprint(i)] = text
	}
	corpus, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": strings.Join(lines, "\n")})), 0)
	rows := b.rows(t, corpus)
	if len(rows) != len(want) {
		t.Fatalf("%d rows of %d", len(rows), len(want))
	}
	for _, row := range rows {
		if n := row.Cells[0].Text; row.Cells[1].Text != want[n] || row.Cells[2].Text != "" {
			t.Errorf("row %s is not that of the file", n)
		}
	}
}
