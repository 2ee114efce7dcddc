package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/starter/cluster"
	"github.com/rebased/rebased/workflows"
)

func (a *app) buildCommand() *cobra.Command {
	var file string
	var detach bool
	cmd := &cobra.Command{
		Use:   "build -f task.yaml",
		Short: "Build a dataset version",
		Long: `Build a dataset version: check the task, start the build, show its progress and print the result.
Ctrl-C leaves the build running and says how to watch or cancel it; the exit status is then 4. A rejected build ends with status 1.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.readTask(cmd, file)
			if err != nil {
				return err
			}
			return a.build(cmd.Context(), t, detach)
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "start the build and leave")
	return cmd
}

func (a *app) build(ctx context.Context, t taskFile, detach bool) error {
	bucket, temporal, err := a.reach(ctx, a.connectToWorker)
	if err != nil {
		return err
	}
	defer temporal.Close()
	key, err := t.submit(ctx, bucket)
	if err != nil {
		return err
	}
	return a.start(ctx, temporal, bucket, workflows.BuildInput{Task: t.task.Name, TaskKey: key}, detach)
}

// start starts a build, and follows it unless it is to be left.
func (a *app) start(ctx context.Context, temporal *cluster.Cluster, bucket store, in workflows.BuildInput, detach bool) error {
	b := cluster.Build{Task: in.Task, Build: newBuild(time.Now()), State: rebased.StateRunning}
	if err := temporal.StartBuild(ctx, b.Build, in); isFailed(err) {
		return fmt.Errorf("%w: rebased builds show %s tells", err, b.Name())
	} else if err != nil {
		return err
	}
	if detach {
		return a.printBuild(resultOf(bucket, b, rebased.Progress{}))
	}
	return a.followBuild(ctx, temporal, bucket, b)
}

// newBuild makes the id of a build: when it started, and enough chance for two of one second.
func newBuild(now time.Time) string {
	var chance [2]byte
	_, _ = rand.Read(chance[:]) // never fails
	return now.UTC().Format(cluster.BuildTime) + "-" + hex.EncodeToString(chance[:])
}
