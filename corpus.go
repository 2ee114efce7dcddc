package rebased

import (
	"context"
	"encoding/json"
	"fmt"
)

// RowCount is the number of rows in all parts.
func (c Corpus) RowCount() (rows int) {
	for _, part := range c.Parts {
		rows += part.Rows
	}
	return rows
}

// ReadCorpus reads the current revision of a corpus. A corpus that was never imported is NotFound.
func ReadCorpus(ctx context.Context, objects Objects, name string) (Corpus, error) {
	c, err := readCorpus(ctx, objects, CorpusManifestKey(name))
	if KindOf(err) == NotFound {
		return Corpus{}, E(NotFound, "corpus %q is not there: import it with rebased corpus import %s FOLDER", name, name)
	}
	return c, err
}

// ReadCorpusRevision reads one revision of a corpus, whatever the current one is.
func ReadCorpusRevision(ctx context.Context, objects Objects, name, revision string) (Corpus, error) {
	return readCorpus(ctx, objects, CorpusRevisionKey(name, revision))
}

func readCorpus(ctx context.Context, objects Objects, key string) (c Corpus, err error) {
	body, _, err := objects.Get(ctx, key)
	if err != nil {
		return Corpus{}, fmt.Errorf("read corpus: %w", err)
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return Corpus{}, E(Invalid, "read corpus: %s: %w", key, err)
	}
	return c, nil
}
