package app

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

func (a *app) buildsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builds",
		Short: "List, watch and decide about builds",
		Long: `List, watch and decide about builds. BUILD is TASK/BUILD as "rebased builds ls" prints it, or BUILD alone, or TASK for its youngest;
left out, the youngest of all, or the only one that waits for what the command decides.`,
		RunE: group,
	}
	cmd.AddCommand(
		a.buildsListCommand(), a.buildsShowCommand(), a.buildsWatchCommand(), a.buildsCancelCommand(),
		a.decideCommand(workflows.UpdateApprove, "Release the version that waits for approval", rebased.StateAwaitingApproval),
		a.decideCommand(workflows.UpdateReject, "Refuse the version that waits for approval", rebased.StateAwaitingApproval),
		a.decideCommand(workflows.UpdateResume, "Let a paused build go on", rebased.StatePaused), a.raiseCommand(), a.redriveCommand(),
	)
	return cmd
}

// anyBuild is what show and watch look for.
func anyBuild(args []string) cluster.Wanted {
	return cluster.Wanted{Name: optional(args), What: "build", Fits: func(cluster.Build) bool { return true }}
}

func (a *app) buildsListCommand() *cobra.Command {
	var state string
	var limit int
	cmd := &cobra.Command{
		Use:   "ls [TASK]",
		Short: "List builds, the youngest first",
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return misuse(cmd, fmt.Errorf("--limit must be at least 1, got %d", limit))
			}
			if err := checkState(cmd, state); err != nil {
				return err
			}
			if task := optional(args); task != "" {
				if err := checkName(task); err != nil {
					return err
				}
			}
			temporal, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer temporal.Close()
			builds, err := temporal.Builds(cmd.Context(), optional(args), limit, func(b cluster.Build) bool {
				return state == "" || string(b.State) == state
			})
			if err != nil {
				return err
			}
			return console.List(a.console, builds, "no builds", []string{"BUILD", "STATE", "STARTED", "TOOK"}, func(b cluster.Build) []string {
				took := time.Duration(b.Seconds * float64(time.Second)).Round(time.Second)
				return []string{b.Name(), string(b.State), b.Started.UTC().Format(time.RFC3339), took.String()}
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only builds of this state, for instance awaiting_approval")
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many")
	return cmd
}

func checkState(cmd *cobra.Command, state string) error {
	known := []string{"", string(rebased.StateRunning), string(rebased.StateAwaitingApproval), string(rebased.StatePaused), string(rebased.StateBudgetExhausted), string(rebased.StateReleased),
		string(rebased.StateUnchanged), string(rebased.StateRejected), string(rebased.StateSuperseded), string(rebased.StateSkipped), string(rebased.StateFailed), string(rebased.StateCanceled)}
	if !slices.Contains(known, state) {
		return misuse(cmd, fmt.Errorf("--state must be one of %s, got %q", strings.Join(known[1:], ", "), state))
	}
	return nil
}

func (a *app) buildsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [BUILD]",
		Short: "Show how a build stands or how it ended",
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBuild(cmd.Context(), anyBuild(args), func(temporal *cluster.Cluster, bucket store, b cluster.Build) error {
				result, err := a.look(cmd.Context(), temporal, bucket, b)
				if err != nil {
					return err
				}
				return a.printBuild(result)
			})
		},
	}
}

// look gives what is known of a build: its result, what it recorded before it failed, or how far it is.
func (a *app) look(ctx context.Context, temporal *cluster.Cluster, bucket store, b cluster.Build) (rebased.BuildResult, error) {
	if !b.State.Final() {
		progress, err := cluster.Query[rebased.Progress](ctx, temporal, b.ID())
		if err != nil {
			a.console.Notef("%v", err)
		}
		return resultOf(bucket, b, progress), nil
	}
	result, err := cluster.Result[rebased.BuildResult](ctx, temporal, b.ID())
	if failure := asFailure(err); failure != nil {
		if result = recorded(ctx, bucket, b); result.Build == "" {
			result = resultOf(bucket, b, rebased.Progress{})
		}
		result.State, result.Detail = failure.State, failure.Message
		return result, nil
	}
	return result, err
}

func (a *app) buildsWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [BUILD]",
		Short: "Show the progress of a build until it ends, and its result",
		Long:  "Show the progress of a build until it ends or waits for a person, and its result. Ctrl-C ends the watching, not the build.",
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBuild(cmd.Context(), anyBuild(args), func(temporal *cluster.Cluster, bucket store, b cluster.Build) error {
				return a.followBuild(cmd.Context(), temporal, bucket, b)
			})
		},
	}
}

