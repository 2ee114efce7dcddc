package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rebased/rebased"
)

// Origin is a place that workers read datasets from themselves: a hub, a bucket.
type Origin interface {
	// List finds the files that a source names, without reading them: hf://owner/dataset, s3://bucket/prefix. What a file is, where it is and
	// how it is told from another one is set in each; Key is empty. A source that does not exist is NotFound, one that is not understood Invalid,
	// one that needs other credentials Unauthorized: the error says what to do.
	List(ctx context.Context, source string) (Listing, error)
	// Open reads a file of a listing from its begin, a piece at a time in memory. What ends with io.EOF is the whole file that was listed; a file
	// that breaks off or is another one now ends with an error. The reader must be closed; it ends with ctx.
	Open(ctx context.Context, file rebased.Source) (io.ReadCloser, error)
}

// Listing is what a source holds.
type Listing struct {
	Sources   []rebased.Source    `json:"sources"` // by path
	Skipped   []Skipped           `json:"skipped,omitempty"`
	Malformed []rebased.Malformed `json:"malformed,omitempty"` // lines of the listing, datasets.jsonl
}

// Scheme is what stands before :// in the name of a source, "" for a path of the user's machine.
func Scheme(source string) string {
	scheme, _, ok := strings.Cut(source, "://")
	if !ok {
		return ""
	}
	return scheme
}

// origin finds who reads a source or an address.
func (m *Importer) origin(source string) (Origin, error) {
	if o := m.Origins[Scheme(source)]; o != nil {
		return o, nil
	}
	return nil, rebased.E(rebased.Invalid, "%s: workers read hf:// and s3://, and what the command line uploads: give one of these, a folder or a file", source)
}

// List finds the files of a source. The result has at least one.
func (m *Importer) List(ctx context.Context, source string) (Listing, error) {
	origin, err := m.origin(source)
	if err != nil {
		return Listing{}, err
	}
	found, err := origin.List(ctx, source)
	if err != nil {
		return Listing{}, fmt.Errorf("%s: %w", source, err)
	}
	found.Sources = slices.DeleteFunc(found.Sources, func(s rebased.Source) bool {
		why := checkID(s.DatasetID)
		if why != "" {
			found.Skipped = append(found.Skipped, Skipped{Path: s.Path, Why: why})
		}
		return why != ""
	})
	if len(found.Sources) == 0 {
		return Listing{}, rebased.E(rebased.Invalid, "%s: nothing to import: wants files that end in %s", source, strings.Join(Extensions(), ", "))
	}
	for i := range found.Sources {
		found.Sources[i].Origin = source
	}
	return found, nil
}

// Arrange makes a listing of a prefix's files as Discover makes one of a folder's: Path is relative to the prefix, whose last element is called
// folder. listing is the text of its datasets.jsonl, nil when it has none. Hidden files are ignored.
func Arrange(folder string, files []rebased.Source, listing io.Reader) Listing {
	var found Folder
	for _, file := range files {
		if file.Path != ListingName && !slices.ContainsFunc(strings.Split(file.Path, "/"), func(s string) bool { return strings.HasPrefix(s, ".") }) {
			found.place(file)
		}
	}
	if stem, _, one := cutExtension(folder); one {
		folder = stem
	}
	found.describe(folder, listing)
	return Listing{Sources: found.Sources, Skipped: found.Skipped, Malformed: found.Malformed}
}

// OriginError is an error of where a file is fetched from, not of the bucket that it goes to.
type OriginError struct{ Err error }

// Error implements error.
func (e *OriginError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *OriginError) Unwrap() error { return e.Err }

// Fetch copies a file of a listing into the bucket, a piece at a time, under a prefix that belongs to the run, and gives it as Convert reads it. One
// that is there already is not fetched again: what a killed attempt has fetched its successor finds. A file over the limits is left where it is,
// and Convert says so. What fails on the origin's side is an OriginError.
func (m *Importer) Fetch(ctx context.Context, prefix string, file rebased.Source) (rebased.Source, error) {
	if file.Address == "" || file.Size > m.Limits.SourceBytes {
		return file, nil
	}
	origin, err := m.origin(file.Address)
	if err != nil {
		return file, &OriginError{err}
	}
	key := prefix + sha256Hex(fmt.Appendf(nil, "%s\n%s\n%s", file.Address, file.ETag, file.SHA256))
	there, err := m.there(ctx, key)
	if err != nil {
		return file, err
	}
	var sum string
	if there {
		sum, err = m.sum(ctx, key)
	} else {
		sum, err = m.copyFrom(ctx, origin, file, key)
	}
	if err != nil {
		return file, err
	}
	if file.SHA256 != "" && sum != file.SHA256 {
		return file, &OriginError{rebased.E(rebased.Unavailable, "fetch %s: its bytes are not those of the listing", file.Path)}
	}
	file.Key, file.SHA256 = key, sum
	return file, nil
}

func (m *Importer) there(ctx context.Context, key string) (bool, error) {
	for object, err := range m.Objects.List(ctx, key) {
		return err == nil && object.Key == key, err
	}
	return false, nil
}

// copyFrom copies a file from its origin into the bucket and gives its SHA-256. When another attempt was faster the error is Unavailable.
func (m *Importer) copyFrom(ctx context.Context, origin Origin, file rebased.Source, key string) (string, error) {
	select {
	case m.fetching <- struct{}{}:
		defer func() { <-m.fetching }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	var failed error
	hash := sha256.New()
	err := m.Objects.CreateIfAbsent(ctx, key, func(w io.Writer) error {
		body, err := origin.Open(ctx, file)
		if err != nil {
			failed = err
			return err
		}
		defer body.Close()
		from := &noted{r: body}
		size, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(from, file.Size+1))
		if failed = from.err; err == nil && size != file.Size {
			failed = rebased.E(rebased.Unavailable, "has %d bytes, or more, where the listing says %d", size, file.Size)
			err = failed
		}
		return err
	})
	switch {
	case err != nil && failed != nil && ctx.Err() == nil:
		return "", &OriginError{fmt.Errorf("fetch %s: %w", file.Path, failed)}
	case rebased.KindOf(err) == rebased.Conflict:
		return "", rebased.E(rebased.Unavailable, "fetch %s: another attempt has fetched it at the same time", file.Path)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// sum reads an object of the bucket through.
func (m *Importer) sum(ctx context.Context, key string) (string, error) {
	body, err := m.Objects.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer body.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, body)
	return hex.EncodeToString(hash.Sum(nil)), err
}

// noted remembers why a reader failed, which is told from why the writer did.
type noted struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (n *noted) Read(p []byte) (int, error) {
	count, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return count, err
}
