package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
)

// rescheduled is what an update of a schedule changes, and what the next night would cost.
type rescheduled struct {
	Task     string            `json:"task"`
	Changes  []rebased.Change  `json:"changes"`
	Estimate *rebased.Estimate `json:"estimate"` // null where the task stays
	Updated  bool              `json:"updated"`
}

func (a *app) scheduleUpdateCommand() *cobra.Command {
	var file string
	var yes, pause bool
	var catchUp time.Duration
	cmd := &cobra.Command{
		Use:   "update -f task.yaml [--yes]",
		Short: "Give the schedule of a task another task file, its cost first",
		Long: `Give the schedule of a task another task file. It shows what changes in the task and what the next night would ask and cost, as rebased estimate does,
and changes nothing without --yes. When it runs stays as it is: for other times delete the schedule and create it anew.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.readTask(cmd, file)
			if err != nil {
				return err
			}
			var change cluster.ScheduleChange
			if cmd.Flags().Changed("pause-on-failure") {
				change.PauseOnFailure = &pause
			}
			if cmd.Flags().Changed("catch-up") {
				if catchUp < minCatchUp {
					return misuse(cmd, fmt.Errorf("--catch-up must be at least %s, got %s", minCatchUp, catchUp))
				}
				change.CatchUp = catchUp
			}
			return a.reschedule(cmd.Context(), t, change, yes)
		},
	}
	fileFlag(cmd, &file)
	flags := cmd.Flags()
	flags.BoolVarP(&yes, "yes", "y", false, "change the schedule after what is shown")
	flags.DurationVar(&catchUp, "catch-up", 0, "start what was missed while Temporal was down, so much later at most (default as it is)")
	flags.BoolVar(&pause, "pause-on-failure", false, "start nothing more after a build that failed (default as it is)")
	return cmd
}

func (a *app) reschedule(ctx context.Context, t taskFile, change cluster.ScheduleChange, yes bool) error {
	bucket, temporal, err := a.reach(ctx, a.connect)
	if err != nil {
		return err
	}
	defer temporal.Close()
	was, err := temporal.ScheduledBuild(ctx, t.task.Name)
	if err != nil {
		return err
	}
	key, err := t.submit(ctx, bucket)
	if err != nil {
		return err
	}
	out := rescheduled{Task: t.task.Name, Changes: []rebased.Change{}}
	if key != was.TaskKey {
		if out.Changes, err = taskChanges(ctx, bucket, was.TaskKey, key); err != nil {
			return err
		}
		if err := temporal.RequireWorker(ctx); err != nil {
			return err
		}
		e, err := estimated(ctx, temporal, t.task.Name, key)
		if err != nil {
			return err
		}
		out.Estimate = &e
	}
	if yes {
		was.TaskKey = key
		if err := temporal.UpdateSchedule(ctx, was, change); err != nil {
			return err
		}
		out.Updated = true
	}
	return a.console.Result(out, func(w io.Writer) { writeRescheduled(w, out) })
}

func writeRescheduled(w io.Writer, r rescheduled) {
	if len(r.Changes) == 0 {
		fmt.Fprintln(w, "nothing changes in the task")
	}
	const none, most = "-", 60
	rows := make([][]string, 0, len(r.Changes))
	for _, c := range r.Changes {
		rows = append(rows, []string{c.Key, rebased.InShort(c.From, none, most), rebased.InShort(c.To, none, most)})
	}
	if len(rows) > 0 {
		console.Table(w, []string{"KEY", "NOW", "THEN"}, rows)
	}
	if r.Estimate != nil {
		fmt.Fprintln(w)
		writeEstimate(w, *r.Estimate)
		fmt.Fprintln(w)
	}
	if r.Updated {
		fmt.Fprintf(w, "the schedule of %s has this task from the next run on\n", r.Task)
		return
	}
	if len(r.Changes) == 0 {
		fmt.Fprintln(w, "--yes changes the schedule's other settings: what is given of --catch-up and --pause-on-failure, and the ways of one that an older version made")
		return
	}
	fmt.Fprintln(w, "nothing is changed yet: the same command with --yes changes the schedule")
}

// taskChanges compares two task files of the bucket, by key. The first may be one that this program cannot read any more: then all of the second is new.
func taskChanges(ctx context.Context, bucket store, from, to string) ([]rebased.Change, error) {
	read := func(key string) (any, error) {
		body, _, err := bucket.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read the task file: %w", err)
		}
		return taskfile.Decode(key, body)
	}
	now, err := read(from)
	if kind := rebased.KindOf(err); kind == rebased.NotFound || kind == rebased.Invalid {
		now = map[string]any{}
	} else if err != nil {
		return nil, err
	}
	then, err := read(to)
	if err != nil {
		return nil, err
	}
	return rebased.Changes(now, then)
}
