package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// Manifest reads the manifest of a version and checks it against the version's name. Errors: NotFound when there is no such version, or it
// is not complete; Invalid when its bytes are not those that the name was made from, or in a format of another time.
func (v Versions) Manifest(ctx context.Context, task, version string) (Manifest, error) {
	m, _, err := v.manifest(ctx, task, version)
	return m, err
}

func (v Versions) manifest(ctx context.Context, task, version string) (m Manifest, sha string, err error) {
	key := rebased.VersionKey(task, version, manifestName)
	body, _, err := v.Objects.Get(ctx, key)
	if rebased.KindOf(err) == rebased.NotFound {
		return m, "", v.missing(ctx, task, version)
	}
	if err != nil {
		return m, "", fmt.Errorf("read the manifest: %w", err)
	}
	sum := sha256.Sum256(body)
	if versionOf(sum) != version {
		return m, "", rebased.E(rebased.Invalid, "%s was changed: its bytes give version %s", key, versionOf(sum))
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, "", rebased.E(rebased.Invalid, "%s: %w", key, err)
	}
	if m.Format != Format {
		return m, "", rebased.E(rebased.Invalid, "%s: format is %q, this program reads %q", key, m.Format, Format)
	}
	return m, hex.EncodeToString(sum[:]), nil
}

// List gives the complete versions of a task, in no order that means something.
func (v Versions) List(ctx context.Context, task string) ([]string, error) {
	var versions []string
	prefix := rebased.VersionKey(task, "") + "/"
	for object, err := range v.Objects.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the versions of %s: %w", task, err)
		}
		if version, file, _ := strings.Cut(strings.TrimPrefix(object.Key, prefix), "/"); file == manifestName {
			versions = append(versions, version)
		}
	}
	return versions, nil
}

// ExportInput says what to export.
type ExportInput struct {
	Task    string
	Version string // "" = the latest
	Split   string // "" = train
	Format  string // parquet, or one of rebased.Formats()
}

// Export writes one split of a version, with the rows of one of its Parquet files in memory at a time. Each file is checked against the manifest
// before its rows are written: of a version of several, an error may come after some were. Parquet comes as one file, whatever the version has.
func (v Versions) Export(ctx context.Context, in ExportInput, w io.Writer) error {
	if in.Format != FormatParquet && !slices.Contains(rebased.Formats(), in.Format) {
		_, err := lineOf(in.Format, frame{}, rebased.Example{})
		return err
	}
	if in.Version == "" {
		latest, found, err := v.Latest(ctx, in.Task)
		if err != nil {
			return err
		}
		if !found {
			return rebased.E(rebased.NotFound, "task %s has no released version: build it, or name a version as %s@VERSION", in.Task, in.Task)
		}
		in.Version = latest.Version
	}
	manifest, err := v.Manifest(ctx, in.Task, in.Version)
	if err != nil {
		return err
	}
	if in.Split == "" {
		in.Split = SplitTrain
	}
	listed := manifest.tables(in.Split)
	if len(listed) == 0 {
		return rebased.E(rebased.NotFound, "version %s of task %s has no split %q", in.Version, in.Task, in.Split)
	}
	if in.Format == rebased.FormatPreference {
		switch pairs := manifest.Counts.Preference; {
		case pairs == nil:
			return rebased.E(rebased.Invalid, "version %s of task %s was made without preference pairs: add %s to output.formats and build again, the answers are stored",
				in.Version, in.Task, in.Format)
		case pairs[in.Split] == 0:
			return rebased.E(rebased.NotFound, "version %s of task %s has no preference pair in split %s: no answer differed from that of a row that was kept",
				in.Version, in.Task, in.Split)
		}
	}
	return v.export(ctx, in, frame{manifest.Instruction, manifest.System}, listed, w)
}

func (v Versions) export(ctx context.Context, in ExportInput, frame frame, listed []Entry, w io.Writer) error {
	if in.Format == FormatParquet && len(listed) == 1 {
		body, err := v.checked(ctx, in, listed[0])
		if err == nil {
			_, err = w.Write(body)
		}
		return err
	}
	parts := v.tables(ctx, in, listed)
	if in.Format == FormatParquet {
		return v.Examples.Encode(w, parts)
	}
	lines := newLines(w, in.Format, frame)
	for part, err := range parts {
		if err != nil {
			return err
		}
		for i := range part {
			if err := lines.add(&part[i]); err != nil {
				return err
			}
		}
	}
	return lines.flush()
}

// Rows reads the rows of all splits of a version, those of one Parquet file at a time, each checked against the manifest.
func (v Versions) Rows(ctx context.Context, task, version string) iter.Seq2[[]rebased.Example, error] {
	return func(yield func([]rebased.Example, error) bool) {
		manifest, err := v.Manifest(ctx, task, version)
		if err != nil {
			yield(nil, err)
			return
		}
		listed := append(manifest.tables(SplitTrain), manifest.tables(SplitValidation)...)
		for rows, err := range v.tables(ctx, ExportInput{Task: task, Version: version}, listed) {
			if !yield(rows, err) || err != nil {
				return
			}
		}
	}
}

// tables reads the Parquet files of a version one by one.
func (v Versions) tables(ctx context.Context, in ExportInput, listed []Entry) iter.Seq2[[]rebased.Example, error] {
	return func(yield func([]rebased.Example, error) bool) {
		for _, entry := range listed {
			rows, err := v.table(ctx, in, entry)
			if !yield(rows, err) || err != nil {
				return
			}
		}
	}
}

func (v Versions) table(ctx context.Context, in ExportInput, listed Entry) ([]rebased.Example, error) {
	if _, err := v.checked(ctx, in, listed); err != nil {
		return nil, err
	}
	rows, err := v.Examples.Read(ctx, rebased.VersionKey(in.Task, in.Version, listed.Name))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", listed.Name, err)
	}
	return rows, nil
}

// checked reads a file as the manifest lists it.
func (v Versions) checked(ctx context.Context, in ExportInput, listed Entry) ([]byte, error) {
	key := rebased.VersionKey(in.Task, in.Version, listed.Name)
	body, _, err := v.Objects.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", listed.Name, err)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != listed.SHA256 {
		return nil, rebased.E(rebased.Invalid, "%s was changed: its SHA-256 is not the one of the manifest", key)
	}
	return body, nil
}
