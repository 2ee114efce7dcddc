package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/rebased/rebased"
)

// Begin plans how the index of a corpus comes to a revision, and marks it as being brought there. The record it returns names the collection
// that Batch writes to. Its Updating is empty when the index holds the revision already: then the plan is empty and there is nothing to do. Until
// Finish nothing can be retrieved. An update that another run left behind is taken over: what it wrote stays.
//
// With rebuild the index is made anew in a collection beside, and goes on serving the revision it has until Finish; a rebuild that was left
// behind is gone on with. Conflict: somebody else wrote the record at the same moment.
func (x *Indexer) Begin(ctx context.Context, corpus rebased.Corpus, rebuild bool) (rebased.Index, Plan, error) {
	record, etag, err := x.record(ctx, corpus.Name)
	if err != nil {
		return rebased.Index{}, Plan{}, err
	}
	if rebuild {
		return x.beginBeside(ctx, corpus, record, etag)
	}
	known, plan, err := x.plan(ctx, corpus, record)
	if err != nil || known && record.Revision == corpus.Revision {
		return record, Plan{}, err
	}
	before := record
	record.Updating = corpus.Revision
	if !known {
		record.Described = "" // what the server has lost may be that
	}
	if record != before {
		err = x.write(ctx, corpus.Name, record, etag)
	}
	return record, plan, err
}

// plan finds out what is to be done. known: the index holds the revision that its record names; nothing is to be done when that is the corpus's.
func (x *Indexer) plan(ctx context.Context, corpus rebased.Corpus, record rebased.Index) (known bool, plan Plan, err error) {
	from, known, err := x.base(ctx, corpus, record)
	if err != nil || known && from.Revision == corpus.Revision {
		return known, Plan{}, err
	}
	if known {
		work, gone, err := x.difference(ctx, from, corpus)
		if rebased.KindOf(err) != rebased.NotFound { // else files of the old revision are gone
			return true, newPlan(corpus, work, gone), err
		}
	}
	plan, err = x.inspect(ctx, corpus, record.Collection, record.Dimensions)
	return false, plan, err
}

// base gives the revision that the index holds; not known: an update was left behind, the revision's record is gone, or the server has lost
// rows or descriptions.
func (x *Indexer) base(ctx context.Context, corpus rebased.Corpus, record rebased.Index) (from rebased.Corpus, known bool, err error) {
	if record.Updating != "" || record.Revision == "" {
		return rebased.Corpus{}, false, nil
	}
	if from = corpus; record.Revision != corpus.Revision {
		from, err = rebased.ReadCorpusRevision(ctx, x.objects, corpus.Name, record.Revision)
		if rebased.KindOf(err) == rebased.NotFound {
			return rebased.Corpus{}, false, nil
		}
		if err != nil {
			return rebased.Corpus{}, false, err
		}
	}
	if known, err = x.holds(ctx, record.Collection, from); !known || err != nil {
		return from, false, err
	}
	n, err := x.writer.CountDescriptions(ctx, record.Collection)
	if err != nil && rebased.KindOf(err) != rebased.NotFound {
		return from, false, fmt.Errorf("count the descriptions of %s: %w", corpus.Name, err)
	}
	return from, err == nil && n == from.Datasets.Rows, nil
}

// inspect plans from what the index really holds; it makes the collection where there is none.
func (x *Indexer) inspect(ctx context.Context, corpus rebased.Corpus, collection string, dimensions int) (Plan, error) {
	if err := x.writer.Ensure(ctx, collection, dimensions); err != nil {
		return Plan{}, fmt.Errorf("make the index of %s: %w", corpus.Name, err)
	}
	points, err := x.writer.Count(ctx, collection)
	if err != nil {
		return Plan{}, fmt.Errorf("count the index of %s: %w", corpus.Name, err)
	}
	if points == 0 {
		return newPlan(corpus, all(corpus), nil), nil
	}
	work, gone, err := x.survey(ctx, collection, corpus, surveyRows)
	return newPlan(corpus, work, gone), err
}

