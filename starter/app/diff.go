package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/starter/console"
)

const (
	diffUsual   = 5
	diffMost    = 1000
	diffSources = 15
)

// versionsDiff is a comparison as the command prints it.
type versionsDiff struct {
	handoff.Diff
	// PaidUSD is what the builds that released the versions last paid, where their results tell; a build pays nothing for what is stored.
	PaidUSD [2]*float64 `json:"paid_usd"`
}

func (a *app) versionsDiffCommand() *cobra.Command {
	samples := diffUsual
	cmd := &cobra.Command{
		Use:   "diff TASK[@VERSION] [TASK@VERSION]",
		Short: "Show what is other in a version: rows, sources, rejects, tokens",
		Long: `Show what is other in a version than in another one: rows that were added, removed or changed, by the corpus row that they were made of; sources,
rejects, tokens and what it was made from. Of TASK alone it compares the latest version with the one before, of one VERSION that with the latest.`,
		Args: arguments(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if samples < 0 || samples > diffMost {
				return misuse(cmd, fmt.Errorf("-n must be between 0 and %d, got %d", diffMost, samples))
			}
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			from, to, err := compared(cmd.Context(), bucket, args)
			if err != nil {
				return err
			}
			d, err := versionsOf(bucket).Diff(cmd.Context(), from, to, samples)
			if err != nil {
				return err
			}
			shown := versionsDiff{Diff: d}
			for i, ref := range []handoff.VersionRef{from, to} {
				shown.PaidUSD[i] = paid(cmd.Context(), bucket, ref)
			}
			return a.console.Result(shown, func(w io.Writer) { writeDiff(w, shown, a.console.Width()) })
		},
	}
	cmd.Flags().IntVarP(&samples, "rows", "n", samples, "rows of each kind to show")
	return cmd
}

// compared says which two versions a user means.
func compared(ctx context.Context, bucket store, args []string) (from, to handoff.VersionRef, err error) {
	refs := make([]handoff.VersionRef, len(args))
	for i, arg := range args {
		if refs[i].Task, refs[i].Version, err = versionRef(arg); err != nil {
			return from, to, err
		}
	}
	if len(refs) == 2 && refs[0].Version != "" && refs[1].Version != "" {
		return refs[0], refs[1], nil
	}
	last := refs[len(refs)-1].Task
	latest, found, err := versionsOf(bucket).Latest(ctx, last)
	switch {
	case err != nil:
		return from, to, err
	case !found:
		return from, to, rebased.E(rebased.NotFound, "task %s has no released version: rebased versions ls %s lists all", last, last)
	}
	to = handoff.VersionRef{Task: last, Version: latest.Version}
	switch {
	case len(refs) == 2 && refs[0].Version == "":
		return from, to, rebased.E(rebased.Invalid, "%s names no version: rebased versions ls %s lists them", refs[0].Task, refs[0].Task)
	case refs[0].Version != "":
		return refs[0], to, nil
	case latest.Previous == "":
		return from, to, rebased.E(rebased.NotFound, "task %s has only one released version, %s: there is none to compare it with", last, latest.Version)
	}
	return handoff.VersionRef{Task: last, Version: latest.Previous}, to, nil
}

// paid is what the build that released a version last paid; nil when that is not known any more.
func paid(ctx context.Context, bucket store, ref handoff.VersionRef) *float64 {
	record, err := versionsOf(bucket).Record(ctx, ref.Task, ref.Version)
	if err != nil {
		return nil
	}
	for _, release := range slices.Backward(record.Releases) {
		var result rebased.BuildResult
		body, _, err := bucket.Get(ctx, rebased.BuildKey(ref.Task, release.Build, "result.json"))
		if err == nil && json.Unmarshal(body, &result) == nil {
			return &result.CostUSD
		}
	}
	return nil
}

func writeDiff(w io.Writer, d versionsDiff, width int) {
	name := func(r handoff.VersionRef) string { return rebased.VersionRef(r.Task, r.Version) }
	const arrow = " -> "
	change := func(from, to int) string { return console.Thousands(from) + arrow + console.Thousands(to) }
	money := func(usd *float64) string {
		if usd == nil {
			return "-"
		}
		return fmt.Sprintf("%.4f USD", *usd)
	}
	r := d.Rows
	rows := [][]string{
		{"versions", name(d.From) + arrow + name(d.To)},
		{rowsLabel, fmt.Sprintf("%s: %s added, %s removed, %s changed, %s in another split, %s kept", change(r.From, r.To), console.Thousands(r.Added),
			console.Thousands(r.Removed), console.Thousands(r.Changed), console.Thousands(r.Moved), console.Thousands(r.Kept))},
		{"tokens", change(int(d.Tokens[0]), int(d.Tokens[1]))},
		{"paid by its build", money(d.PaidUSD[0]) + arrow + money(d.PaidUSD[1])},
	}
	for _, v := range d.Values {
		rows = append(rows, []string{v.Name, console.OneLine(v.From) + arrow + console.OneLine(v.To)})
	}
	for _, row := range rows {
		row[1] = console.Cut(row[1], width-20)
	}
	console.Table(w, nil, rows)
	writeChanges(w, "DATASET", d.Sources)
	writeChanges(w, "REJECTED", d.Reasons)
	kind := ""
	for _, s := range d.Samples {
		if s.Change != kind {
			kind = s.Change
			fmt.Fprintf(w, "\n%s\n", kind)
		}
		fmt.Fprintln(w, console.Cut(fmt.Sprintf("  %s %s: %s => %s", console.OneLine(s.Dataset), s.Row, console.OneLine(s.Input), console.OneLine(s.Output)), width))
	}
}

func writeChanges(w io.Writer, what string, changes []handoff.Change) {
	if len(changes) == 0 {
		return
	}
	fmt.Fprintln(w)
	var rows [][]string
	for i, c := range changes {
		if i == diffSources {
			rows = append(rows, []string{fmt.Sprintf("%d more", len(changes)-i), "", ""})
			break
		}
		rows = append(rows, []string{console.OneLine(c.Name), console.Thousands(c.From), console.Thousands(c.To)})
	}
	console.Table(w, []string{what, "FROM", "TO"}, rows)
}

func (a *app) versionsRollbackCommand() *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{
		Use:   "rollback TASK@VERSION",
		Short: "Make a version that was released before the latest one again",
		Long: `Make a version that was released before the latest one again: latest.json is switched at once, nothing is built. The version that it takes the
place of is marked: a build that makes the same one again waits for approval and says why.`,
		Args: arguments(1, 2), // TASK VERSION too
		RunE: func(cmd *cobra.Command, args []string) error {
			task, version, err := versionRef(strings.Join(args, "@"))
			if err != nil {
				return err
			}
			if version == "" {
				return misuse(cmd, fmt.Errorf("which version of %s? name it as %s@VERSION: rebased versions ls %s lists them", task, task, task))
			}
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			if by == "" {
				by = a.who()
			}
			in := handoff.RollbackInput{Task: task, Version: version, By: by, Reason: reason, At: time.Now()}
			replaced, err := versionsOf(bucket).Rollback(cmd.Context(), in)
			if err != nil && replaced != "" {
				return failed{err}
			}
			if err != nil {
				return err
			}
			shown := struct {
				Task     string `json:"task"`
				Version  string `json:"version"`
				Replaced string `json:"replaced"`
			}{task, version, replaced}
			return a.console.Result(shown, func(w io.Writer) {
				fmt.Fprintf(w, "%s is the latest version again, in place of %s\n", rebased.VersionRef(task, version), replaced)
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "who decides (default the user of this machine)")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept with the release")
	return cmd
}
