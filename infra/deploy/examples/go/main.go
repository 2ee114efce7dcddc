// Command consumer is a training pipeline's end of the hand-off, to copy: it waits for a new version of a task, fetches its Parquet files, holds them to
// the manifest and prints their rows, where a pipeline would train.
//
//	export AWS_REGION=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…   # or whatever else the AWS SDK takes; AWS_ENDPOINT_URL_S3 for another server
//	go run . -store s3://bucket/prefix -task squad                    # for ever, a version at a time
//	go run . -store s3://bucket/prefix -task squad -event < event     # the one version that a hand-off names: {"task", "version", …}
//
// A version is a folder whose files never change and that is named after the SHA-256 of its manifest. So what is read does not depend on what becomes the
// latest meanwhile, and a file that was damaged is noticed. Files are fetched under another name until all are there: a folder that exists is whole.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("consumer", flag.ContinueOnError)
	store := flags.String("store", os.Getenv("REBASED_STORE"), "s3://bucket[/prefix]")
	task := flags.String("task", "", "whose versions to wait for")
	dir := flags.String("dir", "versions", "folder for the files")
	every := flags.Duration("every", time.Minute, "between two looks for a new version")
	event := flags.Bool("event", false, "take the version of the hand-off's event on standard input, and end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := newConsumer(ctx, *store, *task, *dir)
	if err != nil {
		return err
	}
	train := func(version, folder string, files []string) error { return printRows(out, version, folder, files) }
	if *event {
		return c.takeEvent(ctx, stdin, train)
	}
	etag := ""
	for {
		if etag, err = c.takeLatest(ctx, etag, train); err != nil && ctx.Err() == nil {
			log.Print(err) // the next look tries again
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(*every):
		}
	}
}

// consumer fetches versions of one task.
type consumer struct {
	client               *s3.Client
	bucket, prefix, task string
	dir                  *os.Root // for the files; nothing is written outside
}

