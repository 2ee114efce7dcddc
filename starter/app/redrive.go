package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/workflows"
)

func (a *app) redriveCommand() *cobra.Command {
	var file, without string
	var reasons []string
	var detach bool
	cmd := &cobra.Command{
		Use:   "redrive [BUILD] [--reason R...] [--without DATASET-OR-ROW]",
		Short: "Try rejected rows of a build again, in a new build with the rows that were good",
		Long: fmt.Sprintf(`Try the rows of a build that were rejected for some reasons again, in a new build that takes over the rows that were good. -f gives it a
changed task file of the same task (another prompt, model or limit); without it the task is that of the build. Duplicates are found anew.
--without leaves the rows of a dataset (owner/name) out, or the one of a corpus row's id; alone it makes a version of what is stored, without a call.
Reasons: %s.`, strings.Join(redrivable(), ", ")),
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := chooseReasons(cmd, reasons, without)
			if err != nil {
				return err
			}
			var t taskFile
			if file != "" {
				if t, err = a.readTask(cmd, file); err != nil {
					return err
				}
			}
			wanted := anyBuild(args)
			return a.withBuild(cmd.Context(), wanted, func(temporal *cluster.Cluster, bucket store, b cluster.Build) error {
				if bucket == nil { // says what is missing
					_, err := a.bucket(cmd.Context())
					return err
				}
				return a.redrive(cmd.Context(), temporal, bucket, b, t, workflows.Redrive{Build: b.Build, Reasons: chosen, Without: without}, detach)
			})
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringSliceVar(&reasons, "reason", nil, "why the rows were rejected; several with commas")
	cmd.Flags().StringVar(&without, "without", "", "a dataset, owner/name, or a row's id: rows of it are left out")
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "start the build and leave")
	return cmd
}

// redrivable are the reasons of the steps that ask a teacher; what dedupe removed is found anew.
func redrivable() []string {
	return []string{
		string(rebased.ReasonUnusable), string(rebased.ReasonEmpty), string(rebased.ReasonConstraint), string(rebased.ReasonRefused), string(rebased.ReasonTooLong),
		string(rebased.ReasonBadRequest), string(rebased.ReasonUnavailable), string(rebased.ReasonDisagreed), string(rebased.ReasonJudged),
	}
}

func chooseReasons(cmd *cobra.Command, names []string, without string) (reasons []rebased.Reason, err error) {
	if len(names) == 0 && without == "" {
		return nil, misuse(cmd, errors.New("--reason is required: why the rows to try again were rejected; or --without: what to leave out"))
	}
	for _, name := range names {
		if !slices.Contains(redrivable(), name) {
			return nil, misuse(cmd, fmt.Errorf("--reason must be of %s, got %q", strings.Join(redrivable(), ", "), name))
		}
		reasons = append(reasons, rebased.Reason(name))
	}
	return reasons, nil
}

func (a *app) redrive(
	ctx context.Context, temporal *cluster.Cluster, bucket store, b cluster.Build, t taskFile, redrive workflows.Redrive, detach bool,
) error {
	in := workflows.BuildInput{Task: b.Task, TaskKey: rebased.BuildKey(b.Task, b.Build, "task.yaml"), Redrive: &redrive}
	if !b.State.Final() && b.State != rebased.StateAwaitingApproval {
		return rebased.E(rebased.Invalid, "%s is %s: only a build that has gone through all its rows can be redriven", b.Name(), b.State)
	}
	if t.data != nil {
		if t.task.Name != b.Task {
			return rebased.E(rebased.Invalid, "%s: name is %q, the build is of task %q", t.name, t.task.Name, b.Task)
		}
		if err := t.requireCorpus(ctx, bucket); err != nil {
			return err
		}
		key, err := t.upload(ctx, bucket)
		if err != nil {
			return err
		}
		in.TaskKey = key
	}
	if err := temporal.RequireWorker(ctx); err != nil {
		return err
	}
	return a.start(ctx, temporal, bucket, in, detach)
}
