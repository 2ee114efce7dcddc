package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rebased/rebased"
)

// upload is an object that is sent in parts. It carries a mark as conditional puts do (see conditional.go).
type upload struct {
	store *Store
	key   string
	id    *string
	mark  string
	parts []types.CompletedPart
}

// begin opens an upload. One whose answer was lost stays without a part.
func (s *Store) begin(ctx context.Context, key string) (*upload, error) {
	u := &upload{store: s, key: key, mark: rand.Text()}
	in := &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: s.key(key), Metadata: map[string]string{markName: u.mark}}
	if s.client.Options().RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32 // the one that the SDK computes for each part
	}
	err := s.retry(ctx, "put "+key, 0, func(ctx context.Context, _ func(int64)) error {
		out, err := s.client.CreateMultipartUpload(ctx, in)
		if err == nil {
			u.id = out.UploadId
		}
		return err
	})
	return u, err
}

// part sends the next part; sent again it replaces itself.
func (u *upload) part(ctx context.Context, body []byte) error {
	number := aws.Int32(int32(len(u.parts)) + 1) //nolint:gosec // the server refuses more than 10,000
	return u.store.retry(ctx, "put "+u.key, len(body), func(ctx context.Context, _ func(int64)) error {
		out, err := u.store.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &u.store.bucket, Key: u.store.key(u.key), UploadId: u.id, PartNumber: number, Body: bytes.NewReader(body),
		})
		if err == nil {
			u.parts = append(u.parts, types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
		}
		return err
	})
}

var errUploadGone = errors.New("the upload is gone and the object is not there")

// complete makes the object. After an attempt of unknown outcome the answers of later ones prove nothing: a server may call an upload gone that it
// has completed, or completed while it still decides on the condition. Then the mark of the object at the key is what counts.
func (u *upload) complete(ctx context.Context) error {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.store.bucket, Key: u.store.key(u.key), UploadId: u.id, IfNoneMatch: aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}
	doubt := false // an earlier attempt may have been done
	return u.store.retry(ctx, "put "+u.key, 0, func(ctx context.Context, follow func(int64)) error {
		follow(int64(len(u.parts)) * pieceSize) // the server may copy all parts before it answers
		_, err := u.store.client.CompleteMultipartUpload(ctx, in)
		final := err == nil || refused(err) || codeOf(err) == "NoSuchUpload"
		switch {
		case doubt && final:
			return u.settle(ctx)
		case refused(err):
			return &rebased.Error{Kind: rebased.Conflict, Err: u.store.describe(err)}
		case codeOf(err) == "NoSuchUpload":
			return rebased.E(rebased.Unavailable, "%w", errUploadGone) // another program aborted it: it can be sent again from the start
		}
		doubt = doubt || err != nil
		return err
	})
}

// settle looks whose object is there.
func (u *upload) settle(ctx context.Context) error {
	_, mark, err := u.store.look(ctx, u.key)
	switch {
	case err != nil:
		return err
	case mark == nil:
		return rebased.E(rebased.Unavailable, "%w", errUploadGone)
	case *mark != u.mark:
		return rebased.E(rebased.Conflict, "the object exists")
	}
	return nil
}

func (u *upload) abort(ctx context.Context) error {
	return u.store.retry(ctx, "abort "+u.key, 0, func(ctx context.Context, _ func(int64)) error {
		_, err := u.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &u.store.bucket, Key: u.store.key(u.key), UploadId: u.id,
		})
		return err
	})
}
