package ingest_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/infra/mem"
)

// history is a corpus whose bucket has a clock.
type history struct {
	bucket
	now time.Time
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{bucket: newBucket(t, ingest.DefaultLimits()), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.objects.Now = func() time.Time { return h.now }
	return h
}

// load imports files and gives the revision and the keys of its parts.
func (h *history) load(t *testing.T, files map[string]string) (revision string, parts []string) {
	t.Helper()
	corpus, _ := h.bucket.load(t, discover(t, tree(t, files)), 0)
	for _, part := range corpus.Parts {
		parts = append(parts, part.Key)
	}
	return corpus.Revision, parts
}

func (h *history) put(t *testing.T, key string, value any) {
	t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.objects.Put(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}

func (h *history) sweep(t *testing.T) ingest.Swept {
	t.Helper()
	out, err := h.Sweep(t.Context(), "test", "run", ingest.DefaultGrace, h.now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantThere checks which keys are in the bucket.
func (h *history) wantThere(t *testing.T, want bool, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, there := h.keys(t, "")[key]; there != want {
			t.Errorf("%s is in the bucket: %v, want %v", key, there, want)
		}
	}
}

const day = 24 * time.Hour

func TestRemovedRowsLeaveTheBucketAfterTheGrace(t *testing.T) {
	h := newHistory(t)
	first, old := h.load(t, map[string]string{"a.jsonl": numbered(0, 3), "b.jsonl": numbered(3, 6)})
	sidecar := strings.TrimSuffix(old[1], ".parquet") + ".ids"
	h.put(t, sidecar, "ids")
	h.now = h.now.Add(30 * day)
	second, parts := h.load(t, map[string]string{"a.jsonl": numbered(0, 3)})

	h.now = h.now.Add(6 * day)
	if out := h.sweep(t); out.Objects != 0 {
		t.Errorf("removed %+v six days after a revision ceased to be current", out)
	}
	h.now = h.now.Add(2 * day)
	if out := h.sweep(t); out.Revisions != 1 || out.Objects != 4 {
		t.Errorf("removed %+v, want a record, a list of datasets, a part and what stands beside it", out)
	}
	h.wantThere(t, false, old[1], sidecar, rebased.CorpusRevisionKey("test", first), rebased.CorpusDatasetsKey("test", first))
	h.wantThere(t, true, parts[0], rebased.CorpusManifestKey("test"), rebased.CorpusRevisionKey("test", second), rebased.CorpusDatasetsKey("test", second))
	if out := h.sweep(t); out != (ingest.Swept{}) {
		t.Errorf("removed %+v the second time", out)
	}
}

func TestARevisionThatAnIndexNamesStaysWhole(t *testing.T) {
	h := newHistory(t)
	var old [3][]string
	var names [3]string
	for i := range old {
		names[i], old[i] = h.load(t, map[string]string{"a.jsonl": numbered(10*i, 10*i+3)})
	}
	h.put(t, rebased.CorpusIndexKey("test", "x"), rebased.Index{Revision: names[0], Updating: names[1]})
	h.load(t, map[string]string{"a.jsonl": numbered(50, 53)})
	h.now = h.now.Add(60 * day)
	h.sweep(t)
	h.wantThere(t, true, old[0][0], old[1][0], rebased.CorpusRevisionKey("test", names[0]))
	h.wantThere(t, false, old[2][0], rebased.CorpusRevisionKey("test", names[2]))
}

func TestWhatASweepDoesNotKnowStays(t *testing.T) {
	h := newHistory(t)
	h.load(t, map[string]string{"a.jsonl": numbered(0, 3)})
	h.load(t, map[string]string{"a.jsonl": numbered(3, 6)})
	others := []string{
		"corpora/test2/a/default/train/part-x.parquet", "corpora/test/part-x", "corpora/test/a/note", "uploads/x", "responses/x", "datasets/t/v/manifest.json",
		"corpora/test/index-x/part-y", "imports/test2/r/fetched-x", "imports/test/run/batch-00000.json",
	}
	left := []string{"imports/test/run/fetched-x", "imports/test/dead/fetched-x", "imports/test/dead/batch-00000.json", "corpora/test/a/default/train/part-dead.parquet"}
	for _, key := range append(slices.Clone(others), left...) {
		h.put(t, key, "x")
	}
	h.now = h.now.Add(60 * day)
	young := []string{"imports/test/dead/malformed.jsonl", "corpora/test/a/default/train/part-young.parquet"}
	for _, key := range young {
		h.put(t, key, "x")
	}
	h.sweep(t)
	h.wantThere(t, true, append(others, young...)...)
	h.wantThere(t, false, left...)
}

func TestDatasetsMayBeCalledAsTheRecordsAre(t *testing.T) {
	h := newHistory(t)
	h.load(t, map[string]string{"a.jsonl": numbered(0, 3)})
	_, parts := h.load(t, map[string]string{"revisions/train.jsonl": numbered(0, 3), "index-a/train.jsonl": numbered(0, 3)})
	h.now = h.now.Add(60 * day)
	if out := h.sweep(t); out.Revisions != 1 {
		t.Errorf("removed %+v", out)
	}
	h.wantThere(t, true, parts...)
}

func TestASweepStopsWhenTheCorpusChanges(t *testing.T) {
	h := newHistory(t)
	_, old := h.load(t, map[string]string{"a.jsonl": numbered(0, 3), "b.jsonl": numbered(3, 6)})
	h.load(t, map[string]string{"c.jsonl": numbered(0, 3)})
	h.now = h.now.Add(60 * day)
	racing := *h.Importer
	racing.Objects = meddler{h.objects, func() { h.put(t, rebased.CorpusManifestKey("test"), "another import") }}
	out, err := racing.Sweep(t.Context(), "test", "run", ingest.DefaultGrace, h.now, nil)
	if rebased.KindOf(err) != rebased.Conflict || out.Objects != 1 {
		t.Errorf("removed %+v, %v; want it to stop at the change", out, err)
	}
	h.wantThere(t, true, old...)
}

// meddler runs something when the first object is deleted.
type meddler struct {
	*mem.Objects
	race func()
}

func (r meddler) Delete(ctx context.Context, key string) error {
	r.race()
	return r.Objects.Delete(ctx, key)
}

func TestADamagedRecordStopsTheSweep(t *testing.T) {
	h := newHistory(t)
	first, old := h.load(t, map[string]string{"a.jsonl": numbered(0, 3)})
	h.load(t, map[string]string{"c.jsonl": numbered(0, 3)})
	h.put(t, rebased.CorpusIndexKey("test", "x"), rebased.Index{Revision: first})
	h.put(t, rebased.CorpusRevisionKey("test", first), "damaged")
	h.now = h.now.Add(60 * day)
	if _, err := h.Sweep(t.Context(), "test", "run", 0, h.now, nil); rebased.KindOf(err) != rebased.Invalid {
		t.Errorf("got %v", err)
	}
	h.wantThere(t, true, old...)
}

func TestACommitWhosePartsAreGoneIsRefused(t *testing.T) {
	h := newHistory(t)
	imp, converted := h.convert(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 3)})), 0)
	if err := h.objects.Delete(t.Context(), converted[0].Parts[0].Key); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Commit(t.Context(), imp, converted); rebased.KindOf(err) != rebased.Conflict || !strings.Contains(err.Error(), "import again") {
		t.Errorf("got %v", err)
	}
	h.wantThere(t, false, rebased.CorpusManifestKey("test"))
}

