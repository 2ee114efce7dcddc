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

// ReadCorpus reads the current revision of a corpus. A corpus that was never imported is NotFound, a name that no corpus may have Invalid: it could name
// what stands elsewhere in the bucket.
func ReadCorpus(ctx context.Context, objects Objects, name string) (Corpus, error) {
	if !ValidCorpusName(name) {
		return Corpus{}, E(Invalid, "corpus name %q: must be 1 to 63 of a-z, 0-9, '.', '_' and -, starting with a letter or digit", name)
	}
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

// PutPartIDs writes the ids of a part's rows beside it, 16 bytes each in the order of the rows.
func PutPartIDs(ctx context.Context, objects Objects, part File, rows []Row) error {
	body := make([]byte, 0, len(rows)*len(RowKey{}))
	for _, row := range rows {
		key, err := row.ID.Key()
		if err != nil {
			return err
		}
		body = append(body, key[:]...)
	}
	if _, err := objects.Put(ctx, PartIDsKey(part.Key), body); err != nil {
		return fmt.Errorf("write the ids of %s: %w", part.Key, err)
	}
	return nil
}

// ReadPartIDs gives the ids of a part's rows in their order. Where none stand beside the part, as in corpora imported before there were any,
// the part itself is read. Invalid: the part does not hold the rows it should.
func ReadPartIDs(ctx context.Context, objects Objects, rows Table[Row], part File) ([]RowKey, error) {
	body, _, err := objects.Get(ctx, PartIDsKey(part.Key))
	switch {
	case err != nil && KindOf(err) != NotFound:
		return nil, fmt.Errorf("read the ids of %s: %w", part.Key, err)
	case err == nil && len(body) == part.Rows*len(RowKey{}):
		ids := make([]RowKey, part.Rows)
		for i := range ids {
			copy(ids[i][:], body[i*len(RowKey{}):])
		}
		return ids, nil
	}
	read, err := rows.Read(ctx, part.Key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", part.Key, err)
	}
	if len(read) != part.Rows {
		return nil, E(Invalid, "%s holds %d rows, its manifest says %d: import the corpus again", part.Key, len(read), part.Rows)
	}
	ids := make([]RowKey, len(read))
	for i, row := range read {
		if ids[i], err = row.ID.Key(); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
