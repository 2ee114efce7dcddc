package handoff

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// RollbackInput is the decision to go back to an earlier version.
type RollbackInput struct {
	Task    string
	Version string // to go back to
	By      string
	Reason  string
	At      time.Time
}

// rollbackPrefix begins what stands for a build in the record of a release by rollback.
const rollbackPrefix = "rollback-"

// Made tells whether a build released the version, and not a rollback.
func (r Release) Made() bool { return !strings.HasPrefix(r.Build, rollbackPrefix) }

// Rollback makes a version that was released before the latest one again, and gives which version it took the place of. That one is marked, so that
// a later build which makes the same version waits for a person. The mark is written first: a rollback that is killed in between is repeated.
// With an error, replaced is empty when nothing was written.
// Errors: NotFound when there is no such version or none is released; Conflict when it is the latest already, was never released, or another
// release came between.
func (v Versions) Rollback(ctx context.Context, in RollbackInput) (replaced string, err error) {
	now, found, err := v.Latest(ctx, in.Task)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", rebased.E(rebased.NotFound, "task %s has no released version", in.Task)
	case now.Version == in.Version:
		return "", rebased.E(rebased.Conflict, "version %s of task %s is the latest already", in.Version, in.Task)
	}
	if _, _, err := v.manifest(ctx, in.Task, in.Version); err != nil {
		return "", err
	}
	record, err := v.Record(ctx, in.Task, in.Version)
	switch {
	case rebased.KindOf(err) == rebased.NotFound, err == nil && len(record.Releases) == 0:
		return "", rebased.E(rebased.Conflict, "version %s of task %s was never released: approve its build, or build again", in.Version, in.Task)
	case err != nil:
		return "", err
	case record.Collected != nil: // its files are about to go
		return "", v.missing(ctx, in.Task, in.Version)
	}
	at := in.At.UTC()
	if err := v.mark(ctx, now, Rollback{To: in.Version, By: in.By, Reason: in.Reason, At: at}); err != nil {
		return now.Version, err
	}
	release := ReleaseInput{
		Task: in.Task, Version: in.Version, Build: rollbackPrefix + at.Format("20060102-150405.000"), ApprovedBy: in.By, Reason: in.Reason, At: at,
	}
	if _, err := v.Release(ctx, release); err != nil {
		return now.Version, fmt.Errorf("version %s is marked as rolled back, %s is not yet the latest, run the same again: %w", now.Version, in.Version, err)
	}
	after, _, err := v.Latest(ctx, in.Task)
	if err == nil && after.Version != in.Version {
		err = rebased.E(rebased.Conflict, "version %s of task %s was released meanwhile, by build %s: look at it, then roll back again", after.Version, in.Task, after.Build)
	}
	return now.Version, err
}

// mark enters a rollback into the record of the version that is put aside.
func (v Versions) mark(ctx context.Context, from Latest, r Rollback) error {
	key := rebased.ReleaseKey(from.Task, from.Version)
	return v.swap(ctx, key, func(there []byte) ([]byte, error) {
		record := Record{Task: from.Task, Version: from.Version, Manifest: from.Manifest, ManifestSHA256: from.ManifestSHA256}
		if there != nil {
			if err := json.Unmarshal(there, &record); err != nil {
				return nil, rebased.E(rebased.Invalid, "%s: %w", key, err)
			}
		}
		record.RolledBack = append(record.RolledBack, r)
		return encodeJSON(record), nil
	})
}
