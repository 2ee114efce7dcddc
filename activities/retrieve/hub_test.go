package retrieve_test

import (
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
	"github.com/rebased/rebased/infra/encoder/static"
)

func newHubWorld(t testing.TB) *indextest.World {
	t.Helper()
	w := indextest.NewWorld()
	encoder, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	w.Encoder = encoder
	return w
}

// TestRankEqualsAPlainLoopOnRealRows ranks all rows for a real task with the embedded encoder.
func TestRankEqualsAPlainLoopOnRealRows(t *testing.T) {
	h := indextest.OpenHub(t)
	w := newHubWorld(t)
	corpus := w.Import(t, "hub", "r1", h.Splits...)
	record := w.Update(t, corpus)
	l := &loop{t: t, encoder: w.Encoder, cache: make(map[string][]float32)}
	task := h.Task(t, "squad")
	paper := l.rank(task, h.Splits, all)
	for _, mode := range []string{rebased.ModePaper, rebased.ModeDiverse} {
		task.Retrieve.Mode = mode
		counting := &rounding{Index: w.Index}
		got := rank(t, w, counting, task, corpus, record)
		if mode == rebased.ModePaper {
			check(t, got, paper, task.Retrieve.Rows)
		} else {
			checkDiverse(t, got, paper, task.Retrieve.MaxPerDataset, task.Retrieve.Rows)
		}
		t.Logf("mode %s: %d candidates from %d hits of %d rows, vectors of %d rows read, skipped %v",
			mode, len(got.Candidates), counting.hits, len(paper), counting.reads, got.Skipped)
	}
}
