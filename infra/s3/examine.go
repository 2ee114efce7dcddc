package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rebased/rebased"
)

// What a person asks about a bucket beside Ping. Each works under probes/, on a key of its own, and leaves nothing behind.

// Read proves that what is written can be read and listed.
func (s *Store) Read(ctx context.Context) error {
	key, body := "probes/"+rand.Text(), []byte("probe")
	return s.probing(ctx, key, func() error {
		if _, err := s.Put(ctx, key, body); err != nil {
			return err
		}
		got, _, err := s.Get(ctx, key)
		switch {
		case err != nil:
			return err
		case !bytes.Equal(got, body):
			return rebased.E(rebased.Invalid, "bucket %s gives other bytes than were written", s.bucket)
		}
		for found, err := range s.List(ctx, key) {
			if err != nil {
				return err
			}
			if found.Key == key {
				return nil
			}
		}
		return rebased.E(rebased.Invalid, "bucket %s does not list what was just written: use a server that does at once", s.bucket)
	})
}

// Upload proves that an object can be sent in parts, under the condition that its key is free, and that an upload can be aborted.
func (s *Store) Upload(ctx context.Context) error {
	key := "probes/" + rand.Text()
	return s.probing(ctx, key, func() error {
		if err := s.uploadOnce(ctx, key); err != nil {
			return err
		}
		if err := s.uploadOnce(ctx, key); rebased.KindOf(err) != rebased.Conflict {
			return s.unconditional("If-None-Match at the end of a multipart upload", err)
		}
		u, err := s.begin(ctx, key)
		if err == nil {
			err = u.abort(ctx)
		}
		return err
	})
}

// uploadOnce sends an object of one part. What a refused one leaves is dropped.
func (s *Store) uploadOnce(ctx context.Context, key string) error {
	u, err := s.begin(ctx, key)
	if err != nil {
		return err
	}
	if err = u.part(ctx, []byte("probe")); err == nil {
		err = u.complete(ctx)
	}
	if err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupWait)
		defer cancel()
		_ = u.abort(cleanup)
	}
	return err
}

// probing runs a probe and removes its object.
func (s *Store) probing(ctx context.Context, key string, probe func() error) error {
	err := probe()
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupWait)
	defer cancel()
	if deleted := s.Delete(cleanup, key); err == nil {
		err = deleted
	}
	return err
}

// cleanupWait bounds how long a probe is tidied up.
const cleanupWait = 10 * time.Second

// Skew is how far this machine's clock is before the bucket's, to a second, and how long the bucket took to answer.
func (s *Store) Skew(ctx context.Context) (skew, took time.Duration, err error) {
	err = s.retry(ctx, "look at the clock", 0, func(ctx context.Context, _ func(int64)) error {
		one := int32(1)
		start := time.Now()
		out, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.key("probes/"), MaxKeys: &one})
		if err != nil {
			return err
		}
		took = time.Since(start)
		said, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
		if !ok || said.IsZero() {
			return rebased.E(rebased.NotFound, "the server says no time")
		}
		skew = start.Add(took / 2).Sub(said).Round(time.Second)
		return nil
	})
	return skew, took, err
}
