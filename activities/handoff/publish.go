package handoff

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/rebased/rebased"
)

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
	for _, f := range append(files, v.fixed(manifestName, manifest)) {
		if err := v.putOnce(ctx, rebased.VersionKey(task, version, f.Name), f); err != nil {
			return err
		}
	}
	return nil
}

// putOnce writes an object that never changes: the same bytes being there is a success.
func (v Versions) putOnce(ctx context.Context, key string, f file) error {
	err := f.put(ctx, key)
	if rebased.KindOf(err) != rebased.Conflict {
		return err
	}
	there, err := v.digestOf(ctx, key)
	switch {
	case rebased.KindOf(err) == rebased.NotFound:
		return rebased.E(rebased.Unavailable, "%s: another writer was there and is not any more", key)
	case err != nil:
		return fmt.Errorf("compare with what is there: %w", err)
	case there.entry(f.Name, f.Rows) != f.Entry:
		return rebased.E(rebased.Conflict, "%s: another object stands there; versions never change", key)
	}
	return nil
}

// digestOf sums an object as it comes.
func (v Versions) digestOf(ctx context.Context, key string) (*digest, error) {
	body, err := v.Objects.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	sum := newDigest()
	_, err = io.Copy(sum, body)
	return sum, err
}
