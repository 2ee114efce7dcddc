package app

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

func (a *app) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Build a task, or index a corpus, again and again, for instance every night",
		Long: `Build a task, or index a corpus, again and again. A task has one schedule, called after it; that of an index is called index/CORPUS. A build
that waits for a person does not stop the next night, which takes its place and its answers; while one still runs, the night is skipped. Index runs do not
overlap. A night in which nothing changed makes no new version, asks the teacher nothing and encodes nothing.`,
		RunE: group,
	}
	cmd.AddCommand(
		a.scheduleCreateCommand(), a.scheduleUpdateCommand(), a.scheduleListCommand(), a.scheduleShowCommand(), a.schedulePauseCommand(), a.scheduleResumeCommand(),
		a.scheduleTriggerCommand(), a.scheduleBackfillCommand(), a.scheduleDeleteCommand(),
	)
	return cmd
}

func (a *app) scheduleCreateCommand() *cobra.Command {
	var file string
	var index workflows.IndexInput
	var spec cluster.ScheduleSpec
	cmd := &cobra.Command{
		Use:   `create -f task.yaml|--index CORPUS --cron "0 2 * * *"`,
		Short: "Make the schedule of a task or of the index of a corpus",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSpec(spec); err != nil {
				return misuse(cmd, err)
			}
			switch {
			case index.Corpus != "" && file != "":
				return misuse(cmd, errors.New("--index and --file exclude each other: a schedule builds a task or indexes a corpus"))
			case index.Corpus == "" && file == "":
				return misuse(cmd, errors.New("schedule what? give a task file with -f task.yaml, or a corpus with --index CORPUS"))
			case index.Corpus != "":
				return a.createIndexSchedule(cmd, index, spec)
			}
			t, err := a.readTask(cmd, file)
			if err != nil {
				return err
			}
			return a.createSchedule(cmd, t, spec)
		},
	}
	fileFlag(cmd, &file)
	flags := cmd.Flags()
	flags.StringVar(&index.Corpus, "index", "", "the corpus whose index is brought up to date, in place of a task file")
	flags.StringVar(&index.Encoder, "encoder", rebased.DefaultTask().Retrieve.Encoder, "with --index: the encoder, as in the task file")
	flags.StringVar(&spec.Cron, "cron", "", "minute hour day month weekday, or @daily and the like")
	flags.DurationVar(&spec.Every, "every", 0, "how often, for instance 24h; counted from midnight UTC on 1 January 1970")
	flags.StringVar(&spec.TimeZone, "timezone", "UTC", "IANA name of the time zone of --cron, for instance Europe/Berlin")
	flags.DurationVar(&spec.Jitter, "jitter", 0, "start up to so much later, by chance")
	flags.DurationVar(&spec.CatchUp, "catch-up", cluster.CatchUp, "start what was missed while Temporal was down, so much later at most")
	flags.BoolVar(&spec.PauseOnFailure, "pause-on-failure", false, "start nothing more after a run that failed, until the schedule is resumed")
	flags.Var((*moment)(&spec.Start), "start", "start nothing before, for instance 2026-12-01T00:00:00Z")
	flags.Var((*moment)(&spec.End), "end", "start nothing after")
	return cmd
}

// moment is a flag of a point in time, in RFC 3339; the zero time is none.
type moment time.Time

func (m *moment) Set(s string) error {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return errors.New("give date, time and zone, for instance 2026-11-20T00:00:00Z")
	}
	*m = moment(t)
	return nil
}

func (m *moment) String() string {
	if t := time.Time(*m); !t.IsZero() {
		return t.Format(time.RFC3339)
	}
	return ""
}

func (m *moment) Type() string { return "time" }

// minCatchUp is the least that Temporal takes.
const minCatchUp = 10 * time.Second

func checkSpec(s cluster.ScheduleSpec) error {
	switch {
	case s.Cron == "" && s.Every == 0:
		return errors.New(`say when, with --cron "0 2 * * *" or --every 24h`)
	case s.Cron != "" && s.Every != 0:
		return errors.New("--cron and --every exclude each other")
	case s.Every != 0 && s.Every < time.Second:
		return fmt.Errorf("--every must be at least 1s, got %s", s.Every)
	case s.Jitter < 0:
		return fmt.Errorf("--jitter must not be negative, got %s", s.Jitter)
	case s.CatchUp < minCatchUp:
		return fmt.Errorf("--catch-up must be at least %s, got %s", minCatchUp, s.CatchUp)
	case !s.Start.IsZero() && !s.End.IsZero() && !s.Start.Before(s.End):
		return errors.New("--start must be before --end")
	case strings.Contains(s.Cron, "TZ="):
		return errors.New("--cron must not name a time zone: use --timezone")
	}
	return nil
}

