package handoff

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/rebased/rebased"
)

// Reject records that a staged version is not to be released. It is idempotent: a build rejects a version once. A later build that makes the same version
// says so while it waits for approval. Errors: NotFound when there is no such version.
func (v Versions) Reject(ctx context.Context, task, version string, r Rejection) error {
	_, sum, err := v.manifest(ctx, task, version)
	if err != nil {
		return err
	}
	r.At = r.At.UTC()
	key := rebased.ReleaseKey(task, version)
	return v.swap(ctx, key, func(there []byte) ([]byte, error) {
		record := Record{Task: task, Version: version, Manifest: rebased.VersionKey(task, version, manifestName), ManifestSHA256: sum, Releases: []Release{}}
		if there != nil {
			if err := json.Unmarshal(there, &record); err != nil {
				return nil, rebased.E(rebased.Invalid, "%s: %w", key, err)
			}
		}
		if slices.ContainsFunc(record.Rejected, func(other Rejection) bool { return other.Build == r.Build }) {
			return nil, nil
		}
		record.Rejected = append(record.Rejected, r)
		return encodeJSON(record), nil
	})
}
