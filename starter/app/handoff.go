package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/taskfile"
	"github.com/rebased/rebased/starter/console"
	"github.com/rebased/rebased/workflows"
)

// States of a hand-off that a command has asked for.
const (
	handoffStarted   = "started"
	handoffUnderWay  = "under_way" // an earlier one has not ended
	handoffDelivered = "delivered" // the target has the version: nothing was started
)

// handedOff is one line of the answer.
type handedOff struct {
	Task    string `json:"task"`
	Version string `json:"version"`
	Target  string `json:"target"`
	State   string `json:"state"`
}

func (a *app) versionsHandoffCommand() *cobra.Command {
	var to string
	var again bool
	cmd := &cobra.Command{
		Use:   "handoff TASK[@VERSION]",
		Short: "Hand a released version to the targets that do not have it",
		Long: `Hand a released version, the latest when none is named, to the targets of its task file that do not have it or that failed with it. With --again also to
those that have it: they get the same message, under the same idempotency key. It does not wait: rebased versions show says what came of it.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			task, version, err := versionRef(args[0])
			if err != nil {
				return err
			}
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			return a.handOff(cmd.Context(), bucket, handedOff{Task: task, Version: version, Target: to}, again)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "one target alone: workflow, nexus, webhook, sqs or command")
	cmd.Flags().BoolVar(&again, "again", false, "targets that have the version too")
	return cmd
}

func (a *app) handOff(ctx context.Context, bucket store, wanted handedOff, again bool) error {
	if wanted.Version == "" {
		latest, found, err := versionsOf(bucket).Latest(ctx, wanted.Task)
		if err == nil && !found {
			err = rebased.E(rebased.NotFound, "task %s has no released version: rebased versions ls %s lists all", wanted.Task, wanted.Task)
		}
		if err != nil {
			return err
		}
		wanted.Version = latest.Version
	}
	if _, err := versionsOf(bucket).Order(ctx, wanted.Task, wanted.Version, wanted.Target); err != nil {
		return err
	}
	record, err := versionsOf(bucket).Record(ctx, wanted.Task, wanted.Version)
	if err != nil {
		return err
	}
	targets, err := targetsOf(ctx, bucket, wanted)
	if err != nil {
		return err
	}
	temporal, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer temporal.Close()
	var all []handedOff
	for _, target := range targets {
		one := handedOff{Task: wanted.Task, Version: wanted.Version, Target: target, State: handoffDelivered}
		if again || record.Deliveries[target].State != handoff.DeliveryDone {
			one.State = handoffStarted
			err := temporal.StartDeliver(ctx, workflows.DeliverInput{Task: one.Task, Version: one.Version, Target: target, Again: true})
			if rebased.KindOf(err) == rebased.Conflict {
				one.State, err = handoffUnderWay, nil
			}
			if err != nil {
				return fmt.Errorf("hand off to %s: %w", target, err)
			}
		}
		all = append(all, one)
	}
	return console.List(a.console, all, "", []string{"TARGET", "STATE"}, func(h handedOff) []string {
		return []string{h.Target, h.State}
	})
}

// targetsOf reads what a version is handed to from its own task file.
func targetsOf(ctx context.Context, bucket store, wanted handedOff) ([]string, error) {
	key := rebased.VersionKey(wanted.Task, wanted.Version, "task.yaml")
	data, _, err := bucket.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read the version's task: %w", err)
	}
	task, err := taskfile.Decode(key, data)
	if err != nil {
		return nil, err
	}
	targets := task.Handoff.Targets()
	switch {
	case len(targets) == 0:
		return nil, rebased.E(rebased.Invalid, "version %s of task %s is handed to nothing: its task file has no target under handoff", wanted.Version, wanted.Task)
	case wanted.Target == "":
		return targets, nil
	case !slices.Contains(targets, wanted.Target):
		return nil, rebased.E(rebased.Invalid, "version %s of task %s is not handed to %q: its task file has %s", wanted.Version, wanted.Task, wanted.Target, strings.Join(targets, ", "))
	}
	return []string{wanted.Target}, nil
}

// compact writes JSON without white space.
func compact(result json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, result) != nil {
		return string(result)
	}
	return b.String()
}

// deliveryLines tell what became of a version's hand-off, a line for each target.
func deliveryLines(deliveries map[string]handoff.Delivery) [][]string {
	var lines [][]string
	for _, target := range slices.Sorted(maps.Keys(deliveries)) {
		d := deliveries[target]
		said := []string{target + " " + d.State + " " + d.At.UTC().Format(time.RFC3339), d.ID, d.Error, rebased.Quote(compact(d.Result), "")}
		said = slices.DeleteFunc(said, func(s string) bool { return s == "" })
		lines = append(lines, []string{"hand-off", strings.Join(said, ", ")})
	}
	return lines
}
