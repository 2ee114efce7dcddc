package s3

import (
	"bytes"
	"context"
	"io"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rebased/rebased"
)

// MaxBody is the size of the largest object that Get reads into memory, in bytes.
const MaxBody = 1 << 30

// Get implements rebased.Objects. An object over MaxBody is Invalid.
func (s *Store) Get(ctx context.Context, key string) (body []byte, etag string, err error) {
	err = s.retry(ctx, "get "+key, 0, func(ctx context.Context, follow func(int64)) error {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(key)})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		size := aws.ToInt64(out.ContentLength)
		if size > MaxBody {
			return rebased.E(rebased.Invalid, "the object has %d bytes, at most %d can be read", size, MaxBody)
		}
		follow(size)
		body, err = readAll(out.Body, size)
		etag = aws.ToString(out.ETag)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return body, etag, nil
}

// readAll reads to the end, where the transport and the SDK check length and checksum.
func readAll(r io.Reader, size int64) ([]byte, error) {
	buffer := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	n, err := buffer.ReadFrom(io.LimitReader(r, MaxBody+1))
	switch {
	case err != nil:
		return nil, rebased.E(rebased.Unavailable, "the body broke off after %d bytes: %w", n, err)
	case n > MaxBody:
		return nil, rebased.E(rebased.Invalid, "the object has more than the %d bytes that can be read", MaxBody)
	}
	return buffer.Bytes(), nil
}

// Put implements rebased.Objects.
func (s *Store) Put(ctx context.Context, key string, body []byte) (etag string, err error) {
	err = s.retry(ctx, "put "+key, len(body), func(ctx context.Context, _ func(int64)) error {
		etag, err = s.put(ctx, s.putInput(key), body)
		return err
	})
	return etag, err
}

// put sends one request. The body's reader is made anew for each attempt.
func (s *Store) put(ctx context.Context, in *s3.PutObjectInput, body []byte) (etag string, err error) {
	in.Body = bytes.NewReader(body)
	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

func (s *Store) putInput(key string) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: &s.bucket, Key: s.key(key)}
}

// Delete implements rebased.Objects.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := s.retry(ctx, "delete "+key, 0, func(ctx context.Context, _ func(int64)) error {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(key)})
		if codeOf(err) == "NoSuchKey" {
			return nil
		}
		return err
	})
	return err
}

// List implements rebased.Objects. It asks for a page of up to 1,000 keys at a time.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[rebased.Object, error] {
	return func(yield func(rebased.Object, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.key(prefix)}
		for {
			page, err := s.page(ctx, prefix, in)
			if err != nil {
				yield(rebased.Object{}, err)
				return
			}
			for _, found := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(found.Key), s.prefix)
				if !yield(rebased.Object{Key: key, Size: aws.ToInt64(found.Size), ETag: aws.ToString(found.ETag), Modified: aws.ToTime(found.LastModified)}, nil) {
					return
				}
			}
			if in.ContinuationToken = page.NextContinuationToken; in.ContinuationToken == nil {
				return
			}
		}
	}
}

func (s *Store) page(ctx context.Context, prefix string, in *s3.ListObjectsV2Input) (page *s3.ListObjectsV2Output, err error) {
	err = s.retry(ctx, "list "+prefix+"*", 0, func(ctx context.Context, _ func(int64)) error {
		page, err = s.client.ListObjectsV2(ctx, in)
		return err
	})
	return page, err
}

func (s *Store) key(key string) *string { return aws.String(s.prefix + key) }
