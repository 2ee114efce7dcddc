// Package index puts the rows of a corpus into the vector index: one point a row that holds a vector for each of its cells, and one vector
// for the description of each dataset.
//
// It stands between ingest, which writes the parts of a corpus into the bucket, and retrieve, which asks the index. A row's id says what the
// row says, so that the work is a difference of two sets of ids: Begin plans it, Batch writes new rows (in any order, in parallel, again after
// a failure), Finish removes what is gone and proves by the count that the index is whole. All of it is idempotent.
package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/rebased/rebased"
)

// Point is one row in the index. It says nothing of where the row stands in the bucket, which changes when other rows come and go.
type Point struct {
	ID      rebased.RowID
	Dataset rebased.DatasetID
	Cells   []int       // for each vector the place of its cell in the row, ascending
	Hashes  []uint64    // for each vector rebased.TextHash of its cell's text
	Letters []int       // for each vector rebased.TextLetters of its cell's text
	Vectors [][]float32 // of unit length; none for a row without a token: it is stored and counted, and no query finds it
}

// Description is the vector of what one dataset split says of itself.
type Description struct {
	Dataset rebased.DatasetID
	Vector  []float32 // of unit length, or zero
}

// Writer is what indexing needs of a vector index. Every call that returns nil is durable and seen by the next call. Errors carry a
// rebased.Kind; a collection that is not there is NotFound.
type Writer interface {
	// Ensure makes the collection of rows, and the one of descriptions that goes with it, unless they are there.
	Ensure(ctx context.Context, collection string, dimensions int) error
	// Upsert writes points, each over the point of the same id.
	Upsert(ctx context.Context, collection string, points []Point) error
	// Has tells for each id whether its point is there.
	Has(ctx context.Context, collection string, ids []rebased.RowKey) ([]bool, error)
	// IDs yields the ids of all points from one on, ascending, and ends with the first error.
	IDs(ctx context.Context, collection string, from rebased.RowKey) iter.Seq2[rebased.RowKey, error]
	// Count says how many points there are.
	Count(ctx context.Context, collection string) (int, error)
	// Delete removes points; one that is not there is no error.
	Delete(ctx context.Context, collection string, ids []rebased.RowKey) error
	// Alias makes an alias, new or not, stand for a collection and its descriptions, all at once.
	Alias(ctx context.Context, alias, collection string) error
	// Drop removes a collection and its descriptions; one that is not there is no error.
	Drop(ctx context.Context, collection string) error
	// CountDescriptions says how many descriptions there are.
	CountDescriptions(ctx context.Context, collection string) (int, error)
	// ReplaceDescriptions makes these the only descriptions.
	ReplaceDescriptions(ctx context.Context, collection string, descriptions []Description) error
}

// Config is what an Indexer works with. Every field is required but Vectors.
type Config struct {
	Writer   Writer
	Encoder  rebased.Encoder
	Rows     rebased.Table[rebased.Row]
	Datasets rebased.Table[rebased.Dataset]
	Objects  rebased.Objects // holds the record of the index
	Vectors  *Vectors        // of the encoder, shared by the Indexers of a process; nil = none are kept from one batch to the next
}

// Indexer indexes corpora with one encoder.
type Indexer struct {
	writer   Writer
	encoder  rebased.Encoder
	rows     rebased.Table[rebased.Row]
	datasets rebased.Table[rebased.Dataset]
	objects  rebased.Objects
	vectors  *Vectors
}

// New makes an Indexer.
func New(c Config) (*Indexer, error) {
	switch {
	case c.Writer == nil:
		return nil, errors.New("index: Config.Writer is required")
	case c.Encoder == nil:
		return nil, errors.New("index: Config.Encoder is required")
	case c.Rows == nil:
		return nil, errors.New("index: Config.Rows is required")
	case c.Datasets == nil:
		return nil, errors.New("index: Config.Datasets is required")
	case c.Objects == nil:
		return nil, errors.New("index: Config.Objects is required")
	case c.Encoder.Dimensions() < 1:
		return nil, errors.New("index: Config.Encoder has no dimensions")
	}
	return &Indexer{writer: c.Writer, encoder: c.Encoder, rows: c.Rows, datasets: c.Datasets, objects: c.Objects, vectors: c.Vectors}, nil
}

// layout changes whenever the same row would be given another point than before, so that an index made in another way is never mixed with.
const (
	layout       = "cells/2"
	layoutBefore = "cells/1"
)

// Alias names the index of a corpus under an encoder: vectors of two encoders, or of two layouts, never meet in one.
func Alias(corpus, encoder string) string { return alias(corpus, encoder, layout) }

func alias(corpus, encoder, layout string) string {
	sum := sha256.Sum256([]byte(layout + "\n" + encoder))
	return "rebased-" + corpus + "-" + hex.EncodeToString(sum[:4])
}

// generation names the n-th collection that an alias stands for.
func generation(alias string, n int) string { return alias + "-" + strconv.Itoa(n) }

// after names the collection after one.
func after(alias, collection string) string {
	n, err := strconv.Atoi(strings.TrimPrefix(collection, alias+"-"))
	if err != nil {
		n = 0 // a name of another form
	}
	return generation(alias, n+1)
}
