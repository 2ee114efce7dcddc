package retrieve

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// source is a dataset split that rows may come from.
type source struct {
	rebased.Dataset
	data  float64 // S_data of its rows
	place int32   // in the list of all sources
	name  int32   // number of the dataset's name, shared by its configurations and splits
}

// allowed lists the datasets that rows may come from, and counts the rows of the others by reason.
func (r *Ranker) allowed(ctx context.Context, task rebased.Task, corpus rebased.Corpus) (allowed []rebased.Dataset, out map[string]int, err error) {
	datasets, err := r.datasets.Read(ctx, corpus.Datasets.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("read the datasets of %s: %w", corpus.Name, err)
	}
	out = map[string]int{SkippedExcluded: 0}
	licenses := task.Retrieve.Licenses
	for _, d := range datasets {
		excluded, err := matchesAny(task.Retrieve.Exclude, d.Name)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case excluded:
			out[SkippedExcluded] += d.Rows
		case len(licenses) > 0 && !licensed(licenses, d.License):
			out[SkippedLicense] += d.Rows
		default:
			allowed = append(allowed, d)
		}
	}
	if len(allowed) == 0 {
		return nil, nil, rebased.E(rebased.Invalid, "retrieve.exclude and retrieve.licenses leave none of the %d datasets of %s: exclude less, allow more",
			len(datasets), corpus.Name)
	}
	return allowed, out, nil
}

// licensed reports whether a license is on a list, in any case. A dataset without one is on none.
func licensed(list []string, license string) bool {
	license = strings.TrimSpace(license)
	return license != "" && slices.ContainsFunc(list, func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), license) })
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
	names := map[string]int32{}
	for i, d := range datasets {
		v, ok := vectors[d.DatasetID]
		if !ok || len(v) != len(aim.data) {
			return nil, rebased.E(rebased.Invalid, "index %s has no description of %s: run `rebased index` again", collection, d)
		}
		if _, known := names[d.Name]; !known {
			names[d.Name] = int32(len(names)) //nolint:gosec // datasets are not that many
		}
		sources[i] = &source{Dataset: d, data: dot(aim.data, v), place: int32(i), name: names[d.Name]} //nolint:gosec // datasets are not that many
	}
	return sources, nil
}