func newConsumer(ctx context.Context, store, task, dir string) (*consumer, error) {
	rest, ok := strings.CutPrefix(store, "s3://")
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || task == "" {
		return nil, errors.New("-store s3://bucket[/prefix] and -task are required")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(settings, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
	return &consumer{client: client, bucket: bucket, prefix: strings.Trim(prefix, "/"), task: task, dir: root}, nil
}

// manifest is what is needed of manifest.json.
type manifest struct {
	Format string `json:"format"`
	Files  []struct {
		Name   string `json:"name"`
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
		Rows   int    `json:"rows"`
	} `json:"files"`
}

// train is given a version: its name, its folder and the names of its Parquet files to train on. An error has the version taken again.
type train func(version, folder string, files []string) error

// takeLatest takes the latest version unless latest.json still has the ETag that it had when a version was last taken. It gives the ETag of now.
func (c *consumer) takeLatest(ctx context.Context, etag string, do train) (string, error) {
	in := &s3.GetObjectInput{Bucket: &c.bucket, Key: c.key("latest.json")}
	if etag != "" {
		in.IfNoneMatch = &etag
	}
	answer, err := c.client.GetObject(ctx, in)
	var status *awshttp.ResponseError
	if errors.As(err, &status) && status.HTTPStatusCode() == http.StatusNotModified {
		return etag, nil
	}
	if err != nil {
		return etag, fmt.Errorf("look for a new version: %w", err)
	}
	defer answer.Body.Close()
	var latest struct {
		Version string `json:"version"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&latest); err != nil {
		return etag, fmt.Errorf("latest.json: %w", err)
	}
	if err := c.take(ctx, latest.Version, do); err != nil {
		return etag, err
	}
	return aws.ToString(answer.ETag), nil
}

// takeEvent takes the version that a hand-off names.
func (c *consumer) takeEvent(ctx context.Context, stdin io.Reader, do train) error {
	var event struct {
		Task    string `json:"task"`
		Version string `json:"version"`
	}
	if err := json.NewDecoder(io.LimitReader(stdin, 1<<20)).Decode(&event); err != nil {
		return fmt.Errorf("the event: %w", err)
	}
	if event.Task != c.task {
		return fmt.Errorf("the event is of task %q, not %q", event.Task, c.task)
	}
	return c.take(ctx, event.Version, do)
}

var versionPattern = regexp.MustCompile(`^[0-9a-f]{12}$`)

// take fetches a version, unless its folder is there, and has it trained on.
func (c *consumer) take(ctx context.Context, version string, do train) error {
	if !versionPattern.MatchString(version) {
		return fmt.Errorf("%q is no version", version)
	}
	if _, err := c.dir.Stat(version); err == nil {
		return c.train(version, do)
	}
	partial := version + ".partial"
	if err := c.dir.MkdirAll(partial, 0o750); err != nil {
		return err
	}
	m, err := c.fetchManifest(ctx, version, partial)
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		if !isTrain(f.Name) {
			continue
		}
		got, err := c.fetch(ctx, path.Join(version, f.Name), filepath.Join(partial, f.Name), f.Size)
		if err != nil {
			return err
		}
		if got != f.SHA256 {
			return fmt.Errorf("%s of version %s is not as the manifest says", f.Name, version)
		}
	}
	if err := c.dir.Rename(partial, version); err != nil {
		return err
	}
	return c.train(version, do)
}

// isTrain tells the Parquet files of the split train from the rest: one, or several of a large version.
func isTrain(name string) bool {
	return strings.HasPrefix(name, "train-") && strings.HasSuffix(name, ".parquet")
}

func (c *consumer) train(version string, do train) error {
	folder := filepath.Join(c.dir.Name(), version)
	files, err := filepath.Glob(filepath.Join(folder, "train-*.parquet")) // in order
	if err != nil {
		return err
	}
	return do(version, folder, files)
}

// fetchManifest fetches manifest.json and holds it to the name of the version.
func (c *consumer) fetchManifest(ctx context.Context, version, partial string) (m manifest, err error) {
	const most = 64 << 20
	file := filepath.Join(partial, "manifest.json")
	sum, err := c.fetch(ctx, path.Join(version, "manifest.json"), file, -most)
	if err != nil {
		return m, err
	}
	if sum[:len(version)] != version {
		return m, fmt.Errorf("the manifest of version %s is another one", version)
	}
	body, err := c.dir.ReadFile(file)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("the manifest of version %s: %w", version, err)
	}
	if m.Format != "rebased.dataset/v1" {
		return m, fmt.Errorf("version %s has format %q, which this program does not know", version, m.Format)
	}
	return m, nil
}

// fetch writes an object into a file and gives its SHA-256. size is how many bytes it must have, or at most if less than 0.
func (c *consumer) fetch(ctx context.Context, name, into string, size int64) (sum string, err error) {
	answer, err := c.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: c.key(name)})
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	defer answer.Body.Close()
	f, err := c.dir.Create(into)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(answer.Body, max(size, -size)+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if size >= 0 && n != size || size < 0 && n > -size {
		return "", fmt.Errorf("%s has %d bytes, want %d", name, n, size)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (c *consumer) key(name string) *string {
	key := path.Join(c.prefix, "datasets", c.task, name)
	return &key
}

// printRows stands for the training: it prints how many rows there are, and the first ones.
func printRows(out io.Writer, version, _ string, files []string) error {
	total := 0
	for _, name := range files {
		table, err := file.OpenParquetFile(name, false)
		if err != nil {
			return fmt.Errorf("open %s: %w", name, err)
		}
		inputs, outputs, err := columns(table)
		if err = errors.Join(err, table.Close()); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for i := range inputs {
			const shown = 3
			if total++; total <= shown {
				fmt.Fprintf(out, "%q -> %q\n", inputs[i], outputs[i])
			}
		}
	}
	fmt.Fprintf(out, "version %s: %d rows to train on\n", version, total)
	return nil
}

// columns reads what a student is shown and what it shall answer, of the rows of one file. Every other column of lineage is read the same way.
func columns(table *file.Reader) (inputs, outputs []string, err error) {
	for group := range table.NumRowGroups() {
		rows := table.RowGroup(group)
		for name, into := range map[string]*[]string{"input": &inputs, "output": &outputs} {
			column, err := rows.Column(table.MetaData().Schema.ColumnIndexByName(name))
			if err != nil {
				return nil, nil, err
			}
			texts, ok := column.(*file.ByteArrayColumnChunkReader)
			if !ok {
				return nil, nil, fmt.Errorf("column %s holds no text", name)
			}
			for left := rows.NumRows(); left > 0; {
				values := make([]parquet.ByteArray, min(left, 1024))
				levels := make([]int16, len(values))
				_, read, err := texts.ReadBatch(int64(len(values)), values, levels, nil)
				if err != nil {
					return nil, nil, err
				}
				if read == 0 {
					return nil, nil, fmt.Errorf("column %s ends early", name)
				}
				for _, value := range values[:read] {
					*into = append(*into, string(value))
				}
				left -= int64(read)
			}
		}
	}
	return inputs, outputs, nil
}
