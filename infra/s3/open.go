package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rebased/rebased"
)

// pieceSize is how much of an object that is streamed is in memory at a time, in bytes. S3 takes parts of an upload from 5 MiB on, and at most
// 10,000 of them: objects of up to 78 GiB.
const pieceSize = 8 << 20

// Open implements rebased.Objects. An object is read piece by piece, each a call of its own, so that one that breaks off is read again and a
// reader may take its time between two. All pieces are of the object that was there at first, by its ETag.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	r := &reader{store: s, ctx: ctx, key: key}
	if err := r.next(); err != nil {
		return nil, err
	}
	return r, nil
}

type reader struct {
	store *Store
	ctx   context.Context //nolint:containedctx // the calls that a Read makes belong to the caller of Open
	key   string
	etag  string // "" before the first piece
	piece []byte // what is left of it
	after int64  // where the next piece begins
	size  int64  // of the object
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, ended(r.ctx, "get "+r.key)
	}
	if len(r.piece) == 0 && r.after < r.size {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	if len(r.piece) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// Close implements io.Closer. Between two pieces nothing is open.
func (r *reader) Close() error {
	r.piece, r.after = nil, r.size
	return nil
}

func (r *reader) next() error {
	return r.store.retry(r.ctx, "get "+r.key, 0, func(ctx context.Context, follow func(int64)) error {
		in := &s3.GetObjectInput{
			Bucket: &r.store.bucket, Key: r.store.key(r.key), Range: aws.String(fmt.Sprintf("bytes=%d-%d", r.after, r.after+pieceSize-1)),
		}
		if r.etag != "" {
			in.IfMatch = &r.etag
		}
		out, err := r.store.client.GetObject(ctx, in)
		if r.etag == "" && statusOf(err) == 416 {
			return nil // an object without a byte has no range
		}
		if err != nil {
			return err
		}
		defer out.Body.Close()
		return r.take(out, follow)
	})
}

var errNoRange = errors.New("the server does not say which part of the object it sends")

// take reads a piece, and learns the object's size and ETag from its answer.
func (r *reader) take(out *s3.GetObjectOutput, follow func(int64)) error {
	length := aws.ToInt64(out.ContentLength)
	size := r.after + length // of an object that is sent whole, without a range
	if said := aws.ToString(out.ContentRange); said != "" {
		_, total, _ := strings.Cut(said, "/")
		n, err := strconv.ParseInt(total, 10, 64)
		if err != nil || !strings.HasPrefix(said, fmt.Sprintf("bytes %d-", r.after)) || r.after+length > n {
			return rebased.E(rebased.Unavailable, "%w: Content-Range is %q", errNoRange, said)
		}
		size = n
	} else if r.after > 0 || length > pieceSize {
		return rebased.E(rebased.Invalid, "%w", errNoRange)
	}
	follow(length)
	piece, err := readAll(out.Body, length)
	if err != nil {
		return err
	}
	if len(piece) == 0 && size > r.after {
		return rebased.E(rebased.Unavailable, "an answer without a byte of the %d that are left", size-r.after)
	}
	r.piece, r.after, r.size, r.etag = piece, r.after+int64(len(piece)), size, aws.ToString(out.ETag)
	return nil
}
