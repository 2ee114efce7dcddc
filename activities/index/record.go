package index

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rebased/rebased"
)

// Begin marks the index of a corpus as being brought to a revision, and makes its collections where they are missing. The record it returns
// has an empty Updating when the index holds the revision already: then there is nothing to do. Until Finish nothing can be retrieved.
// An update that another run left behind is taken over. Conflict: somebody else wrote the record at the same moment.
func (x *Indexer) Begin(ctx context.Context, corpus rebased.Corpus) (rebased.Index, error) {
	record, etag, err := x.record(ctx, corpus.Name)
	if err != nil {
		return rebased.Index{}, err
	}
	if record.Revision == corpus.Revision && record.Updating == "" {
		held, err := x.holds(ctx, record.Collection, corpus)
		if err != nil || held {
			return record, err
		}
	}
	if err := x.writer.Ensure(ctx, record.Collection, record.Dimensions); err != nil {
		return rebased.Index{}, fmt.Errorf("make the index of %s: %w", corpus.Name, err)
	}
	if record.Updating == corpus.Revision {
		return record, nil
	}
	record.Updating = corpus.Revision
	return record, x.write(ctx, corpus.Name, record, etag)
}

// Finish ends an update: it removes the points of parts that the revision does not name, writes the descriptions and marks the revision as
// indexed. It does nothing more when that has been done. Conflict: the update is not this revision's, or parts are missing.
func (x *Indexer) Finish(ctx context.Context, corpus rebased.Corpus) (rebased.Index, error) {
	record, etag, err := x.record(ctx, corpus.Name)
	if err != nil {
		return rebased.Index{}, err
	}
	if record.Revision == corpus.Revision && record.Updating == "" {
		return record, nil
	}
	if record.Updating != corpus.Revision {
		return rebased.Index{}, rebased.E(rebased.Conflict, "index of %s is being brought to revision %q, not to %s: run `rebased index %s` again",
			corpus.Name, record.Updating, corpus.Revision, corpus.Name)
	}
	if err := x.prune(ctx, record.Collection, corpus); err != nil {
		return rebased.Index{}, err
	}
	if err := x.describe(ctx, record.Collection, corpus); err != nil {
		return rebased.Index{}, err
	}
	record.Revision, record.Updating = corpus.Revision, ""
	return record, x.write(ctx, corpus.Name, record, etag)
}

// record reads the record of a corpus's index; where there is none, a new one and an empty etag.
func (x *Indexer) record(ctx context.Context, corpus string) (rebased.Index, string, error) {
	fresh := rebased.Index{
		Collection: Collection(corpus, x.encoder.Identity()),
		Encoder:    x.encoder.Identity(),
		Dimensions: x.encoder.Dimensions(),
	}
	key := rebased.CorpusIndexKey(corpus, fresh.Collection)
	body, etag, err := x.objects.Get(ctx, key)
	if rebased.KindOf(err) == rebased.NotFound {
		return fresh, "", nil
	}
	if err != nil {
		return rebased.Index{}, "", fmt.Errorf("read the record of the index: %w", err)
	}
	var record rebased.Index
	if err := json.Unmarshal(body, &record); err != nil {
		return rebased.Index{}, "", rebased.E(rebased.Invalid, "read the record of the index %s: %w", key, err)
	}
	return record, etag, nil
}

// write stores a record if it is still the one that was read.
func (x *Indexer) write(ctx context.Context, corpus string, record rebased.Index, etag string) error {
	body, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode the record of the index: %w", err)
	}
	key := rebased.CorpusIndexKey(corpus, record.Collection)
	if etag == "" {
		_, err = x.objects.PutIfAbsent(ctx, key, body)
	} else {
		_, err = x.objects.PutIfMatch(ctx, key, etag, body)
	}
	if err != nil {
		return fmt.Errorf("write the record of the index: %w", err)
	}
	return nil
}

// holds reports whether the index has as many points as the corpus has rows; the server's data may be gone while the record stands.
func (x *Indexer) holds(ctx context.Context, collection string, corpus rebased.Corpus) (bool, error) {
	points, err := x.writer.Count(ctx, collection)
	if rebased.KindOf(err) == rebased.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("count the index of %s: %w", corpus.Name, err)
	}
	return points == corpus.RowCount(), nil
}

// prune removes what the revision does not name and checks that all it names is there.
func (x *Indexer) prune(ctx context.Context, collection string, corpus rebased.Corpus) error {
	kept := make(map[rebased.RowKey]struct{}, corpus.RowCount())
	for _, part := range corpus.Parts {
		ids, err := rebased.ReadPartIDs(ctx, x.objects, x.rows, part.File)
		if err != nil {
			return err
		}
		for _, id := range ids {
			kept[id] = struct{}{}
		}
	}
	var gone []rebased.RowKey
	for id, err := range x.writer.IDs(ctx, collection, rebased.RowKey{}) {
		if err != nil {
			return fmt.Errorf("list the index of %s: %w", corpus.Name, err)
		}
		if _, ok := kept[id]; !ok {
			gone = append(gone, id)
		}
	}
	if err := x.writer.Delete(ctx, collection, gone); err != nil {
		return fmt.Errorf("remove old rows from the index of %s: %w", corpus.Name, err)
	}
	points, err := x.writer.Count(ctx, collection)
	if err != nil {
		return fmt.Errorf("count the index of %s: %w", corpus.Name, err)
	}
	if want := corpus.RowCount(); points != want {
		return rebased.E(rebased.Conflict, "index of %s has %d points for %d rows: run `rebased index %s` again", corpus.Name, points, want, corpus.Name)
	}
	return nil
}

// describe encodes the descriptions of the corpus's datasets. The text is name, configuration and description: two configurations of a
// dataset often share the description, and some datasets have none.
func (x *Indexer) describe(ctx context.Context, collection string, corpus rebased.Corpus) error {
	datasets, err := x.datasets.Read(ctx, corpus.Datasets.Key)
	if err != nil {
		return fmt.Errorf("read the datasets of %s: %w", corpus.Name, err)
	}
	texts := make([]string, len(datasets))
	for i, d := range datasets {
		texts[i] = cut(d.Name + "\n" + d.Config + "\n" + d.Description)
	}
	vectors, err := x.encode(ctx, texts, func() {})
	if err != nil {
		return fmt.Errorf("encode the descriptions of %s: %w", corpus.Name, err)
	}
	descriptions := make([]Description, len(datasets))
	for i, d := range datasets {
		descriptions[i] = Description{Dataset: d.DatasetID, Vector: vectors[i]}
	}
	if err := x.writer.ReplaceDescriptions(ctx, collection, descriptions); err != nil {
		return fmt.Errorf("write the descriptions of %s: %w", corpus.Name, err)
	}
	return nil
}
