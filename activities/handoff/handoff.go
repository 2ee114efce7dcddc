// Package handoff makes an immutable, documented version out of the examples of a build, and releases it. It stands at the end of a build,
// after dedupe; training pipelines, exports and the command line read what it wrote.
//
// A version is a folder of the bucket: Parquet with every column, JSONL in the formats that trainers read, a dataset card, the task file and
// manifest.json, which lists them all with their SHA-256. The version's name is the start of the manifest's own SHA-256. All bytes follow from
// the input alone, so the same rows give the same version, whichever build made them. The manifest is written last: a folder without one is
// no version, and making it again completes it.
//
// A release makes a version the latest of its task. See Release for what happens when two are released at once.
package handoff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"

	"github.com/rebased/rebased"
)

// Versions makes, releases and reads the versions of all tasks.
type Versions struct {
	Objects  rebased.Objects
	Examples rebased.Table[rebased.Example]
}

// Input is everything that a version depends on, and where its intermediate files may lie.
type Input struct {
	Task     rebased.Task
	TaskFile []byte // the frozen task file; goes into the version as it is
	Revision string // of the corpus
	Encoder  string // identity
	Endpoint string // of the teacher
	// Retrieved rows came into the steps, Skipped stayed out before, by reason.
	Retrieved int
	Skipped   map[string]int
	Steps     []StepCount   // in the order of the flow
	Tokens    rebased.Usage // of the answers used, rejected rows included
	Examples  []rebased.Example
	Staging   string // folder of the bucket for intermediate files; no part of the version
}

// Staged is a version that is complete in the bucket.
type Staged struct {
	Version        string
	ManifestSHA256 string
	Manifest       Manifest
	Released       bool // it is the latest of its task already
}

// Stage writes a version, or finds that it is there. It is idempotent. Errors: Invalid when no row is left or the counts do not add up,
// Conflict when another file stands in the version's place.
func (v Versions) Stage(ctx context.Context, in Input) (Staged, error) {
	manifest, err := newManifest(in)
	if err != nil {
		return Staged{}, err
	}
	files, err := v.files(ctx, in, &manifest)
	if err != nil {
		return Staged{}, err
	}
	body := manifest.encode()
	sum := sha256.Sum256(body)
	staged := Staged{Version: versionOf(sum), ManifestSHA256: hex.EncodeToString(sum[:]), Manifest: manifest}
	if err := v.publish(ctx, in.Task.Name, staged.Version, files, body); err != nil {
		return Staged{}, err
	}
	latest, found, err := v.Latest(ctx, in.Task.Name)
	staged.Released = found && latest.Version == staged.Version
	return staged, err
}

func versionOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:6]) }

// file is one file of a version. Its bytes are made when they are asked for, so that only one file at a time is in memory.
type file struct {
	name string
	rows int
	body func(context.Context) ([]byte, error)
}

func fixed(name string, body []byte) file {
	return file{name: name, body: func(context.Context) ([]byte, error) { return body, nil }}
}

// files lists the files of a version but for the manifest, and enters them there.
func (v Versions) files(ctx context.Context, in Input, manifest *Manifest) ([]file, error) {
	train, validation := split(in.Examples, in.Task.Output.Validation)
	manifest.Counts.Train, manifest.Counts.Validation = len(train), len(validation)
	files := []file{fixed(taskName, in.TaskFile), fixed(cardName, card(in.Task, *manifest))}
	for _, s := range []struct {
		name string
		rows []rebased.Example
	}{{SplitTrain, train}, {SplitValidation, validation}} {
		if len(s.rows) == 0 {
			continue
		}
		parquet, err := v.parquet(ctx, in.Staging, s.name, s.rows)
		if err != nil {
			return nil, err
		}
		files = append(files, parquet)
		for _, format := range in.Task.Output.Formats {
			files = append(files, file{name: s.name + "." + format + ".jsonl", rows: len(s.rows), body: func(context.Context) ([]byte, error) {
				var lines bytes.Buffer
				err := writeLines(&lines, format, in.Task.Instruction, s.rows)
				return lines.Bytes(), err
			}})
		}
	}
	for _, f := range files {
		body, err := f.body(ctx)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", f.name, err)
		}
		manifest.add(f.name, body, f.rows)
	}
	return files, nil
}

// parquetName is the file of a split: one is enough, since a table is written whole.
func parquetName(split string) string { return split + "-00000.parquet" }

// parquet has the table write the rows beside the build, since the version's name is not known yet.
func (v Versions) parquet(ctx context.Context, staging, split string, rows []rebased.Example) (file, error) {
	name := parquetName(split)
	written, err := v.Examples.Write(ctx, path.Join(staging, name), rows)
	if err != nil {
		return file{}, fmt.Errorf("stage %s: %w", name, err)
	}
	return file{name: name, rows: len(rows), body: func(ctx context.Context) ([]byte, error) {
		body, _, err := v.Objects.Get(ctx, written.Key)
		return body, err
	}}, nil
}

// publish writes the files, then the manifest. When the manifest is there, so is all that it lists.
func (v Versions) publish(ctx context.Context, task, version string, files []file, manifest []byte) error {
	key := rebased.VersionKey(task, version, manifestName)
	there, _, err := v.Objects.Get(ctx, key)
	switch {
	case err == nil && bytes.Equal(there, manifest):
		return nil
	case err == nil:
		return rebased.E(rebased.Conflict, "%s: another manifest stands there", key)
	case rebased.KindOf(err) != rebased.NotFound:
		return fmt.Errorf("look for %s: %w", key, err)
	}
	for _, f := range files {
		body, err := f.body(ctx)
		if err != nil {
			return fmt.Errorf("make %s: %w", f.name, err)
		}
		if err := v.putOnce(ctx, rebased.VersionKey(task, version, f.name), body); err != nil {
			return err
		}
	}
	return v.putOnce(ctx, key, manifest)
}

// putOnce writes an object that never changes: the same bytes being there is a success.
func (v Versions) putOnce(ctx context.Context, key string, body []byte) error {
	_, err := v.Objects.PutIfAbsent(ctx, key, body)
	if rebased.KindOf(err) != rebased.Conflict {
		return err
	}
	there, _, err := v.Objects.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("compare with what is there: %w", err)
	}
	if !bytes.Equal(there, body) {
		return rebased.E(rebased.Conflict, "%s: another object stands there; versions never change", key)
	}
	return nil
}