func (a *app) createSchedule(cmd *cobra.Command, t taskFile, spec cluster.ScheduleSpec) error {
	ctx := cmd.Context()
	bucket, temporal, err := a.reach(ctx, a.connect)
	if err != nil {
		return err
	}
	defer temporal.Close()
	key, err := t.submit(ctx, bucket)
	if err != nil {
		return err
	}
	if err := temporal.CreateSchedule(ctx, workflows.BuildInput{Task: t.task.Name, TaskKey: key}, spec); err != nil {
		return err
	}
	return a.showSchedule(cmd, temporal, t.task.Name)
}

func (a *app) createIndexSchedule(cmd *cobra.Command, in workflows.IndexInput, spec cluster.ScheduleSpec) error {
	ctx := cmd.Context()
	bucket, temporal, err := a.reach(ctx, a.connect)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if _, err := readCorpus(ctx, bucket, in.Corpus); err != nil {
		return err
	}
	if in.Encoder, err = uploadModel(ctx, bucket, in.Encoder, "."); err != nil {
		return err
	}
	if err := temporal.CreateIndexSchedule(ctx, in, spec); err != nil {
		return err
	}
	return a.showSchedule(cmd, temporal, cluster.IndexSchedule(in.Corpus))
}

func (a *app) showSchedule(cmd *cobra.Command, temporal *cluster.Cluster, task string) error {
	s, err := temporal.Schedule(cmd.Context(), task)
	if err != nil {
		return err
	}
	temporal.Results(cmd.Context(), []cluster.Schedule{s}, len(s.Last))
	return a.console.Result(s, func(w io.Writer) {
		rows := [][]string{
			{"task", s.Task},
			{"when", s.Spec + ", " + s.TimeZone},
			{"state", stateOfSchedule(s)},
		}
		if s.Corpus != "" {
			rows[0] = []string{"index", s.Corpus}
			if s.Skipped > 0 {
				rows = append(rows, []string{"skipped", fmt.Sprintf("%d, because the run before still ran", s.Skipped)})
			}
		}
		for _, b := range s.Last {
			rows = append(rows, []string{"started", b.At.UTC().Format(time.RFC3339) + "  " + s.Task + "/" + b.Build + "  " + outcome(b)})
		}
		for _, next := range s.Next[:min(3, len(s.Next))] {
			rows = append(rows, []string{"next", next.UTC().Format(time.RFC3339)})
		}
		console.Table(w, nil, rows)
	})
}

// outcome says in a line what came of a run.
func outcome(b cluster.LastBuild) string {
	words := string(b.State)
	switch {
	case b.State == "":
		return "not known: Temporal does not tell"
	case b.SupersededBy != "":
		words += " by " + b.SupersededBy
	case b.Detail != "" && (b.State == rebased.StateSkipped || b.State == rebased.StateFailed || b.State == rebased.StateRejected):
		words += ": " + console.OneLine(b.Detail)
	}
	if b.Version != "" {
		words += ", version " + b.Version
	}
	if b.Rows > 0 {
		words += ", " + console.Thousands(b.Rows) + " rows"
	}
	if b.CostUSD > 0 {
		words += fmt.Sprintf(", %.4f USD", b.CostUSD)
	}
	return words
}

func stateOfSchedule(s cluster.Schedule) string {
	switch {
	case s.Paused && s.Note != "":
		return "paused: " + s.Note
	case s.Paused:
		return "paused"
	}
	return "active"
}

func (a *app) scheduleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the schedules with their last and next runs",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			temporal, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer temporal.Close()
			schedules, err := temporal.Schedules(cmd.Context())
			if err != nil {
				return err
			}
			temporal.Results(cmd.Context(), schedules, 2)
			return console.List(a.console, schedules, "no schedules", []string{"TASK", "WHEN", "TIMEZONE", "STATE", "LAST", "RESULT", "NEXT"}, func(s cluster.Schedule) []string {
				last, result, next := "-", "-", "-"
				if n := len(s.Last); n > 0 {
					last, result = s.Last[n-1].At.UTC().Format(time.RFC3339), outcome(s.Last[n-1])
					if n > 1 && s.Last[n-2].SupersededBy == s.Last[n-1].Build {
						result += ", in place of " + s.Last[n-2].Build
					}
				}
				if len(s.Next) > 0 && !s.Paused {
					next = s.Next[0].UTC().Format(time.RFC3339)
				}
				return []string{s.Task, s.Spec, s.TimeZone, stateOfSchedule(s), last, result, next}
			})
		},
	}
}

func (a *app) scheduleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show TASK|index/CORPUS",
		Short: "Show a schedule",
		Args:  arguments(1, 1),
		RunE: a.onSchedule(func(cmd *cobra.Command, temporal *cluster.Cluster, task string) error {
			return a.showSchedule(cmd, temporal, task)
		}),
	}
}

