package rebased_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

func TestACorpusIsReadAtItsCurrentAndAtAGivenRevision(t *testing.T) {
	objects := mem.NewObjects()
	put := func(key, body string) {
		if _, err := objects.Put(t.Context(), key, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	put(rebased.CorpusManifestKey("hub"), `{"corpus": "hub", "revision": "new", "parts": [{"key": "k", "rows": 2, "dataset": {"dataset": "a/b", "config": "c", "split": "s"}}]}`)
	put(rebased.CorpusRevisionKey("hub", "old"), `{"corpus": "hub", "revision": "old"}`)

	got, err := rebased.ReadCorpus(t.Context(), objects, "hub")
	want := rebased.Corpus{Name: "hub", Revision: "new", Parts: []rebased.Part{
		{File: rebased.File{Key: "k", Rows: 2}, Dataset: rebased.DatasetID{Name: "a/b", Config: "c", Split: "s"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if old, err := rebased.ReadCorpusRevision(t.Context(), objects, "hub", "old"); err != nil || old.Revision != "old" {
		t.Errorf("got %+v, %v", old, err)
	}
}

func TestACorpusThatWasNeverImportedSaysWhatToDo(t *testing.T) {
	_, err := rebased.ReadCorpus(t.Context(), mem.NewObjects(), "hub")
	if rebased.KindOf(err) != rebased.NotFound || !strings.Contains(err.Error(), "rebased corpus import hub") {
		t.Errorf("got %v", err)
	}
}

func TestADamagedCorpusIsInvalidAndNamesItsKey(t *testing.T) {
	objects := mem.NewObjects()
	if _, err := objects.Put(t.Context(), rebased.CorpusManifestKey("hub"), []byte(`{"corpus": `)); err != nil {
		t.Fatal(err)
	}
	_, err := rebased.ReadCorpus(t.Context(), objects, "hub")
	if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), "corpora/hub/manifest.json") {
		t.Errorf("got %v", err)
	}
}

func TestANameThatLeavesTheFolderOfCorporaIsRefused(t *testing.T) {
	objects := mem.NewObjects()
	if _, err := objects.Put(t.Context(), "builds/squad/manifest.json", []byte(`{"corpus": "x"}`)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../builds/squad", "..", "", "a/b"} {
		if _, err := rebased.ReadCorpus(t.Context(), objects, name); rebased.KindOf(err) != rebased.Invalid {
			t.Errorf("corpus %q: got %v, want it refused", name, err)
		}
	}
}
