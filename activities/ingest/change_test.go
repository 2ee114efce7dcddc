package ingest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

func TestAnImportTellsWhichRowsCameAndWent(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	files := map[string]string{"a.jsonl": numbered(0, 20), "b.jsonl": numbered(0, 20), "c.jsonl": numbered(0, 3), "d.jsonl": numbered(0, 5)}
	first, _ := b.load(t, discover(t, tree(t, files)), 0)
	if _, err := rebased.ReadDifference(t.Context(), b.objects, "test", first.Revision); rebased.KindOf(err) != rebased.NotFound {
		t.Errorf("a first import told of changes: %v", err)
	}
	files["a.jsonl"] = strings.Replace(files["a.jsonl"], `"n":7}`, `"n":70}`, 1)
	files["c.jsonl"] = numbered(10, 14)
	files["e.jsonl"] = numbered(0, 2)
	delete(files, "d.jsonl")
	second, converted := b.load(t, discover(t, tree(t, files)), 0)
	d, err := rebased.ReadDifference(t.Context(), b.objects, "test", second.Revision)
	if err != nil || d.From != first.Revision || d.To != second.Revision || len(d.Splits) != 2 {
		t.Fatalf("got %+v, %v; want the change of two splits", d, err)
	}
	a, c := d.Splits[0], d.Splits[1]
	seven := rebased.NewRowID(a.Dataset, []rebased.Cell{{Column: "n", Text: "7"}}, 0)
	if key, _ := seven.Key(); string(a.Gone) != string(key[:]) {
		t.Errorf("of a %x went, want row 7", a.Gone)
	}
	if len(a.Came) != 1 || len(a.Came[0].Rows) != 1 || a.Came[0].Rows[0] != 7 || !a.Came[0].Copied || a.Came[0].All || len(a.Went) != 1 {
		t.Errorf("a changed as %+v, want one part with a new row 7", a)
	}
	if len(c.Gone) != 3*16 || len(c.Came) != 1 || !c.Came[0].All || c.Came[0].Copied {
		t.Errorf("c changed as %+v, want one part wholly new, and three rows gone", c)
	}
	for _, split := range converted {
		if name := split.Dataset.Name; (name == "b" || name == "e") && split.Change != nil {
			t.Errorf("%s is said to have changed", name)
		}
	}
}

func TestWhatChangedLeavesTheBucketAfterTheGrace(t *testing.T) {
	h := newHistory(t)
	var keys []string
	for n := range 3 {
		revision, _ := h.load(t, map[string]string{"a.jsonl": numbered(n, 30+n)})
		keys = append(keys, rebased.CorpusDifferenceKey("test", revision))
		h.put(t, rebased.CorpusCopiesPrefix("test")+string(rune('0'+n)), "rows")
		h.now = h.now.Add(time.Hour)
	}
	h.wantThere(t, true, keys[1:]...)
	h.sweep(t)
	h.wantThere(t, true, keys[1:]...)
	d, err := rebased.ReadDifference(t.Context(), h.objects, "test", strings.TrimSuffix(strings.TrimPrefix(keys[2], "corpora/test/differences/"), ".json"))
	if err != nil {
		t.Fatal(err)
	}
	d.Splits[0].Copies = rebased.CorpusCopiesPrefix("test") + "1"
	if err := rebased.PutDifference(t.Context(), h.objects, "test", d); err != nil {
		t.Fatal(err)
	}
	h.put(t, "corpora/test/differences/default/train/part-x.parquet", "of a dataset that is called differences, and needed by none")
	h.now = h.now.Add(8 * day)
	h.sweep(t)
	h.wantThere(t, true, keys[2], d.Splits[0].Copies)
	h.wantThere(t, false, keys[1], rebased.CorpusCopiesPrefix("test")+"0", rebased.CorpusCopiesPrefix("test")+"2")
}
