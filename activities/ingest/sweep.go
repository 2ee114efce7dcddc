package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// DefaultGrace is how long a revision stays whole after another one has taken its place: builds that began with it may read it for so long.
const DefaultGrace = 7 * 24 * time.Hour

// Swept is what Sweep removed.
type Swept struct {
	Revisions int   `json:"revisions"`
	Objects   int   `json:"objects"` // of parts, of revisions and of earlier runs
	Bytes     int64 `json:"bytes"`
}

// Sweep removes from the bucket what no needed revision of a corpus names: parts, with what stands beside them, and the records of old revisions; and
// what runs of the import other than the given one have left. A revision is needed when it is the current one, when an index record names it, or
// when it was current, or made, less than grace ago. An object younger than grace stays in any case.
//
// Why nothing is removed that anybody still reads. A build pins a revision while it is the current one. The record of a revision is written
// anew when it ceases to be (see retire), so its age is the time since then, and a pinned revision is whole for at least grace. An import writes and
// reuses parts before its revision is recorded. Those it writes are young. Those it reuses from its base are named by the current revision, or its
// commit fails, since another import was faster. A part that it makes again, and which an old revision has left there, is the one that could be
// missed: but imports of a corpus run one at a time, by their workflow's id, and sweep when they have committed, so no import is under way.
// Should a sweep outlive its workflow (a worker that has lost touch with Temporal), it sees that the current revision has changed, of which it makes
// sure before every removal, and stops; and a commit looks whether all of its parts are there before it switches the corpus to them (see present).
func (m *Importer) Sweep(ctx context.Context, corpus, run string, grace time.Duration, now time.Time, progress func(done int)) (Swept, error) {
	s := sweep{Importer: m, corpus: corpus, old: now.Add(-grace), progress: progress}
	current, etag, err := m.manifest(ctx, corpus)
	if err != nil || etag == "" {
		return s.out, err
	}
	s.etag = etag
	needed, err := s.revisions(ctx, current)
	if err != nil {
		return s.out, err
	}
	if err := s.parts(ctx, needed); err != nil {
		return s.out, err
	}
	if err := s.differences(ctx, current.Revision); err != nil {
		return s.out, err
	}
	return s.out, s.runs(ctx, run)
}

type sweep struct {
	*Importer
	corpus   string
	etag     string    // of the manifest
	old      time.Time // what was written before is
	out      Swept
	progress func(int)
}

// revisions removes the records of the revisions that are not needed and gives the SHA-256 of the parts of the others.
func (s *sweep) revisions(ctx context.Context, current rebased.Corpus) (parts map[string]bool, err error) {
	needed, err := s.indexed(ctx)
	if err != nil {
		return nil, err
	}
	needed[current.Revision] = true
	parts = map[string]bool{}
	add(parts, current)
	for object, err := range s.Objects.List(ctx, path.Dir(rebased.CorpusRevisionKey(s.corpus, "x"))+"/") {
		if err != nil {
			return nil, fmt.Errorf("list the revisions: %w", err)
		}
		revision := strings.TrimSuffix(path.Base(object.Key), ".json")
		if object.Key != rebased.CorpusRevisionKey(s.corpus, revision) {
			continue // a part of a dataset that is called revisions
		}
		if object.Modified.Before(s.old) && !needed[revision] {
			if err := s.removeRevision(ctx, object, revision); err != nil {
				return nil, err
			}
			continue
		}
		corpus, err := rebased.ReadCorpusRevision(ctx, s.Objects, s.corpus, revision)
		if err != nil {
			return nil, err // what it names is not known: nothing is removed
		}
		add(parts, corpus)
	}
	return parts, nil
}

func add(parts map[string]bool, corpus rebased.Corpus) {
	for _, part := range corpus.Parts {
		parts[stemOf(part.Key)] = true
	}
}

// stemOf is a part's key without its extension: what stands beside it has the same.
func stemOf(key string) string { return strings.TrimSuffix(key, path.Ext(key)) }

// indexed gives the revisions that index records name.
func (s *sweep) indexed(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	for object, err := range s.Objects.List(ctx, rebased.CorpusIndexPrefix(s.corpus)) {
		if err != nil {
			return nil, fmt.Errorf("list the indexes: %w", err)
		}
		if !rebased.IsCorpusIndexKey(s.corpus, object.Key) {
			continue
		}
		body, _, err := s.Objects.Get(ctx, object.Key)
		if err != nil {
			return nil, fmt.Errorf("read an index record: %w", err)
		}
		var index rebased.Index
		if err := json.Unmarshal(body, &index); err != nil {
			return nil, rebased.E(rebased.Invalid, "%s is damaged (%w): run rebased index %s", object.Key, err, s.corpus)
		}
		named[index.Revision], named[index.Updating] = true, true
	}
	return named, nil
}

