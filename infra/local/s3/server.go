// Package s3 runs a real S3 gateway (versitygw) in this process, on a loopback port, with objects as files of a folder and one bucket made at
// its start. It is the bucket of the local stack.
//
// An object is written to an unnamed or temporary file and put in its place by a link or rename, so a process that is killed leaves the old
// object or the new one. Conditions (If-None-Match: *, If-Match) are decided under a lock of the key: of writers at once, one wins.
//
// One gateway a process, and it makes its folder the process's working directory: both are limits of the library.
package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// HealthPath answers 200 without credentials once the gateway serves.
const HealthPath = "/healthz"

// Config says where a gateway keeps its objects and who may use it.
type Config struct {
	// Dir is the folder of the objects; it is made when missing.
	Dir string
	// Address is host and port to listen on.
	Address string
	// AccessKey and SecretKey are the one account.
	AccessKey, SecretKey string
	Region, Bucket       string
}

func (c Config) validate() error {
	if c.Dir == "" || c.AccessKey == "" || c.SecretKey == "" || c.Region == "" || c.Bucket == "" {
		return errors.New("s3: Dir, AccessKey, SecretKey, Region and Bucket are required")
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("s3: Address: %w", err)
	}
	return nil
}

// Server is an S3 gateway on a folder.
type Server struct {
	config  Config
	backend *posix.Posix
}

// New prepares a gateway and its bucket. It changes the process's working directory.
func New(c Config) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	bucket := BucketDir(c.Dir, c.Bucket)
	if err := os.MkdirAll(bucket, 0o700); err != nil {
		return nil, fmt.Errorf("s3 folder: %w", err)
	}
	backend, err := openBackend(filepath.Dir(bucket), filepath.Join(c.Dir, "attributes"))
	if err != nil {
		return nil, fmt.Errorf("s3 folder: %w", err)
	}
	acl, err := json.Marshal(auth.ACL{Owner: c.AccessKey})
	if err != nil {
		return nil, err
	}
	if err := backend.PutBucketAcl(context.Background(), c.Bucket, acl); err != nil {
		return nil, fmt.Errorf("make bucket %s: %w", c.Bucket, err)
	}
	return &Server{config: c, backend: backend}, nil
}

// BucketDir is the folder of a bucket's objects, each a file at the path of its key.
func BucketDir(dir, bucket string) string { return filepath.Join(dir, "objects", bucket) }

// openBackend keeps ETags and content types in extended attributes of the files, or in a folder beside them where the file system has none.
func openBackend(objects, attributes string) (*posix.Posix, error) {
	opts := posix.PosixOpts{ForceNoObjLockFile: true} // its locks in memory do: one process holds the folder
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	if err := (meta.XattrMeta{}).Test(objects); err == nil {
		return posix.New(objects, meta.XattrMeta{}, opts)
	}
	if err := os.MkdirAll(attributes, 0o700); err != nil {
		return nil, err
	}
	beside, err := meta.NewSideCar(attributes)
	if err != nil {
		return nil, err
	}
	opts.SideCarDir = attributes
	return posix.New(objects, beside, opts)
}

// stopLimit is how long a stop waits for requests to end. The library would wait longer for connections that clients hold open unused.
const stopLimit = 2 * time.Second

// Serve runs the gateway until ctx is done.
func (s *Server) Serve(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- embedgw.RunVersityGW(ctx, s.backend, s.gateway()) }()
	select {
	case err := <-ended:
		if ctx.Err() == nil {
			return fmt.Errorf("s3 gateway: %w", err)
		}
		return nil
	case <-ctx.Done():
	}
	select {
	case <-ended: //nolint:errcheck // how it ended is of no use any more
	case <-time.After(stopLimit):
	}
	return nil
}

func (s *Server) gateway() *embedgw.Config {
	const connections = 8192
	return &embedgw.Config{
		RootUserAccess:    s.config.AccessKey,
		RootUserSecret:    s.config.SecretKey,
		IAMService:        newAccount(s.config.AccessKey, s.config.SecretKey),
		Region:            s.config.Region,
		Ports:             []string{s.config.Address},
		MaxConnections:    connections,
		MaxRequests:       connections / 2,
		MultipartMaxParts: 10_000,
		KeepAlive:         true,
		HealthPath:        HealthPath,
		Quiet:             true,
	}
}
