package s3

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rebased/rebased"
)

// A conditional put whose reply was lost may have been done. Sent again, it meets its own object and is refused, and to report that Conflict
// would make the one winner a loser. So each such call writes a mark of its own into the object's metadata, and a refusal that follows an attempt
// of unknown outcome is checked against the mark of the object that is there: with our mark the put was done. ETags and bytes could not tell,
// since another writer may have put the same bytes.

// markName is the object's metadata entry (x-amz-meta-…) that holds the mark.
const markName = "rebased-write"

// PutIfAbsent implements rebased.Objects. After Unavailable or Throttled the object may have been written all the same.
func (s *Store) PutIfAbsent(ctx context.Context, key string, body []byte) (etag string, err error) {
	in := s.putInput(key)
	in.IfNoneMatch = aws.String("*")
	return s.putIf(ctx, key, in, body)
}

// PutIfMatch implements rebased.Objects. After Unavailable or Throttled the object may have been written all the same.
func (s *Store) PutIfMatch(ctx context.Context, key, etag string, body []byte) (newETag string, err error) {
	if etag == "" {
		return "", &rebased.Error{Kind: rebased.Invalid, Op: "put " + key, Err: errors.New("an ETag is required")}
	}
	in := s.putInput(key)
	in.IfMatch = &etag
	return s.putIf(ctx, key, in, body)
}

func (s *Store) putIf(ctx context.Context, key string, in *s3.PutObjectInput, body []byte) (etag string, err error) {
	mark := rand.Text()
	in.Metadata = map[string]string{markName: mark}
	doubt := false // an earlier attempt of this call may have been done
	err = s.retry(ctx, "put "+key, len(body), func(ctx context.Context, _ func(int64)) error {
		etag, err = s.put(ctx, in, body)
		if !refused(err) {
			doubt = true
			return err
		}
		conflict := &rebased.Error{Kind: rebased.Conflict, Err: s.describe(err)}
		if !doubt {
			return conflict
		}
		found, ours, err := s.written(ctx, key, mark)
		if err == nil && !ours {
			return conflict
		}
		etag = found
		return err
	})
	if err != nil {
		return "", err
	}
	return etag, nil
}

// refused reports whether the condition did not hold; If-Match on a key that is gone is answered with NoSuchKey.
func refused(err error) bool { return statusOf(err) == 412 || codeOf(err) == "NoSuchKey" }

// written tells whether the object at a key carries a mark.
func (s *Store) written(ctx context.Context, key, mark string) (etag string, ours bool, err error) {
	etag, there, err := s.look(ctx, key)
	return etag, there != nil && *there == mark, err
}

// look gives the ETag and the mark of the object at a key, a nil mark when there is no object.
func (s *Store) look(ctx context.Context, key string) (etag string, mark *string, err error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	switch {
	case statusOf(err) == 404:
		return "", nil, nil
	case err != nil:
		return "", nil, err
	}
	return aws.ToString(out.ETag), aws.String(out.Metadata[markName]), nil
}

func (s *Store) exists(ctx context.Context, key string) (there bool, err error) {
	err = s.retry(ctx, "look at "+key, 0, func(ctx context.Context, _ func(int64)) error {
		_, mark, err := s.look(ctx, key)
		there = mark != nil
		return err
	})
	return there, err
}