func (s *sweep) removeRevision(ctx context.Context, object rebased.Object, revision string) error {
	if err := s.remove(ctx, object); err != nil {
		return err
	}
	s.out.Revisions++
	for table, err := range s.Objects.List(ctx, rebased.CorpusDatasetsKey(s.corpus, revision)) {
		if err != nil {
			return fmt.Errorf("list the datasets of revision %s: %w", revision, err)
		}
		if err := s.remove(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// parts removes the old parts that are not needed.
func (s *sweep) parts(ctx context.Context, needed map[string]bool) error {
	prefix := corpusPrefix(s.corpus)
	for object, err := range s.Objects.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("list the parts: %w", err)
		}
		inside := strings.Split(strings.TrimPrefix(object.Key, prefix), "/") // dataset, config, split, part-…
		if len(inside) != 4 || !strings.HasPrefix(inside[3], "part-") || needed[stemOf(object.Key)] || !object.Modified.Before(s.old) {
			continue
		}
		if err := s.remove(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// differences removes the old differences, with the rows that were copied for them, but that of the current revision. Who misses one reads the
// revisions themselves.
func (s *sweep) differences(ctx context.Context, current string) error {
	kept, err := rebased.ReadDifference(ctx, s.Objects, s.corpus, current)
	if err != nil && rebased.KindOf(err) != rebased.NotFound {
		return err
	}
	needed := map[string]bool{rebased.CorpusDifferenceKey(s.corpus, current): true}
	for _, split := range kept.Splits {
		needed[split.Copies] = true
	}
	for object, err := range s.Objects.List(ctx, path.Dir(rebased.CorpusDifferenceKey(s.corpus, "x"))+"/") {
		if err != nil {
			return fmt.Errorf("list the differences of revisions: %w", err)
		}
		inside := strings.Count(strings.TrimPrefix(object.Key, corpusPrefix(s.corpus)), "/") == 1 // else a part of a dataset that is called so
		if !inside || needed[object.Key] || !object.Modified.Before(s.old) {
			continue
		}
		if err := s.remove(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// runs removes what imports have left that are over: files that they fetched, and when these are old what else they wrote.
func (s *sweep) runs(ctx context.Context, run string) error {
	for object, err := range s.Objects.List(ctx, path.Dir(path.Dir(rebased.ImportKey(s.corpus, "x", "x")))+"/") {
		if err != nil {
			return fmt.Errorf("list the runs of imports: %w", err)
		}
		own := strings.HasPrefix(object.Key, rebased.ImportKey(s.corpus, run)+"/")
		fetched := strings.HasPrefix(path.Base(object.Key), fetchedName)
		if !fetched && (own || !object.Modified.Before(s.old)) {
			continue
		}
		if err := s.remove(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

const fetchedName = "fetched-"

// FetchedPrefix is the prefix of the files that a run fetches.
func FetchedPrefix(corpus, run string) string { return rebased.ImportKey(corpus, run, fetchedName) }

// remove deletes an object unless another import has changed the corpus since the sweep began.
func (s *sweep) remove(ctx context.Context, object rebased.Object) error {
	same := false
	for manifest, err := range s.Objects.List(ctx, rebased.CorpusManifestKey(s.corpus)) {
		if err != nil {
			return fmt.Errorf("look at the corpus: %w", err)
		}
		same = same || manifest.ETag == s.etag
	}
	if !same {
		return rebased.E(rebased.Conflict, "corpus %q: another import has changed it meanwhile, which removes what is left", s.corpus)
	}
	if err := s.Objects.Delete(ctx, object.Key); err != nil {
		return err
	}
	s.out.Objects++
	s.out.Bytes += object.Size
	if s.progress != nil {
		s.progress(s.out.Objects)
	}
	return nil
}

func corpusPrefix(corpus string) string {
	return path.Dir(rebased.CorpusManifestKey(corpus)) + "/"
}

// retire writes the record of a revision anew that is about to be followed by another one, so that its age tells since when.
func (m *Importer) retire(ctx context.Context, corpus, revision string) error {
	if revision == "" {
		return nil
	}
	key := rebased.CorpusRevisionKey(corpus, revision)
	body, _, err := m.Objects.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read the revision before: %w", err)
	}
	_, err = m.Objects.Put(ctx, key, body)
	return err
}

// present makes sure that the parts of a new revision are there.
func (m *Importer) present(ctx context.Context, corpus string, parts []rebased.Part) error {
	there := map[string]bool{}
	for object, err := range m.Objects.List(ctx, corpusPrefix(corpus)) {
		if err != nil {
			return fmt.Errorf("list the parts: %w", err)
		}
		there[object.Key] = true
	}
	for _, part := range parts {
		if !there[part.Key] {
			return rebased.E(rebased.Conflict, "corpus %q: part %s is gone: import again", corpus, part.Key)
		}
	}
	return nil
}
