package retrieve

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rebased/rebased"
)

// pin checks that an index holds a corpus revision, wholly and for this encoder. Unavailable: it is being updated; Conflict: it holds another
// revision by now; Invalid: it is of another encoder.
func (r *Ranker) pin(ctx context.Context, corpus rebased.Corpus, idx rebased.Index) error {
	if idx.Encoder != r.encoder.Identity() {
		return rebased.E(rebased.Invalid, "index of %s is of encoder %q, the task asks for %q: run `rebased index %s --encoder …`",
			corpus.Name, idx.Encoder, r.encoder.Identity(), corpus.Name)
	}
	key := rebased.CorpusIndexKey(corpus.Name, idx.Alias)
	body, _, err := r.objects.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read the record of the index of %s (made by `rebased index %s`): %w", corpus.Name, corpus.Name, err)
	}
	var record rebased.Index
	if err := json.Unmarshal(body, &record); err != nil {
		return rebased.E(rebased.Invalid, "read the record of the index %s: %w", key, err)
	}
	switch {
	case record.Updating != "":
		return rebased.E(rebased.Unavailable, "index of %s is being brought to revision %s: wait for `rebased index %s` to end, or run it again",
			corpus.Name, record.Updating, corpus.Name)
	case record.Collection != idx.Collection:
		return rebased.E(rebased.Unavailable, "index of %s was rebuilt meanwhile, as %s", corpus.Name, record.Collection)
	case record.Revision != corpus.Revision:
		return rebased.E(rebased.Conflict, "index of %s holds revision %s by now, not %s any more: start again", corpus.Name, record.Revision, corpus.Revision)
	}
	return nil
}
