package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/starter/console"
)

// recalled is a version that has rows of a source.
type recalled struct {
	versionSummary
	Rows int    `json:"rows"` // of the source
	Next string `json:"next"` // the command that makes a version without them; "" = none is needed, since the version is not the latest
}

func (a *app) versionsRecallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "recall DATASET-OR-ROW",
		Short: "Find the versions with rows of a dataset, or made of one corpus row",
		Long: `Find the versions of all tasks that have rows of a dataset (owner/name), or the row made of one corpus row (its id), for instance when a source is
withdrawn. For the latest version of each task it prints the command that makes a version without these rows, from what is stored, without a call.
Later builds take rows of the source again until the corpus is imported without it or the task excludes it (retrieve.exclude).`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			found, err := recall(cmd.Context(), bucket, args[0])
			if err != nil {
				return err
			}
			empty := "no version has a row of " + console.OneLine(args[0])
			return console.List(a.console, found, empty, []string{"VERSION", "RELEASED", rowsHeader, "NEXT"}, func(r recalled) []string {
				return []string{rebased.VersionRef(r.Task, r.Version), r.released(), console.Thousands(r.Rows), orDash(r.Next)}
			})
		},
	}
}

func recall(ctx context.Context, bucket store, source string) ([]recalled, error) {
	_, err := rebased.RowID(source).Key()
	anyDataset := err == nil // a row's id tells nothing of its dataset
	may := func(dataset string) bool { return anyDataset || strings.EqualFold(dataset, source) }
	from := func(d rebased.DatasetID, row rebased.RowID) bool { return activities.FromSource(source, d, row) }
	tasks, err := versionsOf(bucket).Tasks(ctx)
	if err != nil {
		return nil, err
	}
	var found []recalled
	for _, task := range tasks {
		versions, err := listVersions(ctx, bucket, task)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			rows, err := versionsOf(bucket).RowsFrom(ctx, handoff.VersionRef{Task: task, Version: v.Version}, may, from)
			if err != nil {
				return nil, err
			}
			if rows == 0 {
				continue
			}
			r := recalled{versionSummary: v, Rows: rows}
			if v.Latest {
				r.Next = fmt.Sprintf("rebased builds redrive %s/%s --without %s", task, v.Build, source)
			}
			found = append(found, r)
		}
	}
	return found, nil
}
