package retrieve_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/activities/retrieve"
)

type hashing struct {
	retrieve.Index
	rows        map[rebased.RowID]rebased.Row
	reads, hits int
}

func (h *hashing) Query(ctx context.Context, q retrieve.Query) ([]retrieve.Hit, error) {
	x, err := h.Index.Query(ctx, q)
	h.hits += len(x)
	return x, err
}

func (h *hashing) Rows(ctx context.Context, c string, ids []rebased.RowID) (map[rebased.RowID]retrieve.Stored, error) {
	out, err := h.Index.Rows(ctx, c, ids)
	h.reads += len(ids)
	return out, err
}

func TestDiverseBesidePaper(t *testing.T) {
	h := indextest.OpenHub(t)
	w := newHubWorld(t)
	corpus := w.Import(t, "hub", "r1", h.Splits...)
	record := w.Update(t, corpus)
	idx := &hashing{Index: w.Index, rows: map[rebased.RowID]rebased.Row{}}
	for _, s := range h.Splits {
		for _, p := range s.Parts {
			for _, r := range p {
				idx.rows[r.ID] = r
			}
		}
	}
	files, _ := filepath.Glob(filepath.Join(os.Getenv("REBASED_TEST_DATA"), "tasks", "*.json"))
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		task := h.Task(t, name)
		for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
			task.Retrieve.Mode = mode
			idx.reads, idx.hits = 0, 0
			got := rank(t, w, idx, task, corpus, record)
			sets, scores, said, inf := map[string]int{}, map[float32]bool{}, map[string]int{}, map[string]int{}
			most := 0
			outs := map[string]int{}
			for _, c := range got.Candidates {
				sets[c.Dataset.Name]++
				most = max(most, sets[c.Dataset.Name])
				scores[c.Total] = true
				seen := map[string]bool{}
				seenInf := map[string]bool{}
				for _, x := range c.Cells {
					n := strings.ToLower(strings.Join(strings.Fields(x.Text), " "))
					seen[n] = true
					if len(n) > 15 {
						seenInf[n] = true
					}
					if x.Column == c.OutColumn {
						outs[n]++
					}
				}
				said[fmt.Sprint(seen)]++
				inf[fmt.Sprint(seenInf)]++
			}
			topOut, topN := "", 0
			for k, n := range outs {
				if n > topN {
					topOut, topN = k, n
				}
			}
			dup := len(got.Candidates) - len(said)
			t.Logf("%-40s %-8s n %d sets %3d most %4d scores %4d dup %4d infdup %4d reads %5d hits %6d range %.3f..%.3f skipped %v topOut %d %.40q", name, mode, len(got.Candidates), len(sets), most, len(scores), dup, len(got.Candidates)-len(inf), idx.reads, idx.hits, got.Candidates[0].Total, got.Candidates[len(got.Candidates)-1].Total, got.Skipped, topN, topOut)
		}
	}
}
