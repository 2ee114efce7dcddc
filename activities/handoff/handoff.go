// Package handoff makes an immutable, documented version out of the examples of a build, and releases it. It stands at the end of a build,
// after dedupe; training pipelines, exports and the command line read what it wrote.
//
// A version is a folder of the bucket: Parquet with every column, JSONL in the formats that trainers read, a dataset card, the task file and
// manifest.json, which lists them all with their SHA-256. The version's name is the start of the manifest's own SHA-256. All bytes follow from
// the input alone, so the same rows give the same version, whichever build made them. The manifest is written last: a folder without one is
// no version, and making it again completes it.
//
// The rows are read part by part, in several passes, and a version holds a bounded number of them in memory however many it has.
//
// A release makes a version the latest of its task. See Release for what happens when two are released at once.
package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/rebased/rebased"
)

// Versions makes, releases and reads the versions of all tasks.
type Versions struct {
	Objects  rebased.Objects
	Examples rebased.Table[rebased.Example]
	limits   limits // of a Parquet file; zero = limitsOf its split, others in tests
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
	Steps     []StepCount            // in the order of the flow
	Given     map[rebased.Reason]int // of those that dedupe rejected, the ones that repeat given rows
	Tokens    rebased.Usage          // of the answers used, rejected rows included
	// Benchmarks are the files that the rows were held against.
	Benchmarks []Benchmark
	// Rows are the examples, in order. Each part is read several times and must be the same each time.
	Rows    Parts
	Removed Removed // nil = none
	// Tokenizer counts for the student that the task names; nil = tokens are not counted.
	Tokenizer Tokenizer
	Sources   Sources // nil = the report shows no source rows
	Staging   string  // folder of the bucket for intermediate files; no part of the version
}

// Removed visits the rows that deduplication removed.
type Removed func(ctx context.Context, visit func(*rebased.Reject)) error

// Sources finds the rows of the corpus that rows were made of.
type Sources func(ctx context.Context, wanted map[rebased.RowID]struct{}) (map[rebased.RowID]rebased.Candidate, error)

// Parts are rows that are read a part at a time.
type Parts struct {
	Count int
	Read  func(ctx context.Context, part int) ([]rebased.Example, error)
}

// Staged is a version that is complete in the bucket.
type Staged struct {
	Version        string
	ManifestSHA256 string
	Manifest       Manifest
	Released       bool // it is the latest of its task already
	// Unstarted is the build that made it the latest where the task hands it to a workflow and no start of that is recorded; "" = else.
	Unstarted string
	// Due are the targets that the version was not handed to, or that did not get it; Undelivered says what went wrong, a sentence each. Both of the latest
	// version of its task alone.
	Due, Undelivered []string
	// Closed are the gates of the task that the version does not pass, a sentence each, judged against what is the latest version now.
	Closed []string
}

// Stage writes a version, or finds that it is there. It is idempotent. Errors: Invalid when no row is left or the counts do not add up,
// Conflict when another file stands in the version's place.
func (v Versions) Stage(ctx context.Context, in Input) (Staged, error) {
	rows := newRows(in.Rows)
	survey, err := newSurvey(ctx, rows, in.Removed, measuresOf(in.Task, in.Tokenizer), in.Task.Output.Validation)
	if err != nil {
		return Staged{}, err
	}
	if err := survey.pick.source(ctx, in.Sources); err != nil {
		return Staged{}, err
	}
	manifest, err := newManifest(in, survey)
	if err != nil {
		return Staged{}, err
	}
	files, err := v.files(ctx, in, splitRows{rows, survey.splits}, &manifest, report(in.Task, manifest, survey))
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
	if err != nil {
		return staged, err
	}
	if staged.Released = found && latest.Version == staged.Version; staged.Released {
		return v.handed(ctx, in.Task.Handoff.Targets(), latest, staged)
	}
	before := 0
	if found && in.Task.Gates.MaxDrop > 0 {
		m, _, err := v.manifest(ctx, in.Task.Name, latest.Version)
		if err != nil {
			return Staged{}, err
		}
		before = m.rows()
	}
	staged.Closed = manifest.Quality.closed(in.Task.Gates, survey.rows, before)
	record, err := v.Record(ctx, in.Task.Name, staged.Version)
	if rebased.KindOf(err) == rebased.NotFound {
		return staged, nil
	}
	if refused := record.refused(); refused != "" {
		staged.Closed = append(staged.Closed, refused)
	}
	return staged, err
}

// handed adds what became of the hand-off of the latest version, which may be the work of an earlier build that was ended in between.
func (v Versions) handed(ctx context.Context, targets []string, latest Latest, staged Staged) (Staged, error) {
	if len(targets) == 0 {
		return staged, nil
	}
	record, err := v.Record(ctx, latest.Task, latest.Version)
	if err != nil {
		return staged, err
	}
	release := record.madeBy()
	if release == nil || release.Build != latest.Build { // it is the latest by a rollback
		return staged, nil
	}
	staged.Due, staged.Undelivered = record.undelivered(targets)
	if slices.Contains(staged.Due, rebased.TargetWorkflow) {
		staged.Unstarted = release.Build
	}
	return staged, nil
}

// versionLength is that of a version's name, hex digits.
const versionLength = 12

func versionOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:versionLength/2]) }
