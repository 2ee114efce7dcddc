package ingest

import (
	"context"
	"slices"

	"github.com/rebased/rebased"
)

// Failure is a source, or a part of one, that an import could not have.
type Failure struct {
	Source string `json:"source"`
	Error  string `json:"error"`
	Kept   int    `json:"kept"` // dataset splits that stay as they were in the revision before
}

// Keep gives what is converted without what failed, and in its place what the revision before holds of it: a source that does not answer one night
// takes nothing from the corpus. That is the splits that came from the failed sources, and the split of a file that could not be fetched; those that
// came of another source meanwhile are not kept beside it. How many were kept is counted in the failures.
func (m *Importer) Keep(ctx context.Context, imp Import, converted []Converted, failed []Failure) ([]Converted, []Failure, error) {
	failed, whole := slices.Clone(failed), len(failed)
	missing := map[rebased.DatasetID]int{} // split -> number of its failure
	good := map[rebased.DatasetID]bool{}
	var all []Converted
	for _, c := range converted {
		if c.Failed == "" {
			good[c.Dataset.DatasetID] = true
			all = append(all, c)
			continue
		}
		missing[c.Dataset.DatasetID] = len(failed)
		failed = append(failed, Failure{Source: c.Origin, Error: c.Failed})
	}
	if len(failed) == 0 {
		return all, nil, nil
	}
	before, err := m.previous(ctx, imp)
	if err != nil {
		return nil, nil, err
	}
	for _, origin := range before.origins {
		for n, f := range failed[:whole] {
			if f.Source == origin.Source {
				for _, id := range origin.Datasets {
					missing[id] = n
				}
			}
		}
	}
	for id, n := range missing {
		if kept, ok := before.keep(id); ok && !good[id] {
			failed[n].Kept++
			all = append(all, kept)
		}
	}
	return all, failed, nil
}

// keep takes a split over as it is. One that was made with other options is read again as soon as its source answers.
func (p previous) keep(id rebased.DatasetID) (Converted, bool) {
	dataset, known := p.datasets[id]
	if !known {
		return Converted{}, false
	}
	if p.other {
		dataset.ETag = ""
	}
	kept := Converted{Dataset: dataset, Parts: p.parts[id]}
	for _, origin := range p.origins {
		if slices.Contains(origin.Datasets, id) {
			kept.Origin = origin.Source
		}
	}
	return kept, true
}
