package ingest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// previous is what the revision before holds.
type previous struct {
	datasets map[rebased.DatasetID]rebased.Dataset
	parts    map[rebased.DatasetID][]rebased.Part
	origins  []rebased.Origin
	other    bool // it was made with other options, and nothing of it is as this import would make it
}

func (m *Importer) previous(ctx context.Context, imp Import) (previous, error) {
	before := previous{datasets: map[rebased.DatasetID]rebased.Dataset{}, parts: map[rebased.DatasetID][]rebased.Part{}}
	if imp.Base == "" {
		return before, nil
	}
	corpus, err := rebased.ReadCorpusRevision(ctx, m.Objects, imp.Corpus, imp.Base)
	if err != nil {
		return before, err
	}
	before.origins, before.other = corpus.Origins, !slices.Equal(corpus.Options, imp.Options.list())
	datasets, err := m.Datasets.Read(ctx, corpus.Datasets.Key)
	if err != nil {
		return before, fmt.Errorf("read the datasets of revision %s: %w", imp.Base, err)
	}
	for _, d := range datasets {
		before.datasets[d.DatasetID] = d
	}
	for _, p := range corpus.Parts {
		before.parts[p.Dataset] = append(before.parts[p.Dataset], p)
	}
	return before, nil
}

// reuse gives a split's parts without reading its files, when they are the files that the parts were made of. What is said about the dataset may
// have changed and is taken from the sources.
func (p previous) reuse(split []rebased.Source) (Converted, bool) {
	dataset := describe(split)
	old, known := p.datasets[dataset.DatasetID]
	if !known || old.ETag != dataset.ETag || p.other {
		return Converted{}, false
	}
	dataset.Rows = old.Rows
	if split[0].Revision == "" {
		dataset.Revision = old.Revision // of files that were not fetched: their bytes are those of before
	}
	return Converted{Dataset: dataset, Parts: p.parts[dataset.DatasetID], Files: len(split), Reused: len(split), Origin: split[0].Origin}, true
}

// describe says what the sources of a split say of it. The revision is the origin's, else of a single file its SHA-256; ETag stands for the files and
// for how they are read.
func describe(split []rebased.Source) rebased.Dataset {
	dataset := rebased.Dataset{DatasetID: split[0].DatasetID}
	var sums, read strings.Builder
	for _, s := range split {
		if dataset.Description == "" {
			dataset.Description = s.Description
		}
		if dataset.License == "" {
			dataset.License = s.License
		}
		_, ext, _ := cutExtension(s.Path)
		fmt.Fprintf(&sums, "%s\n", s.SHA256)
		fmt.Fprintf(&read, "%s %s\n", ext, cmp.Or(s.ETag, s.SHA256))
	}
	dataset.Revision = split[0].SHA256
	if len(split) > 1 {
		dataset.Revision = sha256Hex([]byte(sums.String()))
	}
	dataset.Revision = cmp.Or(split[0].Revision, dataset.Revision)
	dataset.ETag = sha256Hex([]byte(read.String()))
	return dataset
}
