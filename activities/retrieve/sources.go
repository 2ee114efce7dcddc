package retrieve

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/rebased/rebased"
)

// source is a dataset split that rows may come from.
type source struct {
	rebased.Dataset
	data  float64 // S_data of its rows
	place int32   // in the list of all sources
}

// allowed lists the datasets that the task does not exclude, and counts the rows of those that it does.
func (r *Ranker) allowed(ctx context.Context, task rebased.Task, corpus rebased.Corpus) (allowed []rebased.Dataset, excluded int, err error) {
	datasets, err := r.datasets.Read(ctx, corpus.Datasets.Key)
	if err != nil {
		return nil, 0, fmt.Errorf("read the datasets of %s: %w", corpus.Name, err)
	}
	for _, d := range datasets {
		out, err := matchesAny(task.Retrieve.Exclude, d.Name)
		if err != nil {
			return nil, 0, err
		}
		if out {
			excluded += d.Rows
			continue
		}
		allowed = append(allowed, d)
	}
	if len(allowed) == 0 {
		return nil, 0, rebased.E(rebased.Invalid, "retrieve.exclude leaves none of the %d datasets of %s: exclude less", len(datasets), corpus.Name)
	}
	return allowed, excluded, nil
}

// matchesAny reports whether a dataset's name fits one of the globs of a task: path.Match in any case, where '*' and '?' stand for '/' too,
// so that "*squad*" fits "owner/squad_v2".
func matchesAny(globs []string, name string) (bool, error) {
	plain := strings.NewReplacer("/", "\x00")
	name = plain.Replace(strings.ToLower(name))
	for _, glob := range globs {
		ok, err := path.Match(plain.Replace(strings.ToLower(glob)), name)
		if err != nil {
			return false, rebased.E(rebased.Invalid, "retrieve.exclude: %q: %w", glob, err)
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// sources gives each dataset its term of the score.
func (r *Ranker) sources(ctx context.Context, collection string, aim aim, datasets []rebased.Dataset) ([]*source, error) {
	ids := make([]rebased.DatasetID, len(datasets))
	for i, d := range datasets {
		ids[i] = d.DatasetID
	}
	vectors, err := r.index.Descriptions(ctx, collection, ids)
	if err != nil {
		return nil, fmt.Errorf("read the descriptions of the datasets: %w", err)
	}
	sources := make([]*source, len(datasets))
	for i, d := range datasets {
		v, ok := vectors[d.DatasetID]
		if !ok || len(v) != len(aim.data) {
			return nil, rebased.E(rebased.Invalid, "index %s has no description of %s: run `rebased index` again", collection, d)
		}
		sources[i] = &source{Dataset: d, data: dot(aim.data, v), place: int32(i)} //nolint:gosec // datasets are not that many
	}
	return sources, nil
}
