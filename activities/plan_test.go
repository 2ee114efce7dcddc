package activities

import (
	"context"
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

// branches are encoders whose models have one commit.
type branches struct{ Encoders }

func (branches) Resolve(_ context.Context, name string) (string, error) {
	model, revision, _ := strings.Cut(name, "@")
	switch {
	case !strings.Contains(model, "hf://") || revision == "c0ffee":
		return name, nil
	case strings.HasSuffix(model, "/none"):
		return "", rebased.E(rebased.NotFound, "the hub has no model %s", model)
	}
	return model + "@c0ffee", nil
}

func TestAFrozenTaskNamesItsModelsByTheirCommits(t *testing.T) {
	for _, c := range []struct{ encoder, better, wantEncoder, wantBetter, refused string }{
		{"static", "", "static", "", ""},
		{"static", "openai:m", "static", "openai:m", ""},
		{"static:hf://a/b", "transformer:hf://a/c@main", "static:hf://a/b@c0ffee", "transformer:hf://a/c@c0ffee", ""},
		{"transformer:hf://a/b", "transformer:hf://a/b@main", "", "", "retrieve.rerank.encoder: must be another"},
		{"static:hf://a/none", "", "", "", "encoder static:hf://a/none: "},
		{"static", "static:hf://a/none", "", "", "retrieve.rerank.encoder static:hf://a/none: "},
	} {
		r := rebased.Retrieve{Encoder: c.encoder}
		if c.better != "" {
			r.Rerank = &rebased.Rerank{Encoder: c.better}
		}
		task := rebased.Task{Retrieve: r}
		err := (&Plan{Encoders: branches{}}).pin(t.Context(), &task)
		r = task.Retrieve
		switch {
		case c.refused != "":
			if err == nil || !strings.HasPrefix(err.Error(), c.refused) || rebased.KindOf(err) == "" {
				t.Errorf("%s and %s: got %v, want %q", c.encoder, c.better, err, c.refused)
			}
		case err != nil || r.Encoder != c.wantEncoder || c.better != "" && r.Rerank.Encoder != c.wantBetter:
			t.Errorf("%s and %s became %+v, %+v, %v", c.encoder, c.better, r, r.Rerank, err)
		}
	}
}
