package handoff

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// Tasks lists the tasks that have versions, by name.
func (v Versions) Tasks(ctx context.Context) ([]string, error) {
	tasks := map[string]struct{}{}
	for object, err := range v.Objects.List(ctx, datasetsPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list the tasks: %w", err)
		}
		task, rest, found := strings.Cut(strings.TrimPrefix(object.Key, datasetsPrefix), "/")
		if found && strings.HasSuffix(rest, "/"+manifestName) {
			tasks[task] = struct{}{}
		}
	}
	names := make([]string, 0, len(tasks))
	for task := range tasks {
		names = append(names, task)
	}
	slices.Sort(names)
	return names, nil
}

// RowsFrom counts the rows of a version whose lineage from tells, with the rows of one Parquet file in memory at a time. A version is read only where
// its manifest names a dataset that may tells of.
func (v Versions) RowsFrom(
	ctx context.Context, ref VersionRef, may func(dataset string) bool, from func(dataset rebased.DatasetID, row rebased.RowID) bool,
) (rows int, err error) {
	m, err := v.Manifest(ctx, ref.Task, ref.Version)
	if err != nil || !slices.ContainsFunc(m.Sources, func(s Origin) bool { return may(s.Dataset) }) {
		return 0, err
	}
	err = v.eachRow(ctx, ref, m, func(_ string, e *rebased.Example) {
		if from(e.DatasetID, e.Row) {
			rows++
		}
	})
	return rows, err
}
