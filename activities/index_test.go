package activities

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index/indextest"
)

// opened notes the names that encoders are opened by.
type opened struct {
	branches
	names []string
}

func (o *opened) Open(_ context.Context, name string) (rebased.Encoder, error) {
	o.names = append(o.names, name)
	return indextest.Encoder{Size: 24}, nil
}

func TestARunOfAnIndexCanStayWithTheCommitThatItBeganWith(t *testing.T) {
	for _, old := range []bool{false, true} {
		w, encoders := indextest.NewWorld(), &opened{}
		corpus := w.Import(t, "hub", "r1", indextest.NewSplit(rebased.Dataset{DatasetID: rebased.DatasetID{Name: "a"}}, 1, []rebased.Cell{{Column: "text", Text: "one"}}))
		body, err := json.Marshal(corpus)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Objects.Put(t.Context(), rebased.CorpusManifestKey("hub"), body); err != nil {
			t.Fatal(err)
		}
		a := &Index{Objects: w.Objects, Rows: w.Rows, Datasets: w.Datasets, Writer: w.Index, Server: pings{}, Encoders: encoders}
		begun, err := a.begin(t.Context(), IndexBeginInput{Corpus: "hub", Encoder: "static:hf://a/b"})
		if err != nil {
			t.Fatal(err)
		}
		name, want := begun.Encoder, "static:hf://a/b@c0ffee"
		if name != want || begun.Current {
			t.Errorf("the begin hands on %+v, want the encoder %s", begun, want)
		}
		if old { // a run that began before names were handed on
			name = "static:hf://a/b"
		}
		part := IndexPartInput{Corpus: "hub", Revision: "r1", Encoder: name, Index: begun.Index, Plan: begun.Plan}
		if _, err := a.part(t.Context(), part, 0, false, func(int) {}); err != nil {
			t.Error(err)
		}
		if err := a.finish(t.Context(), IndexFinishInput{Corpus: "hub", Revision: "r1", Encoder: name, Plan: begun.Plan}); err != nil {
			t.Error(err)
		}
		if got := []string{want, name, name}; !slices.Equal(encoders.names, got) {
			t.Errorf("opened %q, want %q", encoders.names, got)
		}
	}
}

type pings struct{}

func (pings) Ping(context.Context) error { return nil }
