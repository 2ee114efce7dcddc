package rebased

import (
	"context"
	"fmt"
	"time"
)

// uploadUse is how long an upload may lie until its next use is noted. It is far below what collections of garbage let an upload lie.
const uploadUse = 12 * time.Hour

// KeepUpload tells whether an upload is there. If so it counts as new from now on, so that a collection of garbage leaves it.
func KeepUpload(ctx context.Context, objects Objects, key string) (there bool, err error) {
	var newest time.Time
	for object, err := range objects.List(ctx, key) {
		if err != nil {
			return false, fmt.Errorf("look for %s: %w", key, err)
		}
		if object.Key == key || object.Key == UploadUseKey(key) {
			there = there || object.Key == key
			newest = later(newest, object.Modified)
		}
	}
	if !there || time.Since(newest) < uploadUse {
		return there, nil
	}
	if _, err := objects.Put(ctx, UploadUseKey(key), nil); err != nil {
		return true, fmt.Errorf("note that %s is used: %w", key, err)
	}
	return true, nil
}

// PutUpload writes an upload, or finds that it is there, as KeepUpload.
func PutUpload(ctx context.Context, objects Objects, key string, body []byte) error {
	if there, err := KeepUpload(ctx, objects, key); err != nil || there {
		return err
	}
	return PutOnce(ctx, objects, key, body)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