func (a *app) buildsCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel [BUILD]",
		Short: "End a build; nothing of it is released",
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted := cluster.Wanted{
				Name: optional(args), What: "build that runs", Fits: func(b cluster.Build) bool { return !b.State.Final() }, Only: true,
			}
			return a.withBuild(cmd.Context(), wanted, func(temporal *cluster.Cluster, bucket store, b cluster.Build) error {
				now, err := temporal.Cancel(cmd.Context(), b)
				if err != nil {
					return err
				}
				if !now.State.Final() {
					a.console.Notef("%s was told to stop and has not ended yet", now.Name())
				}
				result, err := a.look(cmd.Context(), temporal, bucket, now)
				if err != nil {
					return afterStart(err)
				}
				return a.printBuild(result)
			})
		},
	}
}

// decideCommand takes one kind of decision to a build that waits for it.
func (a *app) decideCommand(update, short string, waits rebased.State) *cobra.Command {
	var d workflows.Decision
	cmd := &cobra.Command{
		Use:   update + " [BUILD]",
		Short: short,
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.By == "" {
				d.By = a.who()
			}
			wanted := cluster.Wanted{
				Name: optional(args), What: "build that is " + string(waits), Fits: func(b cluster.Build) bool { return b.State == waits }, Only: true,
			}
			return a.withBuild(cmd.Context(), wanted, func(temporal *cluster.Cluster, bucket store, b cluster.Build) error {
				progress, err := temporal.Decide(cmd.Context(), b, update, d)
				if err != nil {
					return err
				}
				return a.printBuild(resultOf(bucket, b, progress))
			})
		},
	}
	cmd.Flags().StringVar(&d.By, "by", "", "who decides (default the user of this machine)")
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why; kept with the release or the rejection")
	return cmd
}

// raiseCommand gives a build a higher budget.
func (a *app) raiseCommand() *cobra.Command {
	var r workflows.BudgetRaise
	cmd := &cobra.Command{
		Use:   workflows.UpdateRaiseBudget + " [BUILD]",
		Short: "Give a build a higher budget, so that it goes on where it was",
		Long: `Give a build a higher budget, in all, so that it goes on where it was. A build that runs can be given one before it stops. BUILD left out is the
only one that waits at its budget.`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case r.USD == 0 && r.Tokens == 0:
				return misuse(cmd, errors.New("--usd or --tokens is required: the new budget in all"))
			case r.USD < 0 || r.Tokens < 0:
				return misuse(cmd, errors.New("--usd and --tokens must not be negative"))
			}
			if r.By == "" {
				r.By = a.who()
			}
			wanted := cluster.Wanted{
				Name: optional(args), What: "build that is " + string(rebased.StateBudgetExhausted), Only: true,
				Fits: func(b cluster.Build) bool {
					return b.State == rebased.StateBudgetExhausted || len(args) > 0 && !b.State.Final()
				},
			}
			return a.withBuild(cmd.Context(), wanted, func(temporal *cluster.Cluster, bucket store, b cluster.Build) error {
				progress, err := temporal.Decide(cmd.Context(), b, workflows.UpdateRaiseBudget, r)
				if err != nil {
					return err
				}
				return a.printBuild(resultOf(bucket, b, progress))
			})
		},
	}
	cmd.Flags().Float64Var(&r.USD, "usd", 0, "the new budget in USD, in all")
	cmd.Flags().Int64Var(&r.Tokens, "tokens", 0, "the new budget in tokens, in all")
	cmd.Flags().StringVar(&r.By, "by", "", "who decides (default the user of this machine)")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why")
	return cmd
}

// who names the person at the keyboard.
func (a *app) who() string {
	for _, name := range []string{"USER", "LOGNAME", "USERNAME"} {
		if value := a.getenv(name); value != "" {
			return value
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// withBuild finds the build that a user means and hands it to do. The bucket is nil when none is set: only addresses need it.
func (a *app) withBuild(ctx context.Context, wanted cluster.Wanted, do func(*cluster.Cluster, store, cluster.Build) error) error {
	temporal, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer temporal.Close()
	b, err := temporal.Find(ctx, wanted)
	if err != nil {
		return err
	}
	bucket, err := a.bucket(ctx)
	if err != nil {
		bucket = nil
	}
	return do(temporal, bucket, b)
}
