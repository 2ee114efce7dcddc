package s3

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/rebased/rebased"
)

// Ping proves that the bucket can be written, that it honours the conditions on which compare-and-swap rests, and that it can be deleted from.
// It leaves nothing behind. The error is one line that says what does not work: Invalid for a server without conditional writes.
func (s *Store) Ping(ctx context.Context) error {
	key := "probes/" + rand.Text()
	etag, err := s.PutIfAbsent(ctx, key, []byte("probe"))
	if err != nil {
		return err
	}
	probe := s.probe(ctx, key, etag)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.Delete(cleanup, key); err != nil && probe == nil {
		return err
	}
	return probe
}

func (s *Store) probe(ctx context.Context, key, etag string) error {
	if _, err := s.PutIfAbsent(ctx, key, []byte("again")); rebased.KindOf(err) != rebased.Conflict {
		return s.unconditional("If-None-Match", err)
	}
	newETag, err := s.PutIfMatch(ctx, key, etag, []byte("changed"))
	if err != nil {
		return err
	}
	if newETag == etag {
		return rebased.E(rebased.Invalid, "bucket %s gives equal ETags to different bodies: use a server whose ETags tell bodies apart", s.bucket)
	}
	if _, err := s.PutIfMatch(ctx, key, etag, []byte("again")); rebased.KindOf(err) != rebased.Conflict {
		return s.unconditional("If-Match", err)
	}
	return nil
}

// unconditional is the error of a put that should have been refused.
func (s *Store) unconditional(header string, err error) error {
	if err != nil {
		return err
	}
	return rebased.E(rebased.Invalid, "bucket %s ignores %s: use a server that honours conditional writes", s.bucket, header)
}
