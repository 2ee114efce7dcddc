package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/handoff"
	"github.com/rebased/rebased/infra/parquet"
	"github.com/rebased/rebased/starter/console"
)

func (a *app) versionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "versions",
		Short: "List, compare and choose the dataset versions of a task",
		RunE:  group,
	}
	cmd.AddCommand(a.versionsListCommand(), a.versionsShowCommand(), a.versionsDiffCommand(), a.versionsRollbackCommand(), a.versionsRecallCommand(), a.versionsHandoffCommand())
	return cmd
}

func versionsOf(bucket store) handoff.Versions {
	return handoff.Versions{Objects: bucket, Examples: parquet.Examples(bucket)}
}

// versionRef is TASK or TASK@VERSION taken apart.
func versionRef(ref string) (task, version string, err error) {
	task, version, named := strings.Cut(ref, "@")
	if err := checkName(task); err != nil {
		return "", "", err
	}
	if named && (version == "" || strings.Trim(version, "0123456789abcdef") != "") {
		return "", "", rebased.E(rebased.Invalid, "%q is no version: it has twelve of 0-9 and a-f: rebased versions ls %s lists them", version, task)
	}
	return task, version, nil
}

// versionSummary is a version as a list shows it.
type versionSummary struct {
	Task       string    `json:"task"`
	Version    string    `json:"version"`
	Latest     bool      `json:"latest"`
	Released   bool      `json:"released"`
	ReleasedAt time.Time `json:"released_at,omitzero"` // the last time
	Build      string    `json:"build"`                // that made and released it last
	ApprovedBy string    `json:"approved_by"`
	Train      int       `json:"train"` // rows
	Validation int       `json:"validation"`
	URI        string    `json:"uri"`
	// Rejected are the decisions not to release it.
	Rejected []handoff.Rejection `json:"rejected,omitempty"`
	// Deliveries tell what became of its hand-off, by target.
	Deliveries map[string]handoff.Delivery `json:"deliveries,omitempty"`
}

func (a *app) versionsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls TASK",
		Short: "List the versions of a task, the last released first",
		Args:  arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkName(args[0]); err != nil {
				return err
			}
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			versions, err := listVersions(cmd.Context(), bucket, args[0])
			if err != nil {
				return err
			}
			empty := fmt.Sprintf("task %s has no version yet", args[0])
			return console.List(a.console, versions, empty, []string{"VERSION", "RELEASED", "TRAIN", "VALIDATION", "BUILD"}, func(v versionSummary) []string {
				return []string{v.Version, v.released(), console.Thousands(v.Train), console.Thousands(v.Validation), orDash(v.Build)}
			})
		},
	}
}

func (v versionSummary) released() string {
	switch {
	case v.Latest:
		return v.ReleasedAt.UTC().Format(time.RFC3339) + " (latest)"
	case v.Released:
		return v.ReleasedAt.UTC().Format(time.RFC3339)
	}
	if n := len(v.Rejected); n > 0 {
		return "no, rejected by " + v.Rejected[n-1].By
	}
	return "no"
}

func listVersions(ctx context.Context, bucket store, task string) ([]versionSummary, error) {
	names, err := versionsOf(bucket).List(ctx, task)
	if err != nil {
		return nil, err
	}
	latest, _, err := versionsOf(bucket).Latest(ctx, task)
	if err != nil {
		return nil, err
	}
	var versions []versionSummary
	for _, name := range names {
		v, _, err := readVersion(ctx, bucket, task, name, latest.Version)
		if err != nil {
			return nil, err
		}
		versions = append(versions, v)
	}
	slices.SortFunc(versions, func(a, b versionSummary) int {
		return cmp.Or(b.ReleasedAt.Compare(a.ReleasedAt), cmp.Compare(a.Version, b.Version))
	})
	return versions, nil
}

// readVersion reads a version's manifest and release record; latest is the name of the task's latest version.
func readVersion(ctx context.Context, bucket store, task, name, latest string) (versionSummary, handoff.Manifest, error) {
	manifest, err := versionsOf(bucket).Manifest(ctx, task, name)
	if err != nil {
		return versionSummary{}, manifest, err
	}
	v := versionSummary{
		Task: task, Version: name, Latest: name == latest, Train: manifest.Counts.Train, Validation: manifest.Counts.Validation,
		URI: bucket.URI(rebased.VersionKey(task, name)) + "/",
	}
	record, err := versionsOf(bucket).Record(ctx, task, name)
	switch {
	case rebased.KindOf(err) == rebased.NotFound:
		return v, manifest, nil
	case err != nil:
		return v, manifest, err
	}
	v.Rejected, v.Deliveries = record.Rejected, record.Deliveries
	if n := len(record.Releases); n > 0 {
		last := record.Releases[n-1]
		v.Released, v.ReleasedAt, v.ApprovedBy = true, last.ReleasedAt, last.ApprovedBy
		for _, r := range record.Releases {
			if r.Made() {
				v.Build = r.Build
			}
		}
	}
	return v, manifest, nil
}

func (a *app) versionsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show TASK[@VERSION]",
		Short: "Show a version, the latest when none is named",
		Args:  arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			task, name, err := versionRef(args[0])
			if err != nil {
				return err
			}
			bucket, err := a.bucket(cmd.Context())
			if err != nil {
				return err
			}
			return a.showVersion(cmd.Context(), bucket, task, name)
		},
	}
}

func (a *app) showVersion(ctx context.Context, bucket store, task, name string) error {
	latest, found, err := versionsOf(bucket).Latest(ctx, task)
	if err != nil {
		return err
	}
	if name == "" {
		if !found {
			return rebased.E(rebased.NotFound, "task %s has no released version: rebased versions ls %s lists all", task, task)
		}
		name = latest.Version
	}
	v, manifest, err := readVersion(ctx, bucket, task, name, latest.Version)
	if err != nil {
		return err
	}
	shown := struct {
		versionSummary
		Manifest handoff.Manifest `json:"manifest"`
	}{v, manifest}
	return a.console.Result(shown, func(w io.Writer) { writeVersion(w, v, manifest) })
}

func writeVersion(w io.Writer, v versionSummary, m handoff.Manifest) {
	console.Table(w, nil, slices.Concat([][]string{
		{"version", v.Task + "@" + v.Version},
		{"released", v.released()},
		{"approved by", orDash(v.ApprovedBy)},
		{"build", orDash(v.Build)},
		{rowsLabel, fmt.Sprintf("%s train, %s validation, of %s retrieved", console.Thousands(v.Train), console.Thousands(v.Validation), console.Thousands(m.Counts.Retrieved))},
		{"rejected", orDash(byCount(m.Counts.Rejected))},
		{corpusLabel, m.Corpus.Name + " " + m.Corpus.Revision},
		{"teacher", orDash(m.Teacher.Model)},
		{"encoder", m.Encoder},
		{"uri", v.URI},
	}, deliveryLines(v.Deliveries)))
	fmt.Fprintln(w)
	rows := make([][]string, len(m.Files))
	for i, f := range m.Files {
		count := "-" // it holds no rows
		if f.Rows > 0 {
			count = console.Thousands(f.Rows)
		}
		rows[i] = []string{f.Name, count, console.Thousands(int(f.Size)), f.SHA256}
	}
	console.Table(w, []string{"FILE", rowsHeader, "BYTES", "SHA-256"}, rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
