package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities/ingest"
)

// Origin reads datasets of any bucket that the credentials may read, for an import: s3://bucket/prefix, laid out as a folder is, or one object.
type Origin struct {
	mu     sync.Mutex
	stores map[string]*Store // by bucket
}

var _ ingest.Origin = (*Origin)(nil)

const (
	maxListed      = 200_000  // objects under one prefix
	maxListingBody = 64 << 20 // of datasets.jsonl
)

// List implements ingest.Origin.
func (o *Origin) List(ctx context.Context, source string) (ingest.Listing, error) {
	store, key, err := o.open(ctx, source)
	if err != nil {
		return ingest.Listing{}, err
	}
	key = strings.Trim(key, "/")
	files, err := store.filesUnder(ctx, key)
	if err != nil {
		return ingest.Listing{}, err
	}
	if len(files) == 0 {
		return ingest.Listing{}, rebased.E(rebased.NotFound, "there is no such object, and none under it")
	}
	var listing io.Reader
	for _, file := range files {
		if file.Path != ingest.ListingName {
			continue
		}
		if file.Size > maxListingBody {
			return ingest.Listing{}, rebased.E(rebased.Invalid, "%s has %d bytes, at most %d are read", ingest.ListingName, file.Size, maxListingBody)
		}
		body, _, err := store.Get(ctx, strings.TrimPrefix(key+"/"+ingest.ListingName, "/"))
		if err != nil {
			return ingest.Listing{}, err
		}
		listing = bytes.NewReader(body)
	}
	return ingest.Arrange(path.Base(key), files, listing), nil
}

// filesUnder lists the objects under a folder's key, or the one object that has the key itself, in which case Path is its name.
func (s *Store) filesUnder(ctx context.Context, key string) (files []rebased.Source, err error) {
	prefix := key
	if key != "" {
		prefix += "/"
	}
	take := func(object rebased.Object, name string) {
		files = append(files, rebased.Source{
			Path: name, Size: object.Size, ETag: strings.Trim(object.ETag, `"`), Address: "s3://" + s.bucket + "/" + object.Key,
		})
	}
	for object, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(object.Key, "/") {
			continue // the mark of a folder
		}
		if len(files) == maxListed {
			return nil, rebased.E(rebased.Invalid, "more than %d objects: name a smaller prefix", maxListed)
		}
		take(object, strings.TrimPrefix(object.Key, prefix))
	}
	if len(files) > 0 || key == "" {
		return files, nil
	}
	for object, err := range s.List(ctx, key) {
		if err == nil && object.Key == key {
			take(object, path.Base(key))
		}
		return files, err
	}
	return nil, nil
}

// Open implements ingest.Origin. Every piece is of the object that was listed, by its ETag.
func (o *Origin) Open(ctx context.Context, file rebased.Source) (io.ReadCloser, error) {
	store, key, err := o.open(ctx, file.Address)
	if err != nil {
		return nil, err
	}
	if file.Size == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return pinned{&reader{store: store, ctx: ctx, key: key, etag: `"` + file.ETag + `"`, size: file.Size}}, nil
}

// pinned reads an object as it was listed.
type pinned struct{ *reader }

// Read implements io.Reader.
func (p pinned) Read(b []byte) (int, error) {
	n, err := p.reader.Read(b)
	if rebased.KindOf(err) == rebased.Conflict {
		err = rebased.E(rebased.Conflict, "the object has changed since it was listed: import again")
	}
	return n, err
}

// open gives the store of an address's bucket, whole, and the key.
func (o *Origin) open(ctx context.Context, address string) (*Store, string, error) {
	rest, isS3 := strings.CutPrefix(address, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !isS3 || bucket == "" {
		return nil, "", rebased.E(rebased.Invalid, "must be s3://bucket[/prefix]")
	}
	o.mu.Lock()
	store := o.stores[bucket]
	o.mu.Unlock()
	if store != nil {
		return store, key, nil
	}
	store, err := openSource(ctx, bucket)
	if err != nil {
		return nil, "", err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stores == nil {
		o.stores = map[string]*Store{}
	}
	o.stores[bucket] = store
	return store, key, nil
}

// openSource makes the store of a bucket in whatever region it is.
func openSource(ctx context.Context, bucket string) (*Store, error) {
	store, err := Open(ctx, "s3://"+bucket)
	if err != nil {
		return nil, err
	}
	store.source = true
	region, err := store.region(ctx)
	if err != nil {
		return nil, err
	}
	if options := store.client.Options(); region != "" && region != options.Region {
		store.client = s3.New(options, func(o *s3.Options) { o.Region = region })
	}
	return store, nil
}

// region asks for the bucket's region, which S3 tells with every answer, a refusal too; "" where the server does not. What else is wrong with the bucket
// the calls to come tell.
func (s *Store) region(ctx context.Context) (region string, err error) {
	err = s.retry(ctx, "look for bucket "+s.bucket, 0, func(ctx context.Context, _ func(int64)) error {
		out, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(s.bucket)})
		if err == nil {
			region = aws.ToString(out.BucketRegion)
			return nil
		}
		var response *smithyhttp.ResponseError
		if errors.As(err, &response) && response.Response != nil {
			region = response.Response.Header.Get("X-Amz-Bucket-Region")
		}
		return err
	})
	if kind := rebased.KindOf(err); ctx.Err() == nil && kind != rebased.Unavailable && kind != rebased.Throttled {
		err = nil
	}
	return region, err
}
