package ingest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rebased/rebased"
)

const revisionDigits = 12

// Commit makes what was converted the current revision of the corpus: a dataset that is not among it leaves the corpus. The same content is the
// same revision, and when it is the current one already nothing is written and changed is false. When another import was faster the error is a
// Conflict; when not one row could be read it is Invalid, and the corpus stays as it is.
func (m *Importer) Commit(ctx context.Context, imp Import, converted []Converted) (corpus rebased.Corpus, changed bool, err error) {
	content := newContent(imp.Options, converted)
	if err := m.present(ctx, imp.Corpus, content.Parts); err != nil {
		return rebased.Corpus{}, false, err
	}
	if len(content.Parts) == 0 {
		return rebased.Corpus{}, false, noRows(imp.Corpus, converted)
	}
	revision, err := content.revision()
	if err != nil {
		return rebased.Corpus{}, false, err
	}
	current, etag, err := m.manifest(ctx, imp.Corpus)
	if err != nil {
		return rebased.Corpus{}, false, err
	}
	if current.Revision == revision {
		return current, false, nil
	}
	if current.Revision != imp.Base {
		return rebased.Corpus{}, false, overtaken(imp.Corpus)
	}
	corpus, body, err := m.store(ctx, imp.Corpus, revision, content)
	if err != nil {
		return rebased.Corpus{}, false, err
	}
	if err := m.tellChange(ctx, imp, revision, converted); err != nil {
		return rebased.Corpus{}, false, err
	}
	if err := m.retire(ctx, imp.Corpus, current.Revision); err != nil {
		return rebased.Corpus{}, false, err
	}
	if etag == "" {
		_, err = m.Objects.PutIfAbsent(ctx, rebased.CorpusManifestKey(imp.Corpus), body)
	} else {
		_, err = m.Objects.PutIfMatch(ctx, rebased.CorpusManifestKey(imp.Corpus), etag, body)
	}
	if rebased.KindOf(err) == rebased.Conflict {
		return rebased.Corpus{}, false, overtaken(imp.Corpus)
	}
	return corpus, err == nil, err
}

func overtaken(corpus string) error {
	return rebased.E(rebased.Conflict, "corpus %q: another import has changed it meanwhile: import again once none is under way", corpus)
}

func noRows(corpus string, converted []Converted) error {
	for _, c := range converted {
		for _, bad := range c.Malformed {
			return rebased.E(rebased.Invalid, "corpus %q: not one row could be read; the first reason: %s: %s", corpus, bad.Path, bad.Error)
		}
	}
	return rebased.E(rebased.Invalid, "corpus %q: not one row to import", corpus)
}

// content is what a revision is named after.
type content struct {
	Datasets []rebased.Dataset `json:"datasets"`
	Parts    []rebased.Part    `json:"parts"`
	Options  []string          `json:"options"`
	Origins  []rebased.Origin  `json:"origins,omitempty"`
}

func newContent(options Options, converted []Converted) content {
	all := content{Options: options.list()}
	from := map[rebased.DatasetID]string{}
	for _, c := range converted {
		if c.Dataset.Rows > 0 {
			all.Datasets = append(all.Datasets, c.Dataset)
			all.Parts = append(all.Parts, c.Parts...)
			from[c.Dataset.DatasetID] = c.Origin
		}
	}
	slices.SortFunc(all.Datasets, func(a, b rebased.Dataset) int { return compareIDs(a.DatasetID, b.DatasetID) })
	slices.SortFunc(all.Parts, func(a, b rebased.Part) int {
		return cmp.Or(compareIDs(a.Dataset, b.Dataset), cmp.Compare(a.Key, b.Key))
	})
	datasets := map[string][]rebased.DatasetID{}
	for _, d := range all.Datasets {
		if source := from[d.DatasetID]; source != "" {
			datasets[source] = append(datasets[source], d.DatasetID)
		}
	}
	for _, source := range slices.Sorted(maps.Keys(datasets)) {
		all.Origins = append(all.Origins, rebased.Origin{Source: source, Datasets: datasets[source]})
	}
	return all
}

func (c content) revision() (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode the content of a corpus: %w", err)
	}
	return sha256Hex(body)[:revisionDigits], nil
}

// manifest reads the current revision; one without etag when there is none.
func (m *Importer) manifest(ctx context.Context, corpus string) (current rebased.Corpus, etag string, err error) {
	key := rebased.CorpusManifestKey(corpus)
	body, etag, err := m.Objects.Get(ctx, key)
	if rebased.KindOf(err) == rebased.NotFound {
		return rebased.Corpus{}, "", nil
	}
	if err != nil {
		return rebased.Corpus{}, "", fmt.Errorf("read corpus: %w", err)
	}
	if err := json.Unmarshal(body, &current); err != nil {
		return rebased.Corpus{}, "", rebased.E(rebased.Invalid, "read corpus: %s: %w", key, err)
	}
	return current, etag, nil
}

// store writes a revision for good and gives its bytes. One that is there from an earlier import is taken as it stands.
func (m *Importer) store(ctx context.Context, name, revision string, all content) (corpus rebased.Corpus, body []byte, err error) {
	key := rebased.CorpusRevisionKey(name, revision)
	if body, _, err = m.Objects.Get(ctx, key); err == nil {
		if err := json.Unmarshal(body, &corpus); err != nil {
			return rebased.Corpus{}, nil, rebased.E(rebased.Invalid, "read revision: %s: %w", key, err)
		}
		return corpus, body, nil
	}
	if rebased.KindOf(err) != rebased.NotFound {
		return rebased.Corpus{}, nil, fmt.Errorf("read revision: %w", err)
	}
	datasets, err := m.Datasets.Write(ctx, rebased.CorpusDatasetsKey(name, revision), all.Datasets)
	if err != nil {
		return rebased.Corpus{}, nil, fmt.Errorf("write the datasets of revision %s: %w", revision, err)
	}
	corpus = rebased.Corpus{Name: name, Revision: revision, Datasets: datasets, Parts: all.Parts, Options: all.Options, Origins: all.Origins}
	if body, err = json.Marshal(corpus); err != nil {
		return rebased.Corpus{}, nil, fmt.Errorf("encode revision %s: %w", revision, err)
	}
	return corpus, body, rebased.PutOnce(ctx, m.Objects, key, body)
}
