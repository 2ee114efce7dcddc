// Package s3 is the bucket over Amazon S3 and every server that speaks its protocol: the adapter of rebased.Objects that workers and the
// command line use.
//
// Credentials, region and endpoint come from the AWS SDK's own chain (AWS_*, profiles, instance roles; AWS_ENDPOINT_URL_S3 for another server).
// Calls are retried in this package alone (see retry.go); the SDK's retries are off.
package s3

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rebased/rebased"
)

// connections kept open to the bucket: what a build has in flight with every teacher slot in use.
const connections = 256

var _ rebased.Objects = (*Store)(nil)

// Store is a bucket, or the part of it under a prefix. It is safe for concurrent use.
type Store struct {
	client *s3.Client
	bucket string
	prefix string // "" or ending in '/'
	pace   pace
	watch  Watch
	source bool // a bucket that datasets are read from, not REBASED_STORE
}

// Watch is told of each request, for metrics and traces: what is done with an object (get, put, list, delete, look, abort), and what came of it, an error
// with a kind. The request runs under the context that it gives.
type Watch func(ctx context.Context, operation string) (context.Context, func(error))

// Watched gives the store with its requests watched.
func (s *Store) Watched(w Watch) *Store {
	watched := *s
	watched.watch = w
	return &watched
}

// Open makes a store of s3://bucket[/prefix]. It reads the SDK's settings and connects to nothing: Ping tells whether the bucket can be used.
// A wrong address or setting is Invalid.
func Open(ctx context.Context, storeURI string) (*Store, error) {
	bucket, prefix, err := parse(storeURI)
	if err != nil {
		return nil, err
	}
	settings, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(httpClient()))
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "read the AWS settings: %s", oneLine(err.Error()))
	}
	if settings.Credentials != nil {
		settings.Credentials = credentials{settings.Credentials}
	}
	client := s3.NewFromConfig(settings, options)
	if client.Options().Region == "" {
		return nil, rebased.E(rebased.Invalid, "no AWS region is set: set AWS_REGION, or AWS_ENDPOINT_URL_S3 for another server")
	}
	return &Store{client: client, bucket: bucket, prefix: prefix, pace: defaultPace()}, nil
}

// URI is the address of a key for people and for other programs: s3://bucket/prefix/key.
func (s *Store) URI(key string) string { return "s3://" + s.bucket + "/" + s.prefix + key }

func parse(storeURI string) (bucket, prefix string, err error) {
	path, isS3 := strings.CutPrefix(storeURI, "s3://")
	bucket, prefix, _ = strings.Cut(path, "/")
	if !isS3 || bucket == "" || strings.ContainsAny(bucket, "?#@:\\ ") {
		return "", "", rebased.E(rebased.Invalid, "the store must be s3://bucket[/prefix], got %q: set REBASED_STORE", storeURI)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return bucket, prefix, nil
}

// options fits the client to its endpoint. Another server than AWS is addressed by path and without AWS's checksum trailers, which many do not
// know: there the signature carries the SHA-256 of every body that is sent.
func options(o *s3.Options) {
	o.Retryer = aws.NopRetryer{}
	if o.BaseEndpoint == nil {
		return
	}
	o.UsePathStyle = true
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	if o.Region == "" {
		o.Region = "us-east-1" // a name to sign with; what other servers expect when none is said
	}
}

func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 2 * connections // credentials are fetched by the same client
			t.MaxIdleConnsPerHost = connections
		})
}
