package rebased

import (
	"context"
	"io"
	"iter"
	"time"
)

// Object is one entry of a listing.
type Object struct {
	Key  string
	Size int64 // bytes
	ETag string
	// Modified is when it was last written, by the store's own clock.
	Modified time.Time
}

// Objects is the bucket. Keys are relative to the store's prefix, with '/' as separator. Errors carry a Kind: NotFound, Conflict (a condition
// did not hold), Unauthorized, Throttled, Unavailable.
type Objects interface {
	// Get reads a whole object and its ETag.
	Get(ctx context.Context, key string) (body []byte, etag string, err error)
	// Open reads an object of any size from its begin, a piece at a time in memory. An object that is replaced meanwhile is Conflict at the next
	// Read, or read on as it was. The reader must be closed; it ends with ctx.
	Open(ctx context.Context, key string) (io.ReadCloser, error)
	// Put writes an object, over what was there.
	Put(ctx context.Context, key string, body []byte) (etag string, err error)
	// PutIfAbsent writes an object unless the key exists: then Conflict, and nothing is written.
	PutIfAbsent(ctx context.Context, key string, body []byte) (etag string, err error)
	// CreateIfAbsent writes an object of any size, a piece at a time in memory, unless the key exists: then Conflict. It calls write at most once,
	// with what the object shall hold. Nothing is visible at the key until write has returned nil and all is stored, then all is.
	CreateIfAbsent(ctx context.Context, key string, write func(w io.Writer) error) error
	// PutIfMatch replaces the object whose ETag is given: Conflict when it is another one, or gone.
	PutIfMatch(ctx context.Context, key, etag string, body []byte) (newETag string, err error)
	// List yields the objects under a prefix in the order of their keys' bytes.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// PutOnce writes an object whose key is made of its content: one that is there already is it.
func PutOnce(ctx context.Context, objects Objects, key string, body []byte) error {
	if _, err := objects.PutIfAbsent(ctx, key, body); KindOf(err) != Conflict {
		return err
	}
	return nil
}

// Table reads and writes rows of one schema as one Parquet object. The same rows give the same bytes.
type Table[T any] interface {
	Read(ctx context.Context, key string) ([]T, error)
	// Pick reads the rows at some places of a table, ascending, and leaves the others out. A place that the table does not have is Invalid.
	Pick(ctx context.Context, key string, places []int32) ([]T, error)
	// Write stores rows at a key and says what was written.
	Write(ctx context.Context, key string, rows []T) (File, error)
	// WriteHashed stores rows at prefix + SHA-256 of the bytes + ".parquet"; writing the same rows again is a success. Nothing of the rows is kept.
	WriteHashed(ctx context.Context, prefix string, rows []T) (File, error)
	// Encode writes the bytes of a table of all parts' rows to w, one part at a time in memory. It ends with the first error of parts. The same
	// parts give the same bytes; those of a table written whole may differ.
	Encode(w io.Writer, parts iter.Seq2[[]T, error]) error
}

// Encoder turns texts into vectors.
type Encoder interface {
	// Identity names model, version and dimensions; vectors of equal identity can be compared.
	Identity() string
	Dimensions() int
	// Encode gives one vector of Dimensions() floats for each text, in order, of unit length; a text without a token gives the zero vector.
	Encode(ctx context.Context, texts []string) ([][]float32, error)
}
