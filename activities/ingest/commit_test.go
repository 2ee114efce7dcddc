package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

func TestAFolderBecomesACorpus(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	folder := discover(t, tree(t, map[string]string{
		"b/train.jsonl":  "{\"a\":\"x\"}\n{\"a\":\"y\"}\n",
		"a/cfg.csv":      "q\nwhat\n",
		"datasets.jsonl": `{"dataset":"b","description":"Letters.","license":"mit"}`,
	}))
	corpus, converted := b.load(t, folder, 0)
	ctx := context.Background()
	if read, err := rebased.ReadCorpus(ctx, b.objects, "test"); err != nil || fmt.Sprint(read) != fmt.Sprint(corpus) {
		t.Errorf("read back %+v: %v", read, err)
	}
	if read, err := rebased.ReadCorpusRevision(ctx, b.objects, "test", corpus.Revision); err != nil || fmt.Sprint(read) != fmt.Sprint(corpus) {
		t.Errorf("read back by revision %+v: %v", read, err)
	}
	datasets, err := b.Datasets.Read(ctx, corpus.Datasets.Key)
	if err != nil || len(datasets) != 2 {
		t.Fatalf("datasets %v: %v", datasets, err)
	}
	d := datasets[1]
	if d.String() != "b/default/train" || d.Description != "Letters." || d.License != "mit" || d.Rows != 2 || len(d.Revision) != 64 {
		t.Errorf("dataset %+v", d)
	}
	rows := b.rows(t, corpus)
	if texts(rows) != "what x y" || rows[1].Dataset != d.DatasetID {
		t.Errorf("rows %+v", rows)
	}
	for _, c := range converted {
		if c.Bad != 0 || c.Reused != 0 || c.Files != 1 {
			t.Errorf("%+v", c)
		}
	}
	if _, err := rebased.ReadCorpus(ctx, b.objects, "other"); rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), "rebased corpus import other") {
		t.Errorf("an unknown corpus: %v", err)
	}
}

func TestTheSameContentIsTheSameRevisionAndWritesNothing(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	folder := discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 3)}))
	first, _ := b.load(t, folder, 0)
	before := b.keys(t, "")
	imp, converted := b.convert(t, folder, 0)
	second, changed, err := b.Commit(context.Background(), imp, converted)
	if err != nil || changed || second.Revision != first.Revision || converted[0].Reused != 1 {
		t.Errorf("changed %v from %s to %s, %d reused: %v", changed, first.Revision, second.Revision, converted[0].Reused, err)
	}
	if after := b.keys(t, ""); !maps.Equal(before, after) {
		t.Errorf("the bucket changed:\n%v\n%v", before, after)
	}
}

func TestOnlyWhatChangedIsReadAgain(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	first, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 3), "b.jsonl": numbered(0, 3), "bad.jsonl": numbered(0, 3) + "x", "gone.jsonl": numbered(0, 1)})), 0)
	second, converted := b.load(t, discover(t, tree(t, map[string]string{
		"a.jsonl": numbered(0, 3), "b.jsonl": numbered(0, 4), "bad.jsonl": numbered(0, 3) + "x",
		"datasets.jsonl": `{"dataset":"a","description":"Told later."}`,
	})), 0)
	for i, want := range []int{1, 0, 0} {
		if converted[i].Reused != want {
			t.Errorf("%s: %d reused, want %d", converted[i].Dataset, converted[i].Reused, want)
		}
	}
	if converted[2].Bad != 1 {
		t.Error("the second import does not tell of the line that the first one told of")
	}
	if converted[0].Dataset.Description != "Told later." || converted[0].Dataset.Rows != 3 {
		t.Errorf("%+v", converted[0].Dataset)
	}
	if first.Revision == second.Revision || texts(b.rows(t, second)) != "0 1 2 0 1 2 3 0 1 2" {
		t.Errorf("revision %s, then %s with %s", first.Revision, second.Revision, texts(b.rows(t, second)))
	}
	if _, converted := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 3)})), 2); converted[0].Reused != 0 || converted[0].Dataset.Rows != 2 {
		t.Errorf("other options: %+v", converted[0])
	}
}

func TestAnImportThatWasOvertakenChangesNothing(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	slow, slowConverted := b.convert(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 1)})), 0)
	fast, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 2)})), 0)
	_, _, err := b.Commit(context.Background(), slow, slowConverted)
	if rebased.KindOf(err) != rebased.Conflict || !strings.Contains(err.Error(), "another import") {
		t.Errorf("got %v, want a conflict", err)
	}
	if now, err := rebased.ReadCorpus(context.Background(), b.objects, "test"); err != nil || now.Revision != fast.Revision {
		t.Errorf("the corpus stands at %s, want %s: %v", now.Revision, fast.Revision, err)
	}
}

// racer lets another import win between the reading of a manifest and its switch.

type racer struct {
	rebased.Objects
	win func()
}

func (r racer) PutIfAbsent(ctx context.Context, key string, body []byte) (string, error) {
	if key == rebased.CorpusManifestKey("test") {
		r.win()
	}
	return r.Objects.PutIfAbsent(ctx, key, body)
}

func TestTheSwitchIsACompareAndSwap(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	imp, converted := b.convert(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 1)})), 0)
	other := []byte(`{"revision":"other"}`)
	b.Objects = racer{b.objects, func() {
		if _, err := b.objects.Put(context.Background(), rebased.CorpusManifestKey("test"), other); err != nil {
			t.Fatal(err)
		}
	}}
	if _, _, err := b.Commit(context.Background(), imp, converted); rebased.KindOf(err) != rebased.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
	if body, _, err := b.objects.Get(context.Background(), rebased.CorpusManifestKey("test")); err != nil || !bytes.Equal(body, other) {
		t.Errorf("the manifest is %s: %v", body, err)
	}
}

func TestAnImportWithoutARowLeavesTheCorpusAsItIs(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	first, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 1)})), 0)
	imp, converted := b.convert(t, discover(t, tree(t, map[string]string{"a.jsonl": "x"})), 0)
	_, _, err := b.Commit(context.Background(), imp, converted)
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "a.jsonl: is not JSON") {
		t.Errorf("got %v", err)
	}
	if now, err := b.Base(context.Background(), "test"); err != nil || now != first.Revision {
		t.Errorf("the corpus stands at %s, want %s: %v", now, first.Revision, err)
	}
}

func TestTheRevisionIsNamedAfterTheContent(t *testing.T) {
	b := newBucket(t, ingest.DefaultLimits())
	corpus, _ := b.load(t, discover(t, tree(t, map[string]string{"a.jsonl": numbered(0, 2)})), 7)
	if len(corpus.Revision) != 12 || corpus.Datasets.Key != rebased.CorpusDatasetsKey("test", corpus.Revision) {
		t.Errorf("revision %q with datasets at %s", corpus.Revision, corpus.Datasets.Key)
	}
	if fmt.Sprint(corpus.Options) != "[max_rows_per_config=7 reader=3]" {
		t.Errorf("options %v", corpus.Options)
	}
	manifest, _, err := b.objects.Get(context.Background(), rebased.CorpusManifestKey("test"))
	if err != nil {
		t.Fatal(err)
	}
	revision, _, err := b.objects.Get(context.Background(), rebased.CorpusRevisionKey("test", corpus.Revision))
	if err != nil || !bytes.Equal(manifest, revision) || !json.Valid(manifest) {
		t.Errorf("manifest and revision differ: %v", err)
	}
}