func TestSplitsThatAreKeptAreReadAgainUnderOtherOptions(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	folder := discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 6)}))
	for i := range folder.Sources {
		folder.Sources[i].Origin = "hf://owner/a"
	}
	first, _ := h.bucket.load(t, folder, 0)
	if len(first.Origins) != 1 || first.Origins[0].Source != "hf://owner/a" {
		t.Fatalf("origins %+v", first.Origins)
	}
	imp := ingest.Import{Corpus: "test", Base: first.Revision, Options: ingest.Options{MaxRowsPerConfig: 3}}
	kept, failures, err := h.Keep(ctx, imp, nil, []ingest.Failure{{Source: "hf://owner/a", Error: "is down"}})
	if err != nil || len(kept) != 1 || failures[0].Kept != 1 || kept[0].Dataset.Rows != 6 || kept[0].Dataset.ETag != "" {
		t.Fatalf("%+v, %+v, %v", kept, failures, err)
	}
	second, _, err := h.Commit(ctx, imp, kept)
	if err != nil || !reflect.DeepEqual(second.Parts, first.Parts) {
		t.Fatalf("%+v, %v", second, err)
	}
	_, converted := h.convert(t, folder, 3)
	if converted[0].Reused != 0 || converted[0].Dataset.Rows != 3 {
		t.Errorf("%+v, want it read again", converted[0])
	}
}
