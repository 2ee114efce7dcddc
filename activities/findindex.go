package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/index"
)

// findIndex reads the record of a corpus's index for an encoder. NotFound: the corpus is not indexed, or for other encoders alone.
// Conflict: an update is under way.
func findIndex(ctx context.Context, objects rebased.Objects, corpus, encoder string) (rebased.Index, error) {
	if _, err := rebased.ReadCorpus(ctx, objects, corpus); err != nil {
		return rebased.Index{}, err
	}
	body, _, err := objects.Get(ctx, rebased.CorpusIndexKey(corpus, index.Alias(corpus, encoder)))
	if rebased.KindOf(err) == rebased.NotFound {
		return rebased.Index{}, notIndexed(ctx, objects, corpus, encoder)
	}
	if err != nil {
		return rebased.Index{}, fmt.Errorf("read the record of the index: %w", err)
	}
	var record rebased.Index
	switch err := json.Unmarshal(body, &record); {
	case err != nil:
		return rebased.Index{}, rebased.E(rebased.Invalid, "read the record of the index of %s: %w", corpus, err)
	case record.Updating != "":
		return rebased.Index{}, rebased.E(rebased.Conflict, "the index of corpus %q is being updated: wait for `rebased index %s` to end", corpus, corpus)
	}
	return record, nil
}

func notIndexed(ctx context.Context, objects rebased.Objects, corpus, encoder string) error {
	var others []string
	for object, err := range objects.List(ctx, rebased.CorpusIndexPrefix(corpus)) {
		if err != nil {
			return fmt.Errorf("list the indexes of %s: %w", corpus, err)
		}
		var record rebased.Index
		if body, _, err := objects.Get(ctx, object.Key); err == nil && json.Unmarshal(body, &record) == nil {
			others = append(others, record.Encoder)
		}
	}
	if len(others) > 0 {
		return rebased.E(rebased.NotFound, "corpus %q is indexed with encoder %s, the task asks for %s: change retrieve.encoder, or run `rebased index %s --encoder …`",
			corpus, strings.Join(others, ", "), encoder, corpus)
	}
	return rebased.E(rebased.NotFound, "corpus %q is not indexed: run `rebased index %s`", corpus, corpus)
}
