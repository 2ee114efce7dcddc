package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	vendor "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/rebased/rebased/infra/local/s3"
)

// gateway is one gateway for all cases, since the library allows one a process.
func gateway(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	server, err := s3.New(s3.Config{
		Dir: t.TempDir(), Address: address, AccessKey: "access", SecretKey: "secret", Region: "us-east-1", Bucket: "rebased",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	for {
		resp, err := http.Get("http://" + address + s3.HealthPath)
		if err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK {
			return address
		}
		select {
		case err := <-ended:
			t.Fatalf("the gateway ended: %v", err)
		default:
		}
	}
}

func client(address, access, secret string) *vendor.Client {
	return vendor.New(vendor.Options{
		BaseEndpoint: aws.String("http://" + address), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, ""),
	})
}

func put(c *vendor.Client, key, body string, conditions ...func(*vendor.PutObjectInput)) (etag string, err error) {
	in := &vendor.PutObjectInput{Bucket: aws.String("rebased"), Key: &key, Body: bytes.NewReader([]byte(body))}
	for _, condition := range conditions {
		condition(in)
	}
	out, err := c.PutObject(context.Background(), in)
	if err != nil {
		return "", err
	}
	return *out.ETag, nil
}

// upload makes an object of one part, on the condition that there is none.
func upload(t *testing.T, c *vendor.Client, key, body string) error {
	t.Helper()
	bucket := aws.String("rebased")
	begun, err := c.CreateMultipartUpload(t.Context(), &vendor.CreateMultipartUploadInput{Bucket: bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	part, err := c.UploadPart(t.Context(), &vendor.UploadPartInput{
		Bucket: bucket, Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader([]byte(body)),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &vendor.CompleteMultipartUploadInput{
		Bucket: bucket, Key: &key, UploadId: begun.UploadId, IfNoneMatch: aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}},
	})
	return err
}

func ifAbsent(in *vendor.PutObjectInput) { in.IfNoneMatch = aws.String("*") }

func ifMatch(etag string) func(*vendor.PutObjectInput) {
	return func(in *vendor.PutObjectInput) { in.IfMatch = &etag }
}

func code(err error) string {
	if api := (smithy.APIError)(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestGateway(t *testing.T) {
	address := gateway(t)
	c := client(address, "access", "secret")

	t.Run("a new object is written once", func(t *testing.T) {
		if _, err := put(c, "once", "first", ifAbsent); err != nil {
			t.Fatal(err)
		}
		if _, err := put(c, "once", "second", ifAbsent); code(err) != "PreconditionFailed" {
			t.Errorf("second write: %v", err)
		}
		if got := get(t, c, "once"); got != "first" {
			t.Errorf("the object holds %q", got)
		}
	})

	t.Run("an upload of parts becomes a new object once", func(t *testing.T) {
		for n, want := range []string{"", "PreconditionFailed"} {
			if err := upload(t, c, "parts", fmt.Sprint("upload ", n)); err != nil && code(err) != want || err == nil && want != "" {
				t.Errorf("upload %d: %v", n, err)
			}
		}
		if got := get(t, c, "parts"); got != "upload 0" {
			t.Errorf("the object holds %q", got)
		}
	})

	t.Run("a replacement needs the ETag of what it replaces", func(t *testing.T) {
		first, err := put(c, "latest.json", "1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := put(c, "latest.json", "2", ifMatch(first)); err != nil {
			t.Fatal(err)
		}
		if _, err := put(c, "latest.json", "3", ifMatch(first)); code(err) != "PreconditionFailed" {
			t.Errorf("a write with an old ETag: %v", err)
		}
		if _, err := put(c, "missing", "3", ifMatch(first)); code(err) != "NoSuchKey" {
			t.Errorf("a replacement of nothing: %v", err)
		}
		if got := get(t, c, "latest.json"); got != "2" {
			t.Errorf("the object holds %q", got)
		}
	})

	t.Run("of many writers of a new object one wins", func(t *testing.T) {
		for round := range 20 {
			key := fmt.Sprintf("race/new-%d", round)
			won := race(32, func(i int) error { _, err := put(c, key, fmt.Sprint(i), ifAbsent); return err }, t)
			if got := get(t, c, key); len(won) != 1 || got != fmt.Sprint(won[0]) {
				t.Fatalf("round %d: writers %v won, the object is of writer %s", round, won, got)
			}
		}
	})

	t.Run("of many writers of a replacement one wins", func(t *testing.T) {
		for round := range 20 {
			key := fmt.Sprintf("race/old-%d", round)
			etag, err := put(c, key, "old")
			if err != nil {
				t.Fatal(err)
			}
			won := race(32, func(i int) error { _, err := put(c, key, fmt.Sprint(i), ifMatch(etag)); return err }, t)
			if got := get(t, c, key); len(won) != 1 || got != fmt.Sprint(won[0]) {
				t.Fatalf("round %d: writers %v won, the object is of writer %s", round, won, got)
			}
		}
	})

	t.Run("a listing is in the order of the keys' bytes", func(t *testing.T) {
		keys := []string{"list/a-b", "list/a.b", "list/a/1", "list/a/2", "list/a0", "list/b"}
		for _, key := range slices.Backward(keys) {
			if _, err := put(c, key, "x"); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		pages := vendor.NewListObjectsV2Paginator(c, &vendor.ListObjectsV2Input{
			Bucket: aws.String("rebased"), Prefix: aws.String("list/"), MaxKeys: aws.Int32(2),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range page.Contents {
				got = append(got, *object.Key)
			}
		}
		if !slices.Equal(got, keys) {
			t.Errorf("listed %v, want %v", got, keys)
		}
	})

	t.Run("wrong credentials are refused", func(t *testing.T) {
		if _, err := put(client(address, "access", "wrong"), "stranger", "x"); code(err) != "SignatureDoesNotMatch" {
			t.Errorf("a wrong secret: %v", err)
		}
		if _, err := put(client(address, "stranger", "secret"), "stranger", "x"); code(err) != "InvalidAccessKeyId" {
			t.Errorf("a wrong access key: %v", err)
		}
	})
}

// race lets n writers write at once and gives those that were told that they did.
func race(n int, write func(i int) error, t *testing.T) (won []int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		all.Go(func() {
			err := write(i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won = append(won, i)
			case code(err) != "PreconditionFailed" && code(err) != "ConditionalRequestConflict":
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	all.Wait()
	return won
}

func get(t *testing.T, c *vendor.Client, key string) string {
	t.Helper()
	out, err := c.GetObject(t.Context(), &vendor.GetObjectInput{Bucket: aws.String("rebased"), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
