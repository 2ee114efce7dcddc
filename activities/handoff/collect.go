package handoff

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// Collected says when and why the files of a version were removed.
type Collected struct {
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// CollectInput names a version that is not needed any more.
type CollectInput struct {
	Task     string
	Version  string
	Releases int // that its record held when that was decided
	Collected
}

// Collect removes the files of a version. Its release record, where there is one, stays and says so. It is idempotent; removed is told of each object.
//
// The mark in the record comes first: from then on no rollback leads to the version. Then the manifest goes, and with it the version, since a folder
// without one is none: whoever finds a manifest finds all that it lists. A version that was released again meanwhile, or is the latest, is Conflict, and
// stays whole.
func (v Versions) Collect(ctx context.Context, in CollectInput, removed func(rebased.Object)) error {
	if err := v.markCollected(ctx, in); err != nil {
		return err
	}
	latest, found, err := v.Latest(ctx, in.Task)
	switch {
	case err != nil:
		return err
	case found && latest.Version == in.Version:
		if err := v.Uncollect(ctx, in.Task, in.Version); err != nil {
			return err
		}
		return rebased.E(rebased.Conflict, "version %s of task %s is the latest", in.Version, in.Task)
	}
	manifest := rebased.VersionKey(in.Task, in.Version, manifestName)
	for _, prefix := range []string{manifest, rebased.VersionKey(in.Task, in.Version) + "/"} {
		for object, err := range v.Objects.List(ctx, prefix) {
			if err != nil {
				return fmt.Errorf("list version %s of %s: %w", in.Version, in.Task, err)
			}
			if err := v.Objects.Delete(ctx, object.Key); err != nil {
				return err
			}
			removed(object)
		}
	}
	return nil
}

func (v Versions) markCollected(ctx context.Context, in CollectInput) error {
	return v.changeRecord(ctx, in.Task, in.Version, func(record *Record) (changed bool, err error) {
		if len(record.Releases) != in.Releases {
			return false, rebased.E(rebased.Conflict, "version %s of task %s was released again", in.Version, in.Task)
		}
		if record.Collected != nil {
			return false, nil
		}
		record.Collected = &in.Collected
		return true, nil
	})
}

// Uncollect takes the mark off a version whose manifest is there, which is therefore whole.
func (v Versions) Uncollect(ctx context.Context, task, version string) error {
	return v.changeRecord(ctx, task, version, func(record *Record) (changed bool, err error) {
		changed = record.Collected != nil
		record.Collected = nil
		return changed, nil
	})
}

func (v Versions) changeRecord(ctx context.Context, task, version string, change func(*Record) (bool, error)) error {
	key := rebased.ReleaseKey(task, version)
	return v.swap(ctx, key, func(there []byte) ([]byte, error) {
		if there == nil { // it was never released
			return nil, nil
		}
		var record Record
		if err := json.Unmarshal(there, &record); err != nil {
			return nil, rebased.E(rebased.Invalid, "%s: %w", key, err)
		}
		changed, err := change(&record)
		if err != nil || !changed {
			return nil, err
		}
		return encodeJSON(record), nil
	})
}

// missing is the error of a version that is not there.
func (v Versions) missing(ctx context.Context, task, version string) error {
	if record, err := v.Record(ctx, task, version); err == nil && record.Collected != nil {
		return rebased.E(rebased.NotFound, "task %s has no version %s any more: it was collected on %s, %s", task, version,
			record.Collected.At.UTC().Format(time.DateOnly), record.Collected.Why)
	}
	return rebased.E(rebased.NotFound, "task %s has no version %s: rebased versions ls %s lists those there are", task, version, task)
}

// Kept is what the bucket holds of one task's versions.
type Kept struct {
	Task     string
	Latest   string // "" = none
	Versions []KeptVersion
}

// KeptVersion is a version's folder, with its release record, of which each may be there without the other.
type KeptVersion struct {
	Name    string
	Whole   bool // there is a manifest
	Record  *Record
	Objects int
	Bytes   int64
	Newest  time.Time // when the last object was written
}

// LastReleased is when a version was last made the latest; zero when it never was.
func (k KeptVersion) LastReleased() time.Time {
	if k.Record == nil || len(k.Record.Releases) == 0 {
		return time.Time{}
	}
	return k.Record.Releases[len(k.Record.Releases)-1].ReleasedAt
}

// All lists what the bucket holds of all versions, by task and version.
func (v Versions) All(ctx context.Context) (all []Kept, err error) {
	for object, err := range v.Objects.List(ctx, datasetsPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list the versions: %w", err)
		}
		task, rest, ok := strings.Cut(strings.TrimPrefix(object.Key, datasetsPrefix), "/")
		if !ok {
			continue
		}
		if len(all) == 0 || all[len(all)-1].Task != task {
			all = append(all, Kept{Task: task})
		}
		if err := v.enter(ctx, &all[len(all)-1], object, rest); err != nil {
			return nil, err
		}
	}
	return all, nil
}

const datasetsPrefix = "datasets/"

// enter takes one object of a task in.
func (v Versions) enter(ctx context.Context, k *Kept, object rebased.Object, rest string) error {
	switch folder, name, _ := strings.Cut(rest, "/"); {
	case object.Key == rebased.LatestKey(k.Task):
		latest, _, err := v.Latest(ctx, k.Task)
		k.Latest = latest.Version
		return err
	case folder == "releases":
		version, ok := strings.CutSuffix(name, ".json")
		if !ok {
			return nil
		}
		record, err := v.Record(ctx, k.Task, version)
		k.version(version).Record = &record
		return err
	case name != "" && isVersion(folder):
		of := k.version(folder)
		of.Whole = of.Whole || name == manifestName
		of.Objects++
		of.Bytes += object.Size
		if object.Modified.After(of.Newest) {
			of.Newest = object.Modified
		}
	}
	return nil
}

func (k *Kept) version(name string) *KeptVersion {
	for i := range k.Versions {
		if k.Versions[i].Name == name {
			return &k.Versions[i]
		}
	}
	k.Versions = append(k.Versions, KeptVersion{Name: name})
	return &k.Versions[len(k.Versions)-1]
}

// isVersion tells a version's name from what else may stand in a task's folder.
func isVersion(name string) bool {
	return len(name) == versionLength && strings.Trim(name, "0123456789abcdef") == ""
}
