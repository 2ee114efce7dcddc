package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

// rescheduled is what an update of a schedule changes, and what the next night would cost.
type rescheduled struct {
	Task     string            `json:"task"`
	Changes  []taskChange      `json:"changes"`
	Estimate *rebased.Estimate `json:"estimate"` // null where the task stays
	Updated  bool              `json:"updated"`
}

// taskChange is a key of the task that has another value.
type taskChange struct {
	Key  string `json:"key"` // dotted
	From any    `json:"from"`
	To   any    `json:"to"`
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
	out := rescheduled{Task: t.task.Name, Changes: []taskChange{}}
	if key != was.TaskKey {
		if out.Changes, err = taskChanges(ctx, bucket, was.TaskKey, key); err != nil {
			return err
		}
		_, e, err := attend[rebased.Estimate](ctx, a, t, func(temporal *cluster.Cluster, key string) (string, error) {
			id := workflows.EstimateID(t.task.Name, newBuild(time.Now()))
			return id, temporal.StartEstimate(ctx, id, workflows.EstimateInput{Task: t.task.Name, TaskKey: key})
		})
		if err != nil {
			return err
		}
		if e.Skipped == nil {
			e.Skipped = map[string]int{}
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
	rows := make([][]string, 0, len(r.Changes))
	for _, c := range r.Changes {
		rows = append(rows, []string{c.Key, inShort(c.From), inShort(c.To)})
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
func taskChanges(ctx context.Context, bucket store, from, to string) ([]taskChange, error) {
	read := func(key string) (values any, err error) {
		body, _, err := bucket.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read the task file: %w", err)
		}
		task, err := taskfile.Decode(key, body)
		if err != nil {
			return nil, err
		}
		if body, err = json.Marshal(task); err != nil {
			return nil, fmt.Errorf("compare the tasks: %w", err)
		}
		err = json.Unmarshal(body, &values)
		return values, err
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
	return changesOf(nil, "", now, then), nil
}

// changesOf appends the keys whose values differ, sorted; a list is one value.
func changesOf(all []taskChange, key string, from, to any) []taskChange {
	before, ok := from.(map[string]any)
	after, both := to.(map[string]any)
	if !ok || !both {
		if !reflect.DeepEqual(from, to) {
			all = append(all, taskChange{Key: key, From: from, To: to})
		}
		return all
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		all = changesOf(all, strings.TrimPrefix(key+"."+name, "."), before[name], after[name])
	}
	return all
}

// inShort is a value in a cell of a table.
func inShort(v any) string {
	const most = 60
	if v == nil || v == "" {
		return "-"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if runes := []rune(string(data)); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(data)
}
