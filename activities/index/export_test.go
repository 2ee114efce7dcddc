package index

import (
	"context"

	"github.com/rebased/rebased"
)

// Survey is survey, for tests that cannot wait for millions of rows.
func (x *Indexer) Survey(ctx context.Context, collection string, corpus rebased.Corpus, atOnce int) ([]Work, []rebased.RowKey, error) {
	return x.survey(ctx, collection, corpus, atOnce)
}