func (x *Indexer) beginBeside(ctx context.Context, corpus rebased.Corpus, record rebased.Index, etag string) (rebased.Index, Plan, error) {
	before := record
	if record.Beside == "" {
		record.Beside = after(record.Alias, record.Collection)
	}
	record.BesideRevision = corpus.Revision
	plan, err := x.inspect(ctx, corpus, record.Beside, record.Dimensions)
	if err == nil && record != before {
		err = x.write(ctx, corpus.Name, record, etag)
	}
	record.Collection, record.Updating = record.Beside, corpus.Revision
	return record, plan, err
}

// Finish ends an update: it removes the rows that are gone, writes the descriptions, proves that the index holds the revision and marks it
// so. Rows that are missing or too many all the same it writes and removes. A rebuild takes the place of the collection before, which is
// dropped. It does nothing more when that has been done. Conflict: the update is not this revision's.
func (x *Indexer) Finish(ctx context.Context, corpus rebased.Corpus, plan Plan, rebuild bool) (rebased.Index, error) {
	record, etag, err := x.record(ctx, corpus.Name)
	if err != nil {
		return rebased.Index{}, err
	}
	under, target := record.Updating, record.Collection
	if rebuild {
		under, target = record.BesideRevision, record.Beside
	}
	switch {
	case record.Revision == corpus.Revision && under == "":
		return x.drop(ctx, corpus, record, etag)
	case under != corpus.Revision:
		return rebased.Index{}, rebased.E(rebased.Conflict, "index of %s is being brought to revision %q, not to %s: run `rebased index %s` again",
			corpus.Name, under, corpus.Revision, corpus.Name)
	}
	described, err := x.complete(ctx, corpus, record, target, plan.gone())
	if err != nil {
		return rebased.Index{}, err
	}
	record.Described = described
	if record.Revision == "" {
		if err := x.forget(ctx, corpus.Name); err != nil {
			return rebased.Index{}, err
		}
	}
	if rebuild {
		if record.Left != "" { // a rebuild before was broken off when it dropped what it had replaced
			if err := x.writer.Drop(ctx, record.Left); err != nil {
				return rebased.Index{}, fmt.Errorf("drop the index of %s before: %w", corpus.Name, err)
			}
		}
		record.Left, record.Collection, record.Beside, record.BesideRevision = record.Collection, record.Beside, "", ""
	}
	record.Revision, record.Updating = corpus.Revision, ""
	if err := x.write(ctx, corpus.Name, record, etag); err != nil || record.Left == "" {
		return record, err
	}
	record, etag, err = x.record(ctx, corpus.Name)
	if err != nil {
		return rebased.Index{}, err
	}
	return x.drop(ctx, corpus, record, etag)
}

// complete makes a collection hold the revision and no more, and says which descriptions it has.
func (x *Indexer) complete(ctx context.Context, corpus rebased.Corpus, record rebased.Index, collection string, gone []rebased.RowKey) (described string, err error) {
	if err := x.remove(ctx, corpus, collection, gone); err != nil {
		return "", err
	}
	held, err := x.holds(ctx, collection, corpus)
	if err != nil {
		return "", err
	}
	if !held {
		if err := x.repair(ctx, corpus, record, collection); err != nil {
			return "", err
		}
	}
	if held && collection == record.Collection {
		described = record.Described
	}
	if described, err = x.describe(ctx, collection, corpus, described); err != nil {
		return "", err
	}
	if err := x.writer.Alias(ctx, record.Alias, collection); err != nil {
		return "", fmt.Errorf("name the index of %s %s: %w", corpus.Name, record.Alias, err)
	}
	return described, nil
}

func (x *Indexer) remove(ctx context.Context, corpus rebased.Corpus, collection string, gone []rebased.RowKey) error {
	if len(gone) == 0 {
		return nil
	}
	if err := x.writer.Delete(ctx, collection, gone); err != nil {
		return fmt.Errorf("remove old rows from the index of %s: %w", corpus.Name, err)
	}
	return nil
}

