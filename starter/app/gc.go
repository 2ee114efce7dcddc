package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/gc"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

// collecting is what a collection of garbage is told.
type collecting struct {
	versions                int
	builds, uploads, answer time.Duration
	dryRun, cancel          bool
}

// stopping is the answer to --cancel.
type stopping struct {
	Canceled bool `json:"canceled"`
}

func (a *app) gcCommand() *cobra.Command {
	var in collecting
	kept := gc.DefaultPolicy()
	cmd := &cobra.Command{
		Use:   "gc [--dry-run]",
		Short: "Remove from the bucket what no kept version needs",
		Long: `Remove from the bucket what nothing needs any more: folders of builds that ended long ago, task files, uploads and what imports have left; old
versions with --keep-versions, and stored answers that no kept version or build has used with --keep-answers. Nothing younger than 48 hours goes,
nothing of a build under way, and nothing that a kept version, task file or schedule names. A worker does it; Ctrl-C leaves it running, and the same
command finds it again.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.cancel && in.dryRun {
				return misuse(cmd, errors.New("--cancel and --dry-run exclude each other"))
			}
			return a.gc(cmd.Context(), in)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&in.dryRun, "dry-run", "n", false, "say what would be removed, and remove nothing")
	flags.BoolVar(&in.cancel, "cancel", false, "stop the collection that runs; what it has not come to stays")
	flags.IntVar(&in.versions, "keep-versions", kept.Versions, "how many released versions of a task stay, the newest; 0 keeps all")
	flags.DurationVar(&in.builds, "keep-builds", time.Duration(kept.Builds)*time.Second, "how long the folder of an ended build stays, and a task file that is not started")
	flags.DurationVar(&in.uploads, "keep-uploads", time.Duration(kept.Uploads)*time.Second, "how long an upload stays that is not used, and what an import has left")
	flags.DurationVar(&in.answer, "keep-answers", time.Duration(kept.Answers)*time.Second, "how long a stored answer stays that no kept version or build has used; 0s keeps all: they were paid for")
	return cmd
}

func (in collecting) policy() gc.Policy {
	return gc.Policy{
		Versions: in.versions, Builds: int64(in.builds / time.Second), Uploads: int64(in.uploads / time.Second), Answers: int64(in.answer / time.Second),
	}
}

func (a *app) gc(ctx context.Context, in collecting) error {
	if err := in.policy().Check(); err != nil {
		return err
	}
	if in.cancel {
		temporal, err := a.connect(ctx)
		if err != nil {
			return err
		}
		defer temporal.Close()
		if err := temporal.CancelCollect(ctx); rebased.KindOf(err) == rebased.NotFound {
			return rebased.E(rebased.NotFound, "no collection runs")
		} else if err != nil {
			return err
		}
		return a.console.Result(stopping{true}, func(w io.Writer) {
			fmt.Fprintln(w, "the collection stops; who follows it ends with status 4")
		})
	}
	temporal, err := a.connectToWorker(ctx)
	if err != nil {
		return err
	}
	defer temporal.Close()
	id := workflows.CollectID(in.dryRun)
	if err := a.attach(id, temporal.StartCollect(ctx, workflows.CollectInput{Policy: in.policy(), DryRun: in.dryRun})); err != nil {
		return err
	}
	result, err := followCorpus[workflows.CollectResult](ctx, a, temporal, id, "kinds")
	if err != nil {
		return err
	}
	return a.console.Result(result, func(w io.Writer) { writeCollected(w, result) })
}

func writeCollected(w io.Writer, result workflows.CollectResult) {
	removed := "removed"
	if result.DryRun {
		removed = "would be removed"
	}
	var rows [][]string
	for _, r := range result.Rows {
		what := removed
		if r.Left {
			what = "left"
		}
		rows = append(rows, []string{r.Kind, what, console.Thousands(r.Things), console.Thousands(r.Objects), console.Thousands(int(r.Bytes)), r.Why})
	}
	if len(rows) > 0 {
		console.Table(w, []string{"KIND", "", "NUMBER", "OBJECTS", "BYTES", "WHY"}, rows)
	}
	fmt.Fprintf(w, "%s: %s objects, %s bytes\n", removed, console.Thousands(result.Objects), console.Thousands(int(result.Bytes)))
}
