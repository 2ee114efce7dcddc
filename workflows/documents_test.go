package workflows_test

import (
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
	"github.com/rebased/rebased/workflows"
)

func TestAnImportSplitsAColumnOfDocuments(t *testing.T) {
	w := newWorld()
	body := []byte(`{"id":1,"title":"Ada","body":"# Life\nLondon.\n# Work\nNotes."}` + "\n")
	if _, err := w.objects.Put(t.Context(), "uploads/0", body); err != nil {
		t.Fatal(err)
	}
	key, err := ingest.WriteSources(t.Context(), w.objects, []rebased.Source{{
		Path: "wiki.jsonl", Key: "uploads/0", SHA256: sha(body), Size: int64(len(body)), DatasetID: rebased.DatasetID{Name: "wiki", Config: "default", Split: "train"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	in := workflows.ImportInput{Corpus: "hub", SourcesKey: key, Documents: "body"}
	out, err := run[workflows.ImportResult](t, w.environment(t), workflows.ImportID("hub"), workflows.ImportCorpusName, in)
	if err != nil || out.Rows != 2 || out.Bad != 0 || out.BadKey == "" {
		t.Errorf("%+v: %v; want 2 passages, and a note of what was left out", out, err)
	}
}