// repair compares the index with the corpus row by row and makes them one.
func (x *Indexer) repair(ctx context.Context, corpus rebased.Corpus, record rebased.Index, collection string) error {
	work, gone, err := x.survey(ctx, collection, corpus, surveyRows)
	if err != nil {
		return err
	}
	if err := x.remove(ctx, corpus, collection, gone); err != nil {
		return err
	}
	record.Collection = collection
	if _, err := x.Batch(ctx, record, Batch{Corpus: corpus, Work: work}, func(int) {}); err != nil {
		return err
	}
	held, err := x.holds(ctx, collection, corpus)
	if err != nil {
		return err
	}
	if !held {
		return rebased.E(rebased.Conflict, "index of %s does not hold the %d rows of %s after a repair: another run may be writing to it; run `rebased index %s` again",
			corpus.Name, corpus.RowCount(), corpus.Revision, corpus.Name)
	}
	return nil
}

// drop removes the collection that a rebuild has replaced. Builds that are reading it find out that the index is another one, and begin again.
func (x *Indexer) drop(ctx context.Context, corpus rebased.Corpus, record rebased.Index, etag string) (rebased.Index, error) {
	if record.Left == "" {
		return record, nil
	}
	if err := x.writer.Drop(ctx, record.Left); err != nil {
		return rebased.Index{}, fmt.Errorf("drop the index of %s before: %w", corpus.Name, err)
	}
	record.Left = ""
	return record, x.write(ctx, corpus.Name, record, etag)
}

// forget removes the index of the layout before, which nothing reads any more.
func (x *Indexer) forget(ctx context.Context, corpus string) error {
	name := alias(corpus, x.encoder.Identity(), layoutBefore)
	key := rebased.CorpusIndexKey(corpus, name)
	if _, _, err := x.objects.Get(ctx, key); err != nil {
		if rebased.KindOf(err) == rebased.NotFound {
			return nil
		}
		return fmt.Errorf("read the record of the index before: %w", err)
	}
	if err := x.writer.Drop(ctx, name); err != nil {
		return fmt.Errorf("drop the index before: %w", err)
	}
	return x.objects.Delete(ctx, key)
}

// record reads the record of a corpus's index; where there is none, a new one and an empty etag.
func (x *Indexer) record(ctx context.Context, corpus string) (rebased.Index, string, error) {
	name := Alias(corpus, x.encoder.Identity())
	fresh := rebased.Index{
		Alias:      name,
		Collection: generation(name, 1),
		Encoder:    x.encoder.Identity(),
		Dimensions: x.encoder.Dimensions(),
	}
	key := rebased.CorpusIndexKey(corpus, name)
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
	key := rebased.CorpusIndexKey(corpus, record.Alias)
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

// describe encodes the descriptions of the corpus's datasets, unless they are those that are there. The text is name, configuration and
// description: two configurations of a dataset often share the description, and some datasets have none.
func (x *Indexer) describe(ctx context.Context, collection string, corpus rebased.Corpus, before string) (described string, err error) {
	datasets, err := x.datasets.Read(ctx, corpus.Datasets.Key)
	if err != nil {
		return "", fmt.Errorf("read the datasets of %s: %w", corpus.Name, err)
	}
	texts, sum := make([]string, len(datasets)), sha256.New()
	for i, d := range datasets {
		texts[i] = d.Text()
		fmt.Fprintf(sum, "%q %q %q %q\n", d.Name, d.Config, d.Split, texts[i])
	}
	if described = hex.EncodeToString(sum.Sum(nil)); described == before {
		return described, nil
	}
	vectors, err := x.encode(ctx, texts, func() {})
	if err != nil {
		return "", fmt.Errorf("encode the descriptions of %s: %w", corpus.Name, err)
	}
	descriptions := make([]Description, len(datasets))
	for i, d := range datasets {
		descriptions[i] = Description{Dataset: d.DatasetID, Vector: vectors[i]}
	}
	if err := x.writer.ReplaceDescriptions(ctx, collection, descriptions); err != nil {
		return "", fmt.Errorf("write the descriptions of %s: %w", corpus.Name, err)
	}
	return described, nil
}