func (a *app) schedulePauseCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause TASK|index/CORPUS",
		Short: "Start nothing more until the schedule is resumed",
		Args:  arguments(1, 1),
		RunE: a.onSchedule(func(cmd *cobra.Command, temporal *cluster.Cluster, task string) error {
			if err := temporal.PauseSchedule(cmd.Context(), task, note(reason, "paused by "+a.who())); err != nil {
				return err
			}
			return a.showSchedule(cmd, temporal, task)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; shown with the schedule")
	return cmd
}

func (a *app) scheduleResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume TASK|index/CORPUS",
		Short: "Let a paused schedule start again",
		Args:  arguments(1, 1),
		RunE: a.onSchedule(func(cmd *cobra.Command, temporal *cluster.Cluster, task string) error {
			if err := temporal.ResumeSchedule(cmd.Context(), task, "resumed by "+a.who()); err != nil {
				return err
			}
			return a.showSchedule(cmd, temporal, task)
		}),
	}
}

func (a *app) scheduleTriggerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trigger TASK|index/CORPUS",
		Short: "Start now what the schedule starts",
		Args:  arguments(1, 1),
		RunE: a.onSchedule(func(cmd *cobra.Command, temporal *cluster.Cluster, task string) error {
			build, err := temporal.TriggerSchedule(cmd.Context(), task)
			if err != nil {
				return err
			}
			type triggered struct {
				Task  string `json:"task"`
				Build string `json:"build"` // "" = it was asked for and has not started yet
			}
			return a.console.Result(triggered{task, build}, func(w io.Writer) {
				if corpus, ok := cluster.IndexedBy(task); ok {
					fmt.Fprintf(w, "asked for an index run of %s: rebased corpus ls shows when it is done\n", corpus)
					return
				}
				if build == "" {
					fmt.Fprintf(w, "asked for a build of %s: rebased builds ls %s shows it when it has started\n", task, task)
					return
				}
				fmt.Fprintf(w, "started %s/%s: rebased builds watch %s/%s\n", task, build, task, build)
			})
		}),
	}
}

func (a *app) scheduleBackfillCommand() *cobra.Command {
	var from, to time.Time
	cmd := &cobra.Command{
		Use:   "backfill TASK|index/CORPUS --from TIME --to TIME",
		Short: "Start what the schedule would have started in a time that is over",
		Long: `Start what the schedule would have started in a time that is over, at once and with the corpus of now. So one of the runs works, and the others are
skipped, since it runs.`,
		Args: arguments(1, 1),
		RunE: a.onSchedule(func(cmd *cobra.Command, temporal *cluster.Cluster, task string) error {
			switch {
			case from.IsZero() || to.IsZero():
				return misuse(cmd, errors.New("--from and --to are required, for instance --from 2026-11-20T00:00:00Z"))
			case !from.Before(to):
				return misuse(cmd, errors.New("--from must be before --to"))
			case to.After(time.Now()):
				return misuse(cmd, errors.New("--to must not be in the future"))
			}
			if err := temporal.BackfillSchedule(cmd.Context(), task, from, to); err != nil {
				return err
			}
			type asked struct {
				Task string    `json:"task"`
				From time.Time `json:"from"`
				To   time.Time `json:"to"`
			}
			return a.console.Result(asked{task, from, to}, func(w io.Writer) {
				fmt.Fprintf(w, "asked for the runs of %s: rebased schedule show %s tells what comes of them\n", task, task)
			})
		}),
	}
	cmd.Flags().Var((*moment)(&from), "from", "the begin, for instance 2026-11-20T00:00:00Z")
	cmd.Flags().Var((*moment)(&to), "to", "the end")
	return cmd
}

func (a *app) scheduleDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete TASK|index/CORPUS",
		Short: "Remove a schedule; what it made stays",
		Args:  arguments(1, 1),
		RunE: a.onSchedule(func(cmd *cobra.Command, temporal *cluster.Cluster, task string) error {
			if err := temporal.DeleteSchedule(cmd.Context(), task); err != nil {
				return err
			}
			type deleted struct {
				Task    string `json:"task"`
				Deleted bool   `json:"deleted"`
			}
			return a.console.Result(deleted{task, true}, func(w io.Writer) { fmt.Fprintf(w, "deleted the schedule of %s\n", task) })
		}),
	}
}

// onSchedule runs do on the schedule that the first argument names.
func (a *app) onSchedule(do func(cmd *cobra.Command, temporal *cluster.Cluster, task string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := checkSchedule(args[0]); err != nil {
			return err
		}
		temporal, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer temporal.Close()
		return do(cmd, temporal, args[0])
	}
}

// checkSchedule refuses what can be no schedule's name.
func checkSchedule(name string) error {
	corpus, ok := cluster.IndexedBy(name)
	switch {
	case !ok:
		return checkName(name)
	case !rebased.ValidCorpusName(corpus):
		return rebased.E(rebased.Invalid, "%q is no name of a corpus: use 1 to 63 of a-z, 0-9, '.', '_' and -, starting with a letter or digit", corpus)
	}
	return nil
}

func note(given, otherwise string) string {
	if given != "" {
		return given
	}
	return otherwise
}
